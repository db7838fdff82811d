"""What jobs say in files that grow: every line once, whatever the moments of looking, and nothing believed."""

from __future__ import annotations

import json
import logging
import os
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.engines import answers
from townsend.engines.answers import Answer, Answers, log_end
from townsend.engines.base import News
from townsend.engines.usage import Usage


def line(number: int, **changes: Any) -> bytes:
    """A line as a worker writes it."""
    usage = Usage(wall_s=float(number), host="node 7").to_json()
    value = {"news": "progress", "detail": "", "body": {"number": number}, "usage": usage, **changes}
    return json.dumps(value).encode() + b"\n"


def numbers(found: list[Answer]) -> list[int]:
    return [answer.body["number"] for answer in found]


def add(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0000-0.out"


# ---- each line once


def test_an_answer_is_what_the_worker_said(path: Path) -> None:
    path.write_bytes(line(3, news="failed", detail="OSError: disk full", body={"errno": 28}))
    assert Answers(path).new() == [
        Answer(News.FAILED, "OSError: disk full", {"errno": 28}, Usage(wall_s=3.0, host="node 7"))
    ]


def test_a_file_that_is_not_there_yet_says_nothing(path: Path) -> None:
    job = Answers(path)
    assert job.new() == []
    path.write_bytes(b"")
    assert job.new() == []
    add(path, line(0))
    assert numbers(job.new()) == [0]
    assert job.new() == []


@given(
    st.lists(st.sampled_from([b"", b"garbage", b"{}", b"\xff\x00"]) | st.integers(0, 99), max_size=12),
    st.lists(st.floats(0, 1), max_size=8),
)
def test_a_growing_file_gives_every_line_once_wherever_it_is_cut(lines: list[bytes | int], cuts: list[float]) -> None:
    content = b"".join(line(one) if isinstance(one, int) else one + b"\n" for one in lines)
    places = [0, *sorted(round(cut * len(content)) for cut in cuts), len(content)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "0000-0.out"
        job, found = Answers(path), list[int]()
        for start, stop in pairwise(places):
            add(path, content[start:stop])
            found += numbers(job.new())
        assert found == [one for one in lines if isinstance(one, int)]
        assert job.new() == []


def test_half_a_line_waits_for_its_other_half(path: Path) -> None:
    job, whole = Answers(path), line(5)
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        assert job.new() == []
    path.write_bytes(whole)
    assert numbers(job.new()) == [5]


def test_a_long_file_is_read_piece_by_piece(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MOST_BYTES", 100)
    path.write_bytes(b"".join(map(line, range(20))))
    job, found = Answers(path), list[int]()
    for _ in range(20 * len(line(19)) // 100 + 1):
        found += numbers(job.new())
    assert found == list(range(20))


# ---- a job that begins anew


@pytest.mark.parametrize("longer", [False, True])
def test_a_file_that_begins_anew_is_read_from_its_start(path: Path, longer: bool) -> None:
    """Also when it has become longer than it was since the last look."""
    path.write_bytes(line(0) + line(1) + line(2)[:7])
    job = Answers(path)
    assert numbers(job.new()) == [0, 1]
    again = [7, 8, 9, 10] if longer else [7]
    path.write_bytes(b"".join(map(line, again)))
    assert numbers(job.new()) == again
    add(path, line(11))
    assert numbers(job.new()) == [11]


def test_a_file_that_vanishes_and_returns_is_read_from_its_start(path: Path) -> None:
    path.write_bytes(line(0))
    job = Answers(path)
    assert numbers(job.new()) == [0]
    path.unlink()
    assert job.new() == []
    path.write_bytes(line(1))
    assert numbers(job.new()) == [1]


@given(st.integers(1, 200), st.integers(0, 5), st.integers(1, 5))
def test_nothing_of_the_old_file_is_mixed_into_the_new_one(cut: int, before: int, after: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "0000-0.out"
        path.write_bytes(b"".join(map(line, range(before))) + line(50)[:cut].rstrip(b"\n"))
        job = Answers(path)
        assert numbers(job.new()) == list(range(before))
        path.write_bytes(b"".join(line(100 + number) for number in range(after)))
        assert numbers(job.new()) == [100 + number for number in range(after)]


# ---- nothing is believed

DEEP = b"[" * 100_000 + b"]" * 100_000
GARBAGE = [b"", b"Hello", b"{", b"null", b"7", b'"text"', b"[]", b"{}", b"\xff\xfe\x00", b"1" * 5000, DEEP]
GARBAGE += [line(0, **change).rstrip() for change in ({"news": "fine"}, {"news": None}, {"news": []}, {"body": []})]
GARBAGE += [line(0, **change).rstrip() for change in ({"body": None}, {"usage": None}, {"usage": [1]}, {"usage": "x"})]
GARBAGE += [line(0).replace(b'"number": 0', b'"number": ' + DEEP).rstrip()]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_answer_is_passed_over_and_named_in_the_log(
    path: Path, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(line(1) + garbage + b"\n" + line(2))
    with caplog.at_level(logging.WARNING, answers.__name__):
        assert numbers(Answers(path).new()) == [1, 2]
    assert len(caplog.messages) == 1
    assert len(caplog.messages[0]) < 600
    assert caplog.messages[0].isprintable()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists) | st.just(10**400))
def test_any_usage_is_taken_for_what_it_is(value: Any) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "0000-0.out"
        path.write_bytes(line(4, usage={"wall_s": value, "host": value}))
        [answer] = Answers(path).new()
        assert answer.usage.wall_s is None or 0 <= answer.usage.wall_s < float("inf")
        assert len(answer.usage.host) <= 255


@pytest.mark.parametrize("pieces", [1, 7])
def test_a_huge_line_is_no_answer_and_its_end_is_none_either(
    path: Path, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it arrives; blanks in front make its end look like an answer."""
    monkeypatch.setattr(answers, "_LINE_BYTES", 1000)
    content = line(1) + b" " * 5000 + line(2) + line(3)
    job, found, step = Answers(path), list[int](), -(-len(content) // pieces)
    for start in range(0, len(content), step):
        add(path, content[start : start + step])
        found += numbers(job.new())
        assert len(job._rest) <= 1001
    assert found == [1, 3]


def test_a_line_of_just_the_allowed_length_is_an_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_LINE_BYTES", len(line(1)) - 1)
    path.write_bytes(line(1) + line(10))
    assert numbers(Answers(path).new()) == [1]


def test_a_long_detail_is_cut(path: Path) -> None:
    path.write_bytes(line(1, detail="x" * 10_000))
    assert len(Answers(path).new()[0].detail) == 2000


def test_a_folder_or_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, path: Path) -> None:
    assert Answers(tmp_path).new() == []
    path.write_bytes(line(0))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    assert Answers(path).new() == []


# ---- logs


def test_the_end_of_a_log_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "0000-0.err"
    assert log_end(path) == ""
    path.write_bytes(b"first\n\n  second \r\n\xff third\n")
    assert log_end(path) == "first | second | \ufffd third"
    path.write_bytes(b"\x1b[2J\x07 steers\n")
    assert log_end(path) == "\\x1b[2J\\x07 steers"
    path.write_text("x\n" * 10_000 + "the last words")
    assert len(log_end(path)) == 300
    assert log_end(path).endswith("x | the last words")
    assert log_end(path, 5) == "words"
