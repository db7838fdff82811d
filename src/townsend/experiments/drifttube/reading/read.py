"""Files of other programs as a sample folder, which every later step reads as it reads a simulated one.

What to use when
----------------
- `read`: `littlepi` and `sciencedb` trees of waveforms, `garfield` files of induced currents.

The folder has the shards of `townsend simulate`, `read.yaml` with the settings as used, and `read.json`, by which it is
known again: the same command goes on in it where a kill left it, another is refused. All files are looked through
before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from townsend.config import Closed, dump_yaml, parse, resolved
from townsend.errors import ConfigError, InputError, did_you_mean
from townsend.experiments.drifttube.reading.garfield_source import (
    GarfieldFacts,
    GarfieldSource,
    electronics_files,
    scan_garfield,
)
from townsend.experiments.drifttube.reading.layouts import LAYOUTS, ReadSettings
from townsend.experiments.drifttube.reading.public_source import PublicSource
from townsend.experiments.drifttube.reading.scan import PublicFacts, scan
from townsend.experiments.drifttube.reading.tags import find_meaning
from townsend.experiments.drifttube.simulation.sample_folder import check_folder, claim, described, missing_shards
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.files import sha256_of
from townsend.sample.root_io import write_root
from townsend.sample.waveforms import Waveforms

__all__ = ["DESCRIPTION", "FORMATS", "read", "settings_of"]

GARFIELD = "garfield"
FORMATS = (*LAYOUTS, GARFIELD)
DESCRIPTION = "read.json"

Facts = TypeVar("Facts", bound=Closed)
Progress = Callable[[str, int, int | None], None]


class _Source(Protocol):
    """Waveforms of some files, any range of them."""

    def __len__(self) -> int: ...

    def waveforms(self, start: int, stop: int) -> Waveforms: ...


def settings_of(name: str) -> type[ReadSettings] | type[DriftTubeSettings]:
    """Return the class of the settings with which a format is read.

    Raises InputError for an unknown format.
    """
    if name not in FORMATS:
        msg = f"format must be one that townsend reads (got {name}){did_you_mean(name, FORMATS)}"
        raise InputError(msg)
    return DriftTubeSettings if name == GARFIELD else ReadSettings


def read(
    files: Sequence[Path],
    output: Path,
    *,
    format: str,  # noqa: A002 - the name of the option
    tags: str | None = None,
    settings: Closed | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Turn files of another program into a sample folder; the same command goes on where a kill left it.

    Arguments:
        files: of one format, at least one, in the order of the sample's waveforms.
        output: folder; empty, absent, or made by the same command.
        format: "littlepi", "sciencedb" or "garfield".
        tags: what 0, 1 and 2 mean in files that list arrivals: "primary-secondary-noise" or "noise-primary-secondary".
            It must be said, for the public samples contradict each other.
        settings: `ReadSettings` of the first two, `DriftTubeSettings` of the third, whose electronics, noise, digitizer
            and seed are used; defaults where None.
        progress: called with "checking" or "writing", waveforms done, and their number where it is known.

    Returns the folder. Raises InputError when a file cannot be read, files differ, contents contradict `tags`, or the
    folder holds something else.
    """
    kind = settings_of(format)
    settings = kind() if settings is None else settings
    if not isinstance(settings, kind):
        msg = f"settings must be {kind.__name__} for {format} (got {type(settings).__name__}); give those"
        raise InputError(msg)
    if tags is not None:
        find_meaning(tags)
        if format == GARFIELD:
            msg = f"--tags is for {' and '.join(LAYOUTS)} files (got it for {GARFIELD} ones); leave it out"
            raise InputError(msg)
    _check_files(files)
    hashes = {_label(path, files): sha256_of([path]) for path in files}
    own = electronics_files(settings) if isinstance(settings, DriftTubeSettings) else ()
    hashes |= {str(path): sha256_of([path]) for path in own}
    request = {"format": format, "tags": tags, "settings": resolved(settings), "sources": hashes}
    written = described(output, DESCRIPTION)
    if written is not None and written.get("request") != request:
        rule = f"{output} must be empty or hold the same files read in the same way"
        msg = f"{rule} (it holds {_shortly(written)}); choose another folder"
        raise InputError(msg)
    if written is None:
        check_folder(output, DESCRIPTION)
    source, facts = _source(files, hashes, format, tags, settings, written, progress)
    claim(output, DESCRIPTION, {"request": request, "facts": resolved(facts), "waveforms": len(source)})
    dump_yaml(settings, output / "read.yaml")
    missing = missing_shards(output, len(source))
    done = len(source) - sum(stop - start for start, stop in missing.values())
    for path, (start, stop) in missing.items():
        progress("writing", done, len(source))
        write_root(source.waveforms(start, stop), path)
        done += stop - start
    progress("writing", done, len(source))
    return output


def _check_files(files: Sequence[Path]) -> None:
    if not files:
        msg = "at least one file must be given (got none); name the files to read"
        raise InputError(msg)
    seen: set[Path] = set()
    for path in files:
        if not path.is_file():
            msg = f"{path} must be a file that exists; check its name"
            raise InputError(msg)
        if path.resolve() in seen:
            msg = f"{path} must be given once (it is among the files twice); its waveforms would count twice"
            raise InputError(msg)
        seen.add(path.resolve())


def _label(path: Path, files: Sequence[Path]) -> str:
    """Return the file's name, with its place in the list where another has the same."""
    alike = [other for other in files if other.name == path.name]
    return path.name if len(alike) == 1 else f"{path.name} ({alike.index(path) + 1})"


def _source(
    files: Sequence[Path],
    hashes: dict[str, str],
    format: str,  # noqa: A002
    tags: str | None,
    settings: Closed,
    written: Mapping[str, Any] | None,
    progress: Progress,
) -> tuple[_Source, Closed]:
    """Return the waveforms of all files and what holds for them, looked up again where it was written down."""
    seen = 0

    def checked(number: int) -> None:
        nonlocal seen
        seen += number
        progress("checking", seen, None)

    if isinstance(settings, DriftTubeSettings):
        events = _known(GarfieldFacts, written) or scan_garfield(files, settings, checked)
        return GarfieldSource(tuple(files), hashes, settings, events), events
    assert isinstance(settings, ReadSettings)  # noqa: S101 - checked by `read`
    facts = _known(PublicFacts, written) or scan(files, LAYOUTS[format], tags, settings, checked)
    return PublicSource(tuple(files), hashes, format, tags, settings, facts), facts


def _known(kind: type[Facts], written: Mapping[str, Any] | None) -> Facts | None:
    """Return what an earlier run found, None where there was none."""
    if written is None:
        return None
    try:
        return parse(kind, written["facts"])
    except (ConfigError, KeyError, TypeError) as error:
        msg = f"{DESCRIPTION} of the folder must be as townsend wrote it ({error}); restore it or choose another folder"
        raise InputError(msg) from None


def _shortly(written: Mapping[str, Any]) -> str:
    request = written.get("request")
    made = request if isinstance(request, dict) else {}
    sources = made.get("sources")
    names = list(sources) if isinstance(sources, dict) else []
    return (
        f"{made.get('format')} files {', '.join(names[:2])}{' ...' if len(names) > 2 else ''}, other files or settings"
    )
