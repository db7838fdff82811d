"""Programs of a batch system: their words go to them as they are, and what they fail with is one sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from farm_programs import Programs

from townsend.engines import tool
from townsend.engines.tool import run_tool
from townsend.errors import InputError

HOSTILE = ["", " ", "a b", "it's", 'say "x"', "$(touch taken)", "`touch taken`", "; touch taken #", "x\ny", "*", "ä"]


def test_words_arrive_as_they_are_and_no_shell_sees_them(programs: Programs, tmp_path: Path) -> None:
    programs.put("squeue", "17\n")
    assert run_tool(["squeue", *HOSTILE], tmp_path) == "17\n"
    assert programs.calls("squeue") == [HOSTILE]
    assert not list(tmp_path.rglob("taken"))


def test_a_program_runs_where_it_is_to(tmp_path: Path) -> None:
    assert run_tool([sys.executable, "-c", "import os; print(os.getcwd())"], tmp_path).strip() == str(tmp_path)


def test_a_program_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"no-such-program must be on the PATH; say this where jobs are submitted"):
        run_tool(["no-such-program"])


def test_a_program_that_fails_is_quoted_in_one_line(programs: Programs) -> None:
    programs.put("sbatch", "sbatch: error:\n  invalid partition\n" + "x" * 1000, status=3)
    with pytest.raises(InputError, match=r"sbatch must succeed \(status 3, it said: .*x\)") as refused:
        run_tool(["sbatch"])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600
    programs.put("sbatch", "sbatch: error:\n  invalid partition\n", status=1)
    with pytest.raises(InputError, match=r"it said: sbatch: error: invalid partition\); mend that and repeat"):
        run_tool(["sbatch"])


def test_a_program_that_says_nothing_is_not_waited_for_without_end(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "_WAIT_S", 0.1)
    os.mkfifo(programs.folder / "fifo")
    (programs.folder / "squeue").write_text('#!/bin/sh\nexec cat "${0%/*}/fifo"\n')
    (programs.folder / "squeue").chmod(0o755)
    with pytest.raises(InputError, match=r"squeue must answer \(nothing for 0.1 s\)"):
        run_tool(["squeue"])


def test_a_program_may_say_what_is_no_text(programs: Programs) -> None:
    """A name of a file need not be UTF-8."""
    programs.put("squeue", b"latin-\xfc\n")
    assert run_tool(["squeue"]) == "latin-\ufffd\n"
    programs.put("sbatch", b"cannot open latin-\xfc", status=1)
    with pytest.raises(InputError, match="cannot open latin-\ufffd"):
        run_tool(["sbatch"])
