from __future__ import annotations

import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.files import (
    atomic_path,
    fingerprint,
    read_json,
    read_sealed,
    sha256_of,
    write_json,
    write_sealed,
    write_text,
)


def test_a_writer_that_fails_half_way_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "board.csv"
    write_text(target, "old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_alone(tmp_path, monkeypatch, call):
    target = tmp_path / "record.json"
    write_json(target, {"fits": 1})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_json(target, {"fits": 2})
    assert read_json(target) == {"fits": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_file_keeps_the_suffix_and_escapes_shard_globs(tmp_path):
    with atomic_path(tmp_path / "new" / "waveforms-0001.root") as temporary:
        assert temporary.suffix == ".root"
        assert temporary.parent == tmp_path / "new"
        assert not temporary.match("waveforms-*.root")
        temporary.write_text("x")
    assert (tmp_path / "new" / "waveforms-0001.root").read_text() == "x"


def test_a_writer_that_writes_nothing_makes_no_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b'{"a": 1', b"", b"\xff"])
def test_a_torn_json_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json must be JSON"):
        read_json(path)
    with pytest.raises(InputError, match=r"b\.json must exist"):
        read_json(tmp_path / "b.json")


def test_the_hash_of_files_sees_names_contents_and_order(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, text in zip(paths, ("1", "2", "1"), strict=True):
        path.write_text(text)
    a, b, c = paths
    assert sha256_of([a, b]) == sha256_of([a, b])
    assert len({sha256_of(some) for some in ([a, b], [b, a], [a], [c], [])}) == 5


@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=2))
def test_a_fingerprint_ignores_the_order_of_keys_but_no_value(settings):
    backwards = dict(reversed(settings.items()))
    changed = {**settings, next(iter(settings)): [settings]}
    assert fingerprint(backwards) == fingerprint(settings) != fingerprint(changed)


def test_a_sealed_file_is_read_back(tmp_path):
    write_sealed(tmp_path / "card.json", {"threshold": 0.5, "facts": {"bins": 1024}})
    found = read_sealed(tmp_path / "card.json")
    assert found.pop("seal")
    assert found == {"threshold": 0.5, "facts": {"bins": 1024}}


def test_an_edited_sealed_file_is_refused(tmp_path):
    path = tmp_path / "card.json"
    write_sealed(path, {"threshold": 0.5})
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(InputError, match="it was edited"):
        read_sealed(path)


def test_another_layout_of_a_sealed_file_is_no_edit(tmp_path):
    path = tmp_path / "card.json"
    write_sealed(path, {"b": 1, "a": [0.1, None]})
    value = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(value.items()))))
    assert read_sealed(path) == value


@pytest.mark.parametrize("text", ["{}", "[]", '{"threshold": 0.5}'])
def test_a_file_without_a_seal_is_refused(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(InputError, match="it has no seal"):
        read_sealed(tmp_path / "card.json")
