"""The worker's own door: one unit file, run and done."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from townsend import worker
from townsend.engines.base import WorkUnit
from townsend.errors import InputError
from townsend.worker import FUNCTIONS, main, run_unit


def written(tmp_path: Path, function: str) -> Path:
    path = tmp_path / "unit.json"
    path.write_text(json.dumps(WorkUnit("a", function, {"x": 1}, tmp_path).to_json()))
    return path


def test_unit_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, Mapping[str, Any]]] = []
    monkeypatch.setattr(worker, "FUNCTIONS", {"note": lambda folder, given, *further: seen.append((folder, given))})
    said = io.StringIO()
    assert main([str(written(tmp_path, "note"))], said) == 0
    assert seen == [(tmp_path, {"x": 1})]
    answer = json.loads(said.getvalue())
    assert (answer["news"], answer["usage"]["cpu_s"] > 0) == ("done", True)


def test_what_the_user_can_mend_is_a_status_and_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = io.StringIO()
    assert main([str(written(tmp_path, "train_bracke"))], said) == 2
    assert 'did you mean "train_bracket"' in caplog.text
    assert main([str(tmp_path / "none.json")], said) == 2
    assert [json.loads(line)["news"] for line in said.getvalue().splitlines()] == ["refused", "refused"]
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "Traceback" not in caplog.text


def test_only_registered_functions_are_run(tmp_path: Path) -> None:
    assert "train_bracket" in FUNCTIONS
    with pytest.raises(InputError, match=r'must be registered \(got "os\.system"\)'):
        run_unit(WorkUnit("a", "os.system", {}, tmp_path), lambda body: None)
