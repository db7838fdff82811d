"""Files that travel with a job: there, back, and what is refused of what comes back."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import parse
from townsend.engines import transfer
from townsend.engines.base import WorkUnit
from townsend.engines.transfer import forget_inputs, pack_inputs, pack_outputs, unpack_inputs, unpack_outputs
from townsend.errors import InputError
from townsend.experiments.drifttube.simulation import simulate
from townsend.experiments.drifttube.simulation.noise_preset import read_preset, shipped_preset, write_preset
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.sample.root_io import read_root

OUTPUTS = ("records/0003.json", "records/0003.npz", "checkpoints/0003")
NAMES = ("plain.txt", "with space, comma.txt", 'it\'s "quoted".txt', "two\nlines.txt", "Rohr-ü-管.txt", "n" * 200)


def bracket(folder: Path, **changes: Any) -> WorkUnit:
    inputs = ("arrays", *OUTPUTS)
    return replace(WorkUnit("bracket 3", "train_bracket", {"x": 1}, folder, inputs, OUTPUTS), **changes)


def write(path: Path, content: bytes | str = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return everything below a folder, hidden files too; folders are None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


# ---- there


def test_inputs_arrive_whatever_their_names(tmp_path: Path) -> None:
    data = tmp_path / "data, 'all' of it\n"
    for name in NAMES:
        write(tmp_path / "run" / "arrays" / "fold-0" / name, name)
        write(data / "inner" / name, name)
    unit = bracket(tmp_path / "run", inputs=("arrays", "records/0003.json", str(data), str(data / "inner" / NAMES[1])))
    found = unpack_inputs(unit, pack_inputs(unit, tmp_path / "jobs"), tmp_path / "scratch")
    assert found.folder == tmp_path / "scratch" / "folder"
    assert {path.name: path.read_text() for path in (found.folder / "arrays" / "fold-0").iterdir()} == {
        n: n for n in NAMES
    }
    there = Path(found.inputs[2])
    assert {path.name: path.read_text() for path in (there / "inner").iterdir()} == {n: n for n in NAMES}
    assert Path(found.inputs[3]).read_text() == NAMES[1]
    assert not (found.folder / "records").exists()  # what was not there is left out


def test_arguments_name_files_where_they_are_now(tmp_path: Path) -> None:
    sample = write(tmp_path / "mc" / "shard-0000.root").parent
    table = write(tmp_path / "set up" / "noise.yaml")
    write(table.with_suffix(".csv"), "beside")
    arguments = {
        "sample": str(sample),
        "deep": [{"shard": f"{sample}/shard-0000.root", "noise": [str(table), 1.5, None, True]}],
        "not": [f"{sample}-2/shard.root", f" {sample}", "mc", str(tmp_path)],
        str(sample): "keys stay",
    }
    inputs = (str(sample), str(table), str(table.with_suffix(".csv")))
    unit = bracket(tmp_path / "run", arguments=arguments, inputs=inputs)
    found = unpack_inputs(unit, pack_inputs(unit, tmp_path / "jobs"), tmp_path / "scratch")
    for name in (
        found.arguments["sample"],
        found.arguments["deep"][0]["shard"],
        found.arguments["deep"][0]["noise"][0],
    ):
        assert Path(name).is_relative_to(tmp_path / "scratch")
        assert Path(name).exists()
    noise = found.arguments["deep"][0]["noise"]
    assert Path(noise[0]).with_suffix(".csv").read_text() == "beside"
    assert noise[1:] == [1.5, None, True]
    assert found.arguments["not"] == arguments["not"]
    assert found.arguments[str(sample)] == "keys stay"
    assert WorkUnit.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_units_that_read_the_same_share_archives(tmp_path: Path) -> None:
    run, jobs, data = tmp_path / "run", tmp_path / "jobs", write(tmp_path / "data.root")
    write(run / "arrays" / "train.npz", bytes(1000))
    first = pack_inputs(bracket(run, inputs=("arrays", str(data))), jobs)
    write(run / "records" / "0004.json", "{}")
    second = pack_inputs(bracket(run, inputs=(str(data), "arrays", "records/0004.json")), jobs)
    assert len(first) == 2
    assert set(first) < set(second)
    assert len(second) == len(list(jobs.iterdir())) == 3

    write(run / "records" / "0004.json", '{"grown": 1}')
    third = pack_inputs(bracket(run, inputs=("records/0004.json",)), jobs)
    assert set(third).isdisjoint(second)
    forget_inputs(jobs, third)
    assert list(jobs.iterdir()) == third


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for inner in sorted(NAMES, reverse=name == "a"):
            write(tmp_path / name / "arrays" / inner, inner)
            os.chmod(tmp_path / name / "arrays" / inner, 0o600 if name == "a" else 0o777)  # noqa: PTH101
            os.utime(tmp_path / name / "arrays" / inner, ns=(0, 0 if name == "a" else 10**18))
    [first] = pack_inputs(bracket(tmp_path / "a"), tmp_path / "jobs")
    [second] = pack_inputs(bracket(tmp_path / "b"), tmp_path / "jobs")
    assert first != second  # the times of change differ, and with them the names
    assert first.read_bytes() == second.read_bytes()


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    arrays = write(tmp_path / "run" / "arrays" / "train.npz", "here").parent
    write(tmp_path / "elsewhere" / "big.npz", "there")
    (arrays / "far").symlink_to(tmp_path / "elsewhere")
    (arrays / "big.npz").symlink_to(tmp_path / "elsewhere" / "big.npz")
    (arrays / "loop").symlink_to(tmp_path / "run")
    (tmp_path / "elsewhere" / "back").symlink_to(arrays)
    (arrays / "itself").symlink_to(arrays / "itself")
    (arrays / "gone").symlink_to(tmp_path / "gone")
    os.mkfifo(arrays / "pipe")
    unit = bracket(tmp_path / "run")
    found = unpack_inputs(unit, pack_inputs(unit, tmp_path / "jobs"), tmp_path / "scratch").folder / "arrays"
    assert {"train.npz", "big.npz", "far", "far/big.npz"} <= set(tree(found))
    assert (found / "far" / "big.npz").read_text() == (found / "big.npz").read_text() == "there"
    assert not any(path.is_symlink() for path in found.rglob("*"))
    assert not {"itself", "gone", "pipe"} & {path.name for path in found.rglob("*")}


def test_input_that_cannot_travel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.root must exist, since unit bracket 3 reads it"):
        pack_inputs(bracket(tmp_path, inputs=(str(tmp_path / "gone.root"),)), tmp_path / "jobs")
    for name in ("../arrays", "arrays/../../x", "", "a//b"):
        with pytest.raises(InputError, match="must be absolute or lie in its unit's folder"):
            pack_inputs(bracket(tmp_path, inputs=(name,)), tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


def test_damaged_input_is_refused_at_the_job(tmp_path: Path) -> None:
    write(tmp_path / "run" / "arrays" / "train.npz", bytes(5000))
    unit = bracket(tmp_path / "run")
    [archive] = pack_inputs(unit, tmp_path / "jobs")
    archive.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(InputError, match="must be as it was packed"):
        unpack_inputs(unit, [archive], tmp_path / "scratch")
    hostile = hostile_archive(tmp_path, {"../out.txt": b"x"})
    with pytest.raises(InputError, match=r"\.\./out\.txt is no file that was packed"):
        unpack_inputs(unit, [hostile], tmp_path / "scratch")
    assert not (tmp_path / "out.txt").exists()


# ---- and back


def done(folder: Path) -> WorkUnit:
    """Return a unit that has written everything."""
    write(folder / "records" / "0003.json", '{"complete": false}')
    write(
        folder / "records" / "0003.npz",
        npz(weight0=np.arange(6.0).reshape(2, 3), text=np.array("sé"), none=np.empty(0)),
    )
    write(folder / "checkpoints" / "0003" / "7.npz", npz(state=np.float32(1)))
    write(folder / "checkpoints" / "0003" / "deep" / "8.npz", npz(big=np.zeros(100_000)))
    return bracket(folder)


def test_outputs_come_back_and_nothing_else_does(tmp_path: Path) -> None:
    there = done(tmp_path / "there")
    expected = {name: content for name, content in tree(there.folder).items() if content is not None}
    write(there.folder / "checkpoints" / "0003" / ".9.0123.npz", "half written")
    write(there.folder / "checkpoints" / "0004" / "7.npz", "of another bracket")
    write(there.folder / "programs" / "x")
    pack_outputs(there, tmp_path / "back.tar")
    here = bracket(tmp_path / "here")
    write(here.folder / "records" / "0003.json", "{}")
    write(here.folder / "records" / "0002.json", "{}")
    found = unpack_outputs(tmp_path / "back.tar", here, 10)
    assert {str(path.relative_to(here.folder)): path.read_bytes() for path in found} == expected
    assert found[-1].name == "0003.json"  # what counts in the others is put in place last
    everything = {name for name, content in tree(here.folder).items() if content is not None}
    assert everything == {*expected, "records/0002.json"}


def test_nothing_written_yet_comes_back_as_nothing(tmp_path: Path) -> None:
    pack_outputs(bracket(tmp_path / "there"), tmp_path / "back.tar")
    (tmp_path / "here").mkdir()
    assert unpack_outputs(tmp_path / "back.tar", bracket(tmp_path / "here"), 10) == []
    assert set(tree(tmp_path)) == {"back.tar", "here"}


def test_outputs_of_odd_names_come_back(tmp_path: Path) -> None:
    names = tuple(name for name in NAMES if len(name) < 100)
    for name in names:
        write(tmp_path / "there" / "all of them" / name, name)
    outputs = ("all of them", *names)
    unit = bracket(tmp_path / "there", outputs=outputs)
    pack_outputs(unit, tmp_path / "back.tar")
    found = unpack_outputs(tmp_path / "back.tar", replace(unit, folder=tmp_path / "here"), 1)
    assert {path.name for path in found} == set(names)
    write(tmp_path / "there" / "all of them" / NAMES[-1])
    with pytest.raises(InputError, match=r"must fit into back\.tar"):
        pack_outputs(unit, tmp_path / "back.tar")


def test_sample_made_of_copies_is_the_one_made_of_the_users_files(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    preset = write_preset(read_preset(shipped_preset()), mine / "our noise.yaml")
    rows = [f"{0.1 * i},{np.sin(0.1 * np.pi * i / 10) ** 2}" for i in range(101)]
    response = write(mine / "response.csv", "\n".join(["time_ns,response", *rows]))
    electronics, noise = {"impulse_response": str(response)}, {"spectrum": str(preset)}
    settings = DriftTubeSettings.model_validate({"electronics": electronics, "noise": noise})
    simulate.simulate_shard(settings, 0, 3, tmp_path / "here.root")
    expected = read_root(tmp_path / "here.root")
    shard = tmp_path / "run" / "waveforms-00000.root"
    unit = simulate._unit(settings, expected.provenance.sources, 0, 3, shard)
    archives = pack_inputs(unit, tmp_path / "jobs")
    assert len(unit.inputs) == 3  # the preset's CSV too, which no argument names
    mine.rename(tmp_path / "out of sight")

    there = unpack_inputs(unit, archives, tmp_path / "scratch")
    given = there.arguments
    copied = parse(DriftTubeSettings, given["settings"])
    simulate.simulate_shard(copied, 0, 3, there.folder / given["file"], given["described"])
    pack_outputs(there, tmp_path / "back.tar")
    assert unpack_outputs(tmp_path / "back.tar", unit, 10) == [shard]
    found = read_root(shard)
    assert np.array_equal(found.samples, expected.samples)
    assert found.provenance == expected.provenance
    assert set(found.provenance.sources) == {str(response), str(preset), str(preset.with_suffix(".csv"))}


# ---- what is refused


def hostile_archive(
    folder: Path, files: Mapping[str, bytes | tarfile.TarInfo], form: int = tarfile.USTAR_FORMAT
) -> Path:
    """Write an archive with whatever headers."""
    with tarfile.open(folder / "hostile.tar", "w", format=form) as tar:
        for name, content in files.items():
            header = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                header.size = len(content)
            tar.addfile(header, io.BytesIO(content) if isinstance(content, bytes) else None)
    return folder / "hostile.tar"


def refused(tmp_path: Path, archive: Path, rule: str, most_mb: float = 1, outputs: tuple[str, ...] = OUTPUTS) -> str:
    """Return the sentence of a refusal, after which everything is as it was."""
    unit = bracket(tmp_path / "run", outputs=outputs)
    write(unit.folder / "records" / "0003.json", '{"kept": 1}')
    before = tree(tmp_path)
    with pytest.raises(InputError, match=rule) as caught:
        unpack_outputs(archive, unit, most_mb)
    assert tree(tmp_path) == before
    return str(caught.value)


def typed(kind: bytes, name: str = "checkpoints/0003/7.npz", target: str = "/etc/passwd") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


GOOD = {"records/0003.json": b"{}"}


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"V"],
)
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    archive = hostile_archive(tmp_path, {**GOOD, "x": typed(kind)})
    assert "submit the job again" in refused(tmp_path, archive, "must hold regular files alone")


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "checkpoints/0003/../../x.npz",
        "checkpoints/0003/../../../x",
        "checkpoints//0003/x",
        "./records/0003.json",
        "checkpoints/0003/.",
        "checkpoints/0003/",
        "checkpoints/0003",
        "checkpoints/00031",
        "records/0003.json/x",
        "records/0004.json",
        "run.json",
        "records",
        "",
    ],
)
def test_name_that_is_not_among_the_outputs_is_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path, hostile_archive(tmp_path, {**GOOD, name: b"{}"}), "must hold outputs of unit bracket 3 alone")


def test_message_cannot_steer_a_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in refused(tmp_path, hostile_archive(tmp_path, {"\x1b[2J": b""}), r"got \\x1b\[2J\)")


def test_duplicates_and_files_for_folders_are_refused(tmp_path: Path) -> None:
    twice = [typed(tarfile.REGTYPE), typed(tarfile.REGTYPE)]
    archive = hostile_archive(tmp_path, {**GOOD, "a": twice[0], "b": twice[1]})
    refused(tmp_path, archive, "hold a file once")
    below = {"checkpoints/0003/a": b"", "checkpoints/0003/a/b": b""}
    refused(tmp_path, hostile_archive(tmp_path, below), "files where files are and folders where folders are")
    write(tmp_path / "run" / "checkpoints" / "0003" / "dir" / "file")
    for name in ("checkpoints/0003/dir", "checkpoints/0003/dir/file/x"):
        refused(tmp_path, hostile_archive(tmp_path, {name: b""}), "files where files are")


def test_what_is_too_large_or_too_many_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = {"checkpoints/0003/a": bytes(600_000), "checkpoints/0003/b": bytes(600_000)}
    archive = hostile_archive(tmp_path, two)
    refused(tmp_path, archive, r"hold at most 1 MB \(got 1\.2 MB\)")
    assert len(unpack_outputs(archive, bracket(tmp_path / "run"), 1.2)) == 2
    monkeypatch.setattr(transfer, "_MOST_FILES", 1)
    refused(tmp_path, archive, "hold at most 1 files")


@pytest.mark.parametrize("size", [10**6, 10**11, -1, -(10**12)])
def test_size_that_is_only_claimed_is_refused(tmp_path: Path, size: int) -> None:
    header = typed(tarfile.REGTYPE)
    header.size = size
    # GNU's own form of a number is the only one that can be negative.
    archive = write(tmp_path / "hostile.tar", header.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    refused(tmp_path, archive, f"must be a whole archive .got checkpoints/0003/7.npz of {size} bytes", most_mb=10**9)


@pytest.mark.parametrize("length", [0, 100, 700, 1024])
def test_archive_that_ends_early_is_refused(tmp_path: Path, length: int) -> None:
    there = bracket(tmp_path / "there")
    write(there.folder / "records" / "0003.json", json.dumps("x" * 500))
    pack_outputs(there, tmp_path / "whole.tar")
    torn = write(tmp_path / "torn.tar", (tmp_path / "whole.tar").read_bytes()[:length])
    refused(tmp_path, torn, "must be a whole archive")


def test_archive_that_did_not_come_or_is_none_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, tmp_path / "none.tar", "must come back from the job of unit bracket 3")
    refused(tmp_path, write(tmp_path / "text", "no archive " * 100), "must be a whole archive")


@pytest.mark.parametrize(
    "headers",
    [
        {"path": "/etc/x"},
        {"size": "3"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999999999"},
    ],
)
def test_pax_headers_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    header = typed(tarfile.REGTYPE)
    header.pax_headers = headers
    archive = hostile_archive(tmp_path, {"x": header}, tarfile.PAX_FORMAT)
    refused(tmp_path, archive, "must hold regular files alone")


def test_long_names_and_sparse_files_are_refused(tmp_path: Path) -> None:
    long = {"checkpoints/0003/" + "x" * 200: b""}
    refused(tmp_path, hostile_archive(tmp_path, long, tarfile.GNU_FORMAT), "must hold regular files alone")
    sparse = {"checkpoints/0003/x": typed(tarfile.GNUTYPE_SPARSE)}
    refused(tmp_path, hostile_archive(tmp_path, sparse), "must hold regular files alone")


@pytest.mark.parametrize("text", [b"", b'{"a": ', b"\xff{}", b"[" * 100_000])
def test_json_that_does_not_parse_is_refused(tmp_path: Path, text: bytes) -> None:
    refused(tmp_path, hostile_archive(tmp_path, {"records/0003.json": text}), r"hold records/0003\.json as townsend")


def promised(shape: tuple[int, ...], content: bytes = bytes(24)) -> bytes:
    """Return an archive with an array whose header says another shape than its bytes have."""
    array, stream = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(stream, "w") as zipped:
        zipped.writestr("a.npy", array.getvalue() + content)
    return stream.getvalue()


def bomb() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.zeros(1_000_000))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (npz(a=np.array([{"x": 1}], object)), "Python objects"),
        (npz(a=np.zeros(2, [("x", "O")])), "Python objects"),
        (promised((10**15,)), "not 8000000000000000"),
        (promised((-1, -3)), "shape"),
        (promised((2,)), "24 bytes, not 16"),
        (bomb(), "unpacked it has 8.00013 MB"),
        (npz(a=np.zeros(9))[:-30], "not a zip file"),
        (npz(a=np.full(99, 7.0)).replace(b"\x1c@", b"\x1d@", 1), "Bad CRC-32"),
        (b"\x93NUMPY" + npz(a=np.zeros(3)), "another kind"),
        (b"no archive", "not a zip file"),
    ],
)
def test_arrays_that_are_not_plain_and_whole_are_refused(tmp_path: Path, content: bytes, why: str) -> None:
    for name in ("records/0003.npz", "checkpoints/0003/deep/7.npz"):
        assert why in refused(tmp_path, hostile_archive(tmp_path, {**GOOD, name: content}), "as townsend writes it")


NAME_PARTS = st.sampled_from(["..", ".", "", "out", "a", "~", "\\", "C:", "..\\x", " ", "\n", "a.json"]) | st.text(
    max_size=4
)


@given(st.lists(NAME_PARTS, min_size=1, max_size=5).map("/".join), st.booleans())
def test_no_name_leads_out_of_the_outputs(name: str, below: bool) -> None:
    with TemporaryDirectory() as place:
        root = Path(place)
        unit = bracket(root / "run", outputs=("out",))
        header = tarfile.TarInfo(f"out/{name}" if below else name)
        header.size = 2
        raw = header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogatepass") + b"{}".ljust(512, b"\0") + bytes(1024)
        archive = write(root / "hostile.tar", raw)
        try:
            found = unpack_outputs(archive, unit, 1)
        except InputError:
            assert set(tree(root)) == {"hostile.tar"}
        else:
            [path] = found
            assert path.resolve().is_relative_to((root / "run" / "out").resolve())
            assert {p.name for p in root.iterdir()} == {"hostile.tar", "run"}
            assert [p.name for p in (root / "run").iterdir()] == ["out"]
