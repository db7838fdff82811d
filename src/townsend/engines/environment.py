"""A copy of what townsend needs at run time, for machines that have a Python and nothing else.

What to use when
----------------
- `pack_environment`: an archive of townsend, all it requires, and tasks of others that are installed beside it.
- `unpack_lines`: lines of a job's script that unpack it and let Python find it.

The archive is made of what is installed here, so that jobs compute with the versions that the coordinator has. It fits
machines with the same minor version of Python and the same kind of system; wheels for Linux are made for any of them
that is not older than the wheels' own promise.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shlex
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points
from pathlib import Path, PurePosixPath

from townsend.errors import InputError
from townsend.files import atomic_path, fingerprint, sha256_of

__all__ = ["pack_environment", "unpack_lines"]

_OWN = "townsend"
_LIBRARY = "lib"
_LEVEL = 1  # of gzip: each further one takes longer than it saves in transfer
_REMEDY = "or let the jobs use this machine's files with `environment: shared`"
_BAD_PYTHON = 2

_LINES = """\
unset PYTHONHOME
"$python" -I -S -c 'import sys; sys.exit(sys.version_info[:2] != ({major}, {minor}))' || {{
    found="$("$python" -V 2>&1 || true)"
    echo "python must be {major}.{minor} on the jobs' machines, as it is where they are submitted" >&2
    echo "(got $python: $found); name another in the site file, python: ..." >&2
    exit {status}
}}
mkdir -p "$scratch/env"
"$python" -I -S -m tarfile -e {archive} "$scratch/env"
export PYTHONPATH="$scratch/env/{library}${{PYTHONPATH:+:$PYTHONPATH}}" PYTHONNOUSERSITE=1
"""


def pack_environment(folder: Path, extra: Sequence[str] = ()) -> Path:
    """Write an archive of the running environment, unless `folder` has the very same already.

    Arguments:
        folder: for the archive, some 320 MB.
        extra: names of further distributions, such as `torch`; what they require comes with them.

    Returns the archive. Raises InputError when a distribution is missing, linked to its sources, or does not know its
    files; townsend itself may be linked.
    """
    distributions = _closure([_OWN, *_plug_ins(), *extra])
    own = dict(_own_files())
    # A RECORD has the hashes of all files of its distribution.
    seen = {one.name: [one.version, _hash(one.read_text("RECORD") or "")] for one in distributions}
    sources = {name: sha256_of([path]) for name, path in own.items()}
    python = [*sys.version_info[:2], sysconfig.get_platform()]
    target = folder / f"environment-{fingerprint([python, seen, sources])}.tar.gz"
    if not target.is_file():
        _write(target, {**dict(_installed_files(distributions)), **own})
    return target


def unpack_lines(archive: str) -> str:
    """Return lines of a POSIX shell script that unpack an environment.

    Arguments:
        archive: name of it, as seen from where the job begins.

    `$python` and `$scratch` must name an interpreter and a folder of the job. Behind these lines,
    `"$python" -S -P -m townsend.worker` works; without -S, Python would also look at what is installed on that machine,
    where libraries try to import much that they do not need. A Python of another minor version ends the script with
    status 2.
    """
    major, minor = sys.version_info[:2]
    return _LINES.format(major=major, minor=minor, status=_BAD_PYTHON, archive=shlex.quote(archive), library=_LIBRARY)


# ---- which distributions


def _plug_ins() -> list[str]:
    """Return the distributions that register something with townsend."""
    groups = {point.group for point in _found(_OWN).entry_points if point.group.startswith(f"{_OWN}.")}
    points = (point for group in sorted(groups) for point in entry_points(group=group))
    return sorted({point.dist.name for point in points if point.dist is not None})


def _closure(names: Iterable[str]) -> list[Distribution]:
    """Return distributions and all that they require here, in order of their names."""
    # Imported here: only jobs that bring their environment along need it.
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    left = [Requirement(name) for name in names]
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if name not in found:
            found[name] = _found(wanted.name)
        needs = [Requirement(text) for text in found[name].requires or ()]
        for extra in {"", *wanted.extras}:
            if (name, extra) not in seen:  # whoever requires each other is looked at once
                seen.add((name, extra))
                left += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return [found[name] for name in sorted(found)]


def _found(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        msg = f"{name} must be installed to travel with jobs (it is not); install it with pip, {_REMEDY}"
        raise InputError(msg) from None


# ---- which files


def _installed_files(distributions: Iterable[Distribution]) -> Iterator[tuple[str, Path]]:
    """Yield names below the library and paths of what is installed, of townsend itself the metadata alone."""
    for one in distributions:
        name, files = one.name, one.files  # each access reads the metadata anew
        own = name == _OWN
        if files is None or (not own and _is_linked(one)):
            how = "it has no list of its files" if files is None else "it is linked to its sources"
            msg = f"{name} must be installed by pip and not with -e to travel with jobs ({how}); do so, {_REMEDY}"
            raise InputError(msg)
        for file in files:
            path = Path(str(one.locate_file(file)))
            if _travels(file) and (not own or file.parts[0].endswith(".dist-info")) and path.is_file():
                yield str(file), path


def _is_linked(one: Distribution) -> bool:
    origin = json.loads(one.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def _travels(file: PurePosixPath) -> bool:
    """Whether a file is in the library itself and needed there: not scripts, byte code and lists of folders."""
    return ".." not in file.parts and "__pycache__" not in file.parts and file.suffix != ".pth"


def _own_files() -> Iterator[tuple[str, Path]]:
    """Yield names and paths of townsend's own files, wherever it is linked to."""
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*")):
        name = PurePosixPath(_OWN, *path.relative_to(root).parts)
        if path.is_file() and _travels(name):
            yield str(name), path


# ---- the archive


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(target: Path, files: dict[str, Path]) -> None:
    with (
        atomic_path(target) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,  # which would write its name and the time by itself
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name in sorted(files):
            with files[name].open("rb") as stream:
                header = tarfile.TarInfo(f"{_LIBRARY}/{name}")
                found = os.fstat(stream.fileno())
                header.size = found.st_size
                header.mode = 0o755 if found.st_mode & 0o100 else 0o644  # some libraries start programs of their own
                tar.addfile(header, stream)
