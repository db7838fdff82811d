"""One page about a whole run, which a colleague can open: verdicts first, then figures, waveforms and how to repeat it.

What to use when
----------------
- `report`: a folder in, an HTML file out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from townsend.errors import printable
from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.reconstruction.output import Reconstructed, read_reconstructed
from townsend.experiments.drifttube.report.counts import count_section, headline, result_sentence, way_verdict
from townsend.experiments.drifttube.report.links import Line, Parts, find_parts
from townsend.experiments.drifttube.report.parts import CLUSTERS, PEAKS, OutputPart
from townsend.experiments.drifttube.report.repeat import citation_section, origin_section, repeat_section
from townsend.experiments.drifttube.report.simulation import (
    Ionization,
    read_ionization,
    simulation_section,
    simulation_verdicts,
)
from townsend.experiments.drifttube.report.sweeps import resource_section, sweep_section
from townsend.experiments.drifttube.report.traces import example_section, real_section
from townsend.report.markup import Markup, bullets, join, paragraph, tag, verdict_list
from townsend.report.page import Section, check_page, page, write_page
from townsend.report.resources import job_part
from townsend.sample.provenance import versions

__all__ = ["report"]


def report(run: Path, output: Path) -> Path:
    """Write one self-contained HTML page about the run in the folder `run`, and return its path.

    Arguments:
        run: folder that holds, itself or in its direct subfolders under any names, what the commands of the line made:
            samples, sweeps, chosen networks, a Reconstruction, what it found, peaks in measured traces. Parts that are
            missing are named on the page, with the command that makes them.
        output: file; new, or a report written before, which is replaced.

    Raises InputError when the folder holds nothing of a run, a file is damaged or edited, several folders could be
    meant, or the output is another file.
    """
    check_page(output)
    parts = find_parts(run)
    counted = read_reconstructed(parts.result.path) if parts.result else None
    sample = parts.sample_for("test", "clusteriser", "calibration", "finder")
    seen = read_ionization(sample) if sample else None
    sections = [part for part in _sections(parts, counted, seen) if part.content.text]
    lead = join(result_sentence(parts, counted), _missing(parts))
    made = f"Made by townsend {versions().get('townsend', '')} from {printable(parts.run.resolve().name)}. "
    footer = f"{made}Errors are one standard deviation. This page loads nothing from anywhere."
    counting = parts.clusteriser.model or parts.clusteriser.sweep or counted
    title = f"{'Clusters counted' if counting else 'Peaks found'} in drift tubes"
    write_page(output, page(title, lead, sections, footer))
    return output


def _missing(parts: Parts) -> Markup:
    if not parts.missing:
        return join()
    items = [join(f"{part.what}: ", tag("code", part.command)) for part in parts.missing]
    return join(paragraph("This run does not hold, and the page therefore does not show:"), bullets(items))


def _sections(parts: Parts, counted: Reconstructed | None, seen: Ionization | None) -> Iterator[Section]:
    yield Section("verdicts", "Whether to believe it", _verdicts(parts, seen))
    yield Section("figures", "Figures", headline(parts, counted))
    sample = parts.sample_for("test", "clusteriser", "calibration", "finder")
    if sample is not None and seen is not None:
        taken = [job_part(part.path) for part in parts.samples]
        yield Section("simulation", "What was simulated", join(simulation_section(parts, sample, seen), *taken))
    yield Section("waveforms", "Example waveforms", example_section(parts) or join())
    yield Section("finder", "Finding peaks", sweep_section(parts.finder, PEAKS))
    yield Section("clusteriser", "Counting clusters", sweep_section(parts.clusteriser, CLUSTERS))
    if parts.finder.sweep or parts.clusteriser.sweep:
        yield Section("resources", "What the trainings took", resource_section(parts))
    if parts.result is not None and counted is not None:
        taken = [job_part(parts.result.path)]
        title = "True, detected and predicted numbers"
        yield Section("numbers", title, join(count_section(parts, counted), *taken))
    taken = [job_part(part.path) for part in parts.real if isinstance(part, OutputPart)]
    yield Section("real", "Measured traces", join(real_section(parts) or join(), *taken))
    yield Section("repeat", "How to repeat it", repeat_section(parts))
    yield Section("origin", "Seeds, hashes, versions", origin_section(parts))
    yield Section("citation", "What to cite", citation_section(parts))


def _verdicts(parts: Parts, seen: Ionization | None) -> Markup:
    """Return all verdicts, those on the end of the line first."""
    reconstruction = parts.reconstruction.card.get("verdicts", []) if parts.reconstruction else []
    groups: list[tuple[str, list[Verdict]]] = [
        ("The result", [*_of(parts.result), *way_verdict(parts)]),
        ("The calibration", [Verdict(bool(v["ok"]), str(v["sentence"])) for v in reconstruction]),
        ("The clusteriser", _of_line(parts.clusteriser)),
        ("The peak finder", _of_line(parts.finder)),
        ("The simulation", list(simulation_verdicts(seen)) if seen else []),
        *[(f"Measured: {part.path.name}", _of(part)) for part in parts.real if isinstance(part, OutputPart)],
        ("The folders", list(parts.notes)),
    ]
    return join(*[join(tag("h3", title), verdict_list(found)) for title, found in groups if found])


def _of(part: OutputPart | None) -> list[Verdict]:
    found = part.summary.get("verdicts", []) if part and part.summary else []
    return [Verdict(bool(v["ok"]), str(v["sentence"])) for v in found]


def _of_line(line: Line) -> list[Verdict]:
    """Return the verdicts of the card, which repeats the notes of the board; of the board where there is no card."""
    if line.model is not None:
        return [Verdict(bool(v["ok"]), str(v["sentence"])) for v in line.model.card["verdicts"]]
    return list(line.sweep.board.verdicts) if line.sweep is not None else []
