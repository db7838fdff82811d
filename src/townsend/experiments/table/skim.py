"""Cuts over many files: a small sample that trains at once, and the cut-flow with weighted yields.

What to use when
----------------
- `skim`: files in, a folder out, on this machine or on a farm; goes on after a kill.
- `read_cut_flow`: class -> cut-flow of such a folder.

The folder holds `skim-00000.root` (or .parquet) of each input with the features, the class, the event weight and where
the event came from; `cutflow.csv`; and `table.yaml`, with which it is a table itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from townsend.config import dump_yaml, parse, resolved
from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.ledger import JOBS
from townsend.engines.local import usable_cores
from townsend.engines.site import Site
from townsend.errors import InputError
from townsend.experiments.table.cut_flow import CutFlow, write_cut_flow
from townsend.experiments.table.events import Reader, Source, open_sources
from townsend.experiments.table.read_table import luminosity_factors
from townsend.experiments.table.settings import TABLE_FILE, Description, TableSettings
from townsend.experiments.table.skim_shard import LABEL, OWN, WEIGHT, SkimWork, column_names
from townsend.files import fingerprint, read_json, sha256_of, write_json
from townsend.sample.provenance import versions
from townsend.sweep.lease import hold, tidy_leases

__all__ = ["CUT_FLOW", "read_cut_flow", "skim"]

DESCRIPTION, CUT_FLOW = "skim.json", "cutflow.json"
_MADE_BY = "townsend skim"
_HARMLESS = ("coordinator.lease", "logs", JOBS)
_POLL_S = 1.0


def skim(
    description: Description,
    output: Path,
    *,
    keep: Sequence[str] = (),
    form: Literal["root", "parquet"] = "root",
    jobs: int | None = None,
    site: Site | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, CutFlow]:
    """Write the events of a table that pass its cuts; killed at any moment, the same call goes on.

    Arguments:
        description: of the table.
        output: folder; new, empty, or of the same call.
        keep: further columns, one number an event, that are written beside the features.
        form: format of the files written.
        jobs: worker processes on this machine, >= 1; one for each usable core when None.
        site: batch system that works instead, see `townsend.engines.site.find_site`.
        progress: called with files done and in all.

    Returns class -> cut-flow, with weights scaled to the luminosity where one is given. Raises InputError when a file
    cannot be read or lacks a column, or the folder is another's; BusyError when another process is at work in it.
    """
    works = _plan(description, tuple(keep), f".{form}")
    _make_folder(output)
    with hold(output) as lease:
        tidy_leases(output)
        for left in output.glob(".skim*"):
            left.unlink(missing_ok=True)
        _open_folder(output, _described(description, works))
        _run(works, output.absolute(), jobs, site, progress, lease.check)
        return _finish(description.settings, works, output)


def read_cut_flow(folder: Path) -> dict[str, CutFlow]:
    """Return class -> cut-flow of a folder made by `skim`, with final weights.

    Raises InputError when it is none, or not finished.
    """
    return {name: CutFlow.from_json(flow) for name, flow in read_json(folder / CUT_FLOW)["flows"].items()}


def _plan(description: Description, keep: tuple[str, ...], suffix: str) -> list[SkimWork]:
    """Return the work of each file, in order."""
    settings, found = description.settings, list[SkimWork]()
    reader = Reader(settings)
    for source in open_sources(description):
        _check_kept(settings, source, keep)
        source.columns.check(reader.names(source) | frozenset(keep))
        for index, path in enumerate(source.columns.files):
            friends = tuple(friend.files[index].absolute() for friend in source.columns.friends)
            found.append(
                SkimWork(
                    resolved(settings),
                    tuple(source.classes),
                    path.absolute(),
                    friends,
                    source.columns.tree,
                    len(found),
                    keep,
                    suffix,
                )
            )
    return found


def _check_kept(settings: TableSettings, source: Source, keep: Sequence[str]) -> None:
    taken = {*column_names(settings).values(), *OWN}
    for name in keep:
        if name in taken:
            msg = f'columns to keep must not be in the skim already (got "{name}"); leave it out'
            raise InputError(msg)


def _described(description: Description, works: Sequence[SkimWork]) -> dict[str, Any]:
    settings = resolved(description.settings)
    files = [{"path": str(work.path), "sha256": sha256_of([work.path, *work.friends])} for work in works]
    decisive = [settings, [file["sha256"] for file in files], [[*work.keep, work.suffix] for work in works[:1]]]
    mark = fingerprint({"decisive": decisive})
    return {"made_by": _MADE_BY, "mark": mark, "settings": settings, "files": files, "versions": versions()}


def _make_folder(output: Path) -> None:
    """Make the folder, or accept one that is empty or ours; raise InputError when it holds other things."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in output.iterdir() if path.name[0] != "." and path.name not in _HARMLESS)
    except OSError as error:
        msg = f"{output} must be a folder that can be written ({error.strerror}); choose another"
        raise InputError(msg) from None
    if names and not (output / DESCRIPTION).is_file():
        msg = f"{output} must be new, empty or of the same `{_MADE_BY}` (it holds {names[0]}); choose another folder"
        raise InputError(msg)


def _open_folder(output: Path, wanted: Mapping[str, Any]) -> None:
    path = output / DESCRIPTION
    if not path.is_file():
        write_json(path, wanted)
    elif read_json(path)["mark"] != wanted["mark"]:
        rule = f"{output} must be continued with the table and the files that it was begun with"
        msg = f"{rule} (they differ); choose a new folder or take the same again"
        raise InputError(msg)


def _run(
    works: Sequence[SkimWork],
    output: Path,
    jobs: int | None,
    site: Site | None,
    progress: Callable[[int, int], None],
    check: Callable[[], None],
) -> None:
    missing = [work for work in works if not (output / f"{work.stem}.json").is_file()]
    done = len(works) - len(missing)
    progress(done, len(works))
    if not missing:
        return
    at_work = {work.stem: work for work in missing}
    with open_engine(site, output, min(usable_cores() if jobs is None else jobs, len(missing))) as engine:
        for work in missing:
            engine.submit(_unit(work, output))
        while at_work:
            check()
            for message in engine.poll(_POLL_S):
                if message.news is News.PROGRESS:
                    continue
                work = at_work.pop(message.unit)
                if message.news is not News.DONE:
                    raise InputError(_failure(message, work, output))
                done += 1
                progress(done, len(works))


def _unit(work: SkimWork, output: Path) -> WorkUnit:
    inputs = tuple(str(path) for path in (work.path, *work.friends))
    outputs = (f"{work.stem}{work.suffix}", f"{work.stem}.json")
    return WorkUnit(work.stem, "skim_shard", work.to_json(), output, inputs=inputs, outputs=outputs)


def _failure(message: Message, work: SkimWork, output: Path) -> str:
    if message.news is News.REFUSED:
        return message.detail
    return f"{work.path} could not be skimmed ({message.detail}); see the logs in {output}, mend and repeat"


def _finish(settings: TableSettings, works: Sequence[SkimWork], output: Path) -> dict[str, CutFlow]:
    """Add up the cut-flows and write them, and the table that the folder is now."""
    raw = {name: CutFlow.empty(len(settings.cuts)) for name in settings.classes}
    for work in works:
        for name, flow in read_json(output / f"{work.stem}.json")["flows"].items():
            raw[name] = raw[name] + CutFlow.from_json(flow)
    factors = luminosity_factors(settings, raw)
    flows = {name: flow.scaled(factors[name]) for name, flow in raw.items()}
    write_cut_flow(output / "cutflow.csv", flows, settings.cuts)
    dump_yaml(_skimmed(settings, raw, works[0].suffix), output / TABLE_FILE)
    values = {"cuts": list(settings.cuts), "flows": {name: flow.to_json() for name, flow in flows.items()}}
    write_json(output / CUT_FLOW, values)
    return flows


def _skimmed(settings: TableSettings, raw: Mapping[str, CutFlow], suffix: str) -> TableSettings:
    """Return the table of what was written."""
    with_luminosity = settings.luminosity_per_fb is not None
    classes: dict[str, Any] = {}
    for index, (name, one) in enumerate(settings.classes.items()):
        classes[name] = {"where": f"{LABEL} == {index}"}
        if with_luminosity:
            generated = one.generated or float(raw[name].weights[0])
            classes[name] |= {"cross_section_pb": one.cross_section_pb, "generated": generated}
    columns = column_names(settings)
    return parse(
        TableSettings,
        {
            "files": [f"skim-*{suffix}"],
            "features": columns,
            "units": settings.units,
            "weight": WEIGHT if settings.weighted else None,
            "group": "event_group" if settings.group else None,
            "luminosity_per_fb": settings.luminosity_per_fb,
            "classes": classes,
            "most_events": settings.most_events,
        },
    )
