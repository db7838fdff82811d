"""Write docs/studies/validation.md and its figures: the drift tube against Garfield++, about half a minute.

Run: python docs/make_validation.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from townsend.experiments.drifttube.validation.figures import draw_validation
from townsend.experiments.drifttube.validation.reference_files import Reference
from townsend.experiments.drifttube.validation.table import markdown, summary
from townsend.experiments.drifttube.validation.validate import validate_drifttube
from townsend.files import write_text

STUDIES = Path(__file__).parent / "studies"


def main() -> None:
    validation = validate_drifttube()
    names = draw_validation(Reference(), validation.rows, STUDIES / "validation")
    places = {name: f"validation/{name}" for name in names}
    write_text(STUDIES / "validation.md", markdown(validation.rows, validation.tracks, validation.seed, places))
    print(summary(validation.rows))
    sys.exit(validation.failed)


if __name__ == "__main__":
    main()
