"""One page about a run, whatever made it.

What to use when
----------------
- `report`: a folder in, an HTML file out; the folder says which experiment it is of.
"""

from __future__ import annotations

from pathlib import Path

from townsend.experiments.drifttube.report.report import report as drifttube_report
from townsend.experiments.table.page import TRAINED, write_table_page

__all__ = ["report"]


def report(run: Path, output: Path) -> Path:
    """Write one self-contained HTML page about the run in the folder `run`, and return its path.

    Arguments:
        run: folder of `townsend train`, or one that holds the folders of the steps of the drift tube.
        output: file; new, or a report written before, which is replaced.

    Raises InputError when the folder holds nothing of a run, a file is damaged, or the output is another file.
    """
    return write_table_page(run, output) if (run / TRAINED).is_file() else drifttube_report(run, output)
