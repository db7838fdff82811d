"""The whole comparison with Garfield++, and what it writes.

What to use when
----------------
- `validate_drifttube`: all rows, and where a folder is named the table, the page and the figures in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from townsend.errors import InputError
from townsend.experiments.drifttube.validation.arrivals import arrival_rows
from townsend.experiments.drifttube.validation.drift import drift_rows
from townsend.experiments.drifttube.validation.figures import draw_validation
from townsend.experiments.drifttube.validation.ionization import ionization_rows
from townsend.experiments.drifttube.validation.reference_files import Reference
from townsend.experiments.drifttube.validation.signal import signal_rows
from townsend.experiments.drifttube.validation.table import FIGURES, PAGE, TABLE, markdown, write_csv
from townsend.experiments.drifttube.validation.verdicts import Judgement, Row
from townsend.files import write_text

__all__ = ["TRACKS", "Validation", "validate_drifttube"]

TRACKS = 100_000


@dataclass(frozen=True)
class Validation:
    """All rows of a comparison.

    Arguments:
        rows: in the order of the table.
        tracks, seed: of ours; shipped: whether the reference was the shipped one.
    """

    rows: tuple[Row, ...]
    tracks: int
    seed: int
    shipped: bool

    def with_verdict(self, judgement: Judgement) -> list[Row]:
        """Return the rows that have a verdict."""
        return [row for row in self.rows if row.judgement is judgement]

    @property
    def failed(self) -> bool:
        """Whether any row fails."""
        return bool(self.with_verdict(Judgement.FAIL))


def validate_drifttube(
    output: Path | None = None,
    *,
    reference: Path | None = None,
    tracks: int = TRACKS,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Validation:
    """Compare the simulation with Garfield++.

    Arguments:
        output: folder for `validation.csv`, `validation.md` and `figures/`, None to write nothing.
        reference: folder with files as in `reference/PROVENANCE.md`, None for the shipped ones.
        tracks: about how many of ours for each comparison; the reference's own number bounds what more can tell.
        seed: of ours and of the resampling.
        progress: called with groups done and in all.

    Raises InputError when a reference file is missing or damaged, or an argument is out of range.
    """
    if tracks < 1 or seed < 0:
        msg = f"tracks must be at least 1 and the seed at least 0 (got {tracks} and {seed}); leave them out"
        raise InputError(msg)
    files = Reference() if reference is None else Reference(reference)
    files.check()
    groups: tuple[Callable[[], list[Row]], ...] = (
        lambda: ionization_rows(files, tracks, seed),
        lambda: drift_rows(files),
        lambda: arrival_rows(files, tracks, seed),
        lambda: signal_rows(files, tracks, seed),
    )
    rows: list[Row] = []
    for done, group in enumerate(groups):
        progress(done, len(groups))
        rows += group()
    progress(len(groups), len(groups))
    validation = Validation(tuple(rows), tracks, seed, reference is None)
    if output is not None:
        write_csv(validation.rows, output / TABLE)
        names = draw_validation(files, validation.rows, output / FIGURES)
        write_text(
            output / PAGE, markdown(validation.rows, tracks, seed, {name: f"{FIGURES}/{name}" for name in names})
        )
    return validation
