"""Files that travel with a job which does not see the run's folder.

What to use when
----------------
- `pack_inputs`: where jobs are submitted, archives of what a unit reads; `forget_inputs`: remove those of no job.
- `unpack_inputs`: at the job, the unit as it is to be done there.
- `pack_outputs`: at the job, what the unit has written so far, also when it was interrupted.
- `unpack_outputs`: where jobs are submitted, put what came back into its place, or refuse all of it.

An input is an archive of its own, named by the names, sizes and times of its files. So hundreds of brackets that read
the same arrays share one archive, and a record that has grown since an earlier job gets a new one. Links are followed,
and empty folders stay behind.

What comes back may have been written by anybody who has got hold of the job's machine. Its headers are therefore read
one by one and in the oldest form alone, without the extensions (links, sparse files, long names, pax) by which an
archive can say one thing and do another.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tarfile
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from townsend.engines.base import WorkUnit
from townsend.errors import InputError, printable
from townsend.files import atomic_path, fingerprint

__all__ = ["forget_inputs", "pack_inputs", "pack_outputs", "unpack_inputs", "unpack_outputs"]

_FOLDER, _INPUTS = "folder", "inputs"
_MOST_FILES = 10_000  # of one unit; a bracket has a checkpoint a fit
_MB = 1_000_000
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20


# ---- what a unit reads


def pack_inputs(unit: WorkUnit, folder: Path) -> list[Path]:
    """Return archives of a unit's inputs, those in `folder` that hold the same already among them.

    Arguments:
        unit: to be sent; relative inputs that are not there are left out.
        folder: for the archives, of any number of units.

    Raises InputError when an absolute input is missing, or a relative one leads out of the unit's folder.
    """
    return list(dict.fromkeys(_packed(unit, name, folder) for name in unit.inputs if _is_there(unit, name)))


def forget_inputs(folder: Path, needed: Collection[Path]) -> None:
    """Remove the archives that `pack_inputs` left in `folder`, but for those that are needed."""
    for archive in folder.glob("input-*.tar"):
        if archive not in needed:
            archive.unlink(missing_ok=True)


def unpack_inputs(unit: WorkUnit, archives: Iterable[Path], scratch: Path) -> WorkUnit:
    """Unpack inputs into `scratch` and return the unit that reads and writes there.

    Arguments:
        unit: as it was packed.
        archives: of `pack_inputs`.
        scratch: folder of the job.

    Every string among the arguments, at any depth, that is an absolute input or lies below one is replaced by where
    that is now; keys are not. Inputs that lie in one folder do so again, since a file may name another beside it.

    Raises InputError when an archive is damaged.
    """
    scratch = scratch.absolute()
    (scratch / _FOLDER).mkdir(parents=True, exist_ok=True)
    for archive in archives:
        _unpack_input(archive, scratch)
    absolute = [name for name in unit.inputs if Path(name).is_absolute()]
    places = {name: str(scratch / _place(name)) for name in sorted(absolute, key=len, reverse=True)}
    inputs = tuple(places.get(name, name) for name in unit.inputs)
    return replace(unit, folder=scratch / _FOLDER, arguments=_moved(dict(unit.arguments), places), inputs=inputs)


def _is_there(unit: WorkUnit, name: str) -> bool:
    if not Path(name).is_absolute():
        if not _is_plain(name):
            msg = f"an input must be absolute or lie in its unit's folder (got {printable(name)}); give its full name"
            raise InputError(msg)
        return (unit.folder / name).exists()
    if not Path(name).exists():
        msg = f"{printable(name)} must exist, since unit {unit.name} reads it; restore it and repeat the command"
        raise InputError(msg)
    return True


def _packed(unit: WorkUnit, name: str, folder: Path) -> Path:
    source = unit.folder / name  # an absolute name stays what it is
    place = PurePosixPath(_place(name))
    entries = [(str(place / path.relative_to(source)), path) for path in _files(source)]
    stats = [(entry, path.stat()) for entry, path in entries]
    seen = [[entry, stat.st_size, stat.st_mtime_ns] for entry, stat in stats]
    target = folder / f"input-{fingerprint(seen)}.tar"
    if not target.is_file():
        _write(target, entries, tarfile.GNU_FORMAT)
    return target


def _place(name: str) -> str:
    """Return where an input lies in archives and in the job's scratch, whatever unit it is read by."""
    path = Path(name)
    return f"{_INPUTS}/{fingerprint(str(path.parent))}/{path.name}" if path.is_absolute() else f"{_FOLDER}/{name}"


def _unpack_input(archive: Path, scratch: Path) -> None:
    try:
        with tarfile.open(archive, "r:", encoding="utf-8") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.type == tarfile.REGTYPE else None
                if source is None or not _is_plain(member.name):
                    msg = f"{printable(member.name)} is no file that was packed"
                    raise tarfile.TarError(msg)
                target = scratch / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as stream:
                    shutil.copyfileobj(source, stream, _CHUNK)
    except (tarfile.TarError, FileNotFoundError, EOFError) as error:
        msg = f"{archive} must be as it was packed ({error}); it was damaged on its way, submit the job again"
        raise InputError(msg) from None


def _moved(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved(inner, places) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_moved(inner, places) for inner in value]
    return _moved_name(value, places) if isinstance(value, str) else value


def _moved_name(text: str, places: Mapping[str, str]) -> str:
    if text in places:
        return places[text]
    for name, place in places.items():
        if text.startswith(inside := name.rstrip("/") + "/"):
            return f"{place}/{text.removeprefix(inside)}"
    return text


# ---- what a unit has written


def pack_outputs(unit: WorkUnit, target: Path) -> None:
    """Write an archive of those outputs that are there, whole or not at all.

    An output whose name has a suffix is a file, any other a folder of files; what begins with a dot in one is still
    being written and stays behind.

    Raises InputError when a name or a file is too long for the archive.
    """
    entries = []
    for name in unit.outputs:
        root = unit.folder / name
        inner = [(path.relative_to(root).parts, path) for path in _files(root)]
        entries += [("/".join((name, *parts)), path) for parts, path in inner if not any(p[0] == "." for p in parts)]
    # The unit may be at work meanwhile: its JSON files say what counts in the others, which may then only be newer.
    entries.sort(key=lambda entry: (not _is_json(entry[0]), entry[0]))
    try:
        _write(target, entries, tarfile.USTAR_FORMAT)
    except ValueError as error:
        msg = f"outputs of unit {unit.name} must fit into {target.name} ({error}); give them shorter names"
        raise InputError(msg) from None


def unpack_outputs(archive: Path, unit: WorkUnit, most_mb: float) -> list[Path]:
    """Put the outputs that a job has sent back into the unit's folder, all of them or none.

    Arguments:
        archive: of `pack_outputs`, or of somebody who says so.
        unit: whose job it was.
        most_mb: size of all its files together, megabytes, > 0.

    Only regular files that are among the unit's outputs are taken. JSON must parse, and .npz files must hold plain
    numbers or text. Files are put in place with JSON last, since it says what counts in the others.

    Returns the files. Raises InputError, with the folder as it was before, when anything in the archive breaks a rule.
    """
    if not archive.is_file():
        msg = f"{archive} must come back from the job of unit {unit.name} (it did not); see the job's log"
        raise InputError(msg)
    staging = unit.folder / f".returned-{fingerprint(unit.name)}"
    shutil.rmtree(staging, ignore_errors=True)  # left by a process that was killed here
    try:
        with archive.open("rb") as stream:
            members = _members(stream, archive)
            _judge(members, unit, most_mb, archive)
            staging.mkdir(parents=True)
            staged = {member.name: staging / f"{number}" for number, member in enumerate(members)}
            for member in members:
                _extract(stream, member, staged[member.name])
                _check_contents(staged[member.name], member.name, most_mb, archive)
        return [_put(staged[name], unit.folder / name) for name in sorted(staged, key=lambda n: (_is_json(n), n))]
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refusal(archive: Path, rule: str, got: str) -> InputError:
    remedy = "nothing of it was used, look at the job's machine and submit the job again"
    return InputError(f"{archive}, which came back from a job, must {rule} (got {printable(got)}); {remedy}")


def _members(stream: BinaryIO, archive: Path) -> list[tarfile.TarInfo]:
    """Return the headers of an archive; `offset_data` says where each file is, inside the archive for certain."""
    end = os.fstat(stream.fileno()).st_size
    found: list[tarfile.TarInfo] = []
    while (header := stream.read(_BLOCK)) != bytes(_BLOCK):
        if len(found) == _MOST_FILES:
            raise _refusal(archive, f"hold at most {_MOST_FILES} files", "more")
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise _refusal(archive, "be a whole archive", f"{error} at byte {stream.tell()}") from None
        member.offset_data = stream.tell()
        if member.type != tarfile.REGTYPE:
            raise _refusal(archive, "hold regular files alone", f"{member.name} of type {member.type!r}")
        if not 0 <= member.size <= end - member.offset_data:
            raise _refusal(archive, "be a whole archive", f"{member.name} of {member.size} bytes")
        stream.seek(-(-member.size // _BLOCK) * _BLOCK, os.SEEK_CUR)
        found.append(member)
    return found


def _judge(members: Sequence[tarfile.TarInfo], unit: WorkUnit, most_mb: float, archive: Path) -> None:
    """Raise InputError unless all files are outputs of the unit, of different names, and small enough."""
    names: set[str] = set()
    for member in members:
        if not (_is_plain(member.name) and _is_output(member.name, unit.outputs)):
            raise _refusal(archive, f"hold outputs of unit {unit.name} alone", member.name)
        if member.name in names:
            raise _refusal(archive, "hold a file once", f"{member.name} twice")
        names.add(member.name)
    for name in sorted(names):
        parents = PurePosixPath(name).parents
        in_the_way = any(str(parent) in names or (unit.folder / parent).is_file() for parent in parents)
        if in_the_way or (unit.folder / name).is_dir():
            raise _refusal(archive, "hold files where files are and folders where folders are", name)
    total_mb = sum(member.size for member in members) / _MB
    if total_mb > most_mb:
        raise _refusal(archive, f"hold at most {most_mb:g} MB", f"{total_mb:.6g} MB")


def _is_output(name: str, outputs: Iterable[str]) -> bool:
    return any(name == one if PurePosixPath(one).suffix else name.startswith(f"{one}/") for one in outputs)


def _extract(stream: BinaryIO, member: tarfile.TarInfo, target: Path) -> None:
    stream.seek(member.offset_data)
    left = member.size
    with target.open("xb") as copy:
        while left > 0 and (chunk := stream.read(min(left, _CHUNK))):
            copy.write(chunk)
            left -= len(chunk)


def _put(staged: Path, target: Path) -> Path:
    with atomic_path(target) as temporary:
        staged.replace(temporary)
    return target


# ---- what is in the files


def _check_contents(path: Path, name: str, most_mb: float, archive: Path) -> None:
    try:
        if _is_json(name):
            json.loads(path.read_text(encoding="utf-8"))
        elif name.endswith(".npz"):
            _check_npz(path, most_mb)
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes surface as almost any exception
        rule = f"hold {printable(name)} as townsend writes it"
        raise _refusal(archive, rule, f"{type(error).__name__}: {error}") from None


def _check_npz(path: Path, most_mb: float) -> None:
    """Raise ValueError, or what zipfile raises, unless all arrays are whole, plain, and as large as they say."""
    with path.open("rb") as file, zipfile.ZipFile(file) as zipped:
        file.seek(0)
        if file.read(2) != b"PK":  # NumPy goes by how a file begins, zipfile by how it ends
            msg = "a file of another kind"
            raise ValueError(msg)
        members = zipped.infolist()
        unpacked_mb = sum(member.file_size for member in members) / _MB
        if unpacked_mb > most_mb:
            msg = f"unpacked it has {unpacked_mb:.6g} MB"
            raise ValueError(msg)
        for member in members:
            with zipped.open(member) as stream:
                # At the end of the file at the latest, its checksum is compared.
                expected = _size_of_array(stream)
                size = member.file_size - stream.tell()
                while stream.read(_CHUNK):
                    pass
            if size != expected:
                msg = f"array {member.filename} has {size} bytes, not {expected}"
                raise ValueError(msg)


def _size_of_array(stream: Any) -> int:
    """Return how many bytes the header of an array promises; raises ValueError when it holds Python objects."""
    from numpy.lib import format as npy  # late: whoever only names an engine needs no numerical library

    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, kind = read(stream)
    if kind.hasobject:
        msg = "an array of Python objects"
        raise ValueError(msg)
    if any(length < 0 for length in shape):
        msg = f"an array of shape {shape}"
        raise ValueError(msg)
    return math.prod(shape) * kind.itemsize


# ---- names and archives


def _is_json(name: str) -> bool:
    return name.endswith(".json")


def _is_plain(name: str) -> bool:
    """Whether a relative name stays in its folder whatever that holds, but for links."""
    return all(part not in ("", ".", "..") for part in name.split("/")) and "\0" not in name


def _files(root: Path, inside: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the regular files at or below a path, in order; links are followed, but not back into their own folder."""
    if root.is_file():
        yield root
    elif root.is_dir() and (real := root.resolve()) not in inside:
        for path in sorted(root.iterdir()):
            yield from _files(path, inside | {real})


def _write(target: Path, entries: Iterable[tuple[str, Path]], form: int) -> None:
    """Write an archive that depends on names and contents alone."""
    with atomic_path(target) as temporary, tarfile.open(temporary, "w", format=form, encoding="utf-8") as tar:
        for name, path in entries:
            with suppress(FileNotFoundError), path.open("rb") as stream:  # taken away since it was looked for
                header = tarfile.TarInfo(name)  # whose owner and times are zero
                header.size = os.fstat(stream.fileno()).st_size
                tar.addfile(header, stream)
