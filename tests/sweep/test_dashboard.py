"""Optuna's dashboard, asked over the loopback as a browser would ask it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from written_sweep import fit, write_sweep

from townsend.errors import InputError
from townsend.sweep.dashboard import HOST, dashboard
from townsend.training.records import Outcome

RECORDS = [fit(0, 0.8), fit(1, 0.95), fit(2, 0.0, Outcome.PRUNED, epochs=3, figures=(0.6,))]
SERVE = """
import signal, sys, pathlib, townsend.sweep.dashboard as it
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background would ignore
it._REFRESH_S = 0.0
it.dashboard(pathlib.Path(sys.argv[1]), 0, lambda address: print(address, flush=True))
"""


class Served:
    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def get(self, path: str, host: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        connection.request("GET", path, headers={"Host": host or f"{HOST}:{self.port}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def json(self, path: str) -> Any:
        status, text = self.get(path)
        assert status == 200
        return json.loads(text)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    pytest.importorskip("optuna_dashboard", reason="extra dashboard: optuna-dashboard is not installed")
    run = write_sweep(tmp_path / "run", RECORDS)
    command = [sys.executable, "-c", SERVE, str(run)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline()
        try:
            assert address.startswith(f"http://{HOST}:"), process.stderr and process.stderr.read()
            yield Served(process, int(address.rstrip("/\n").rpartition(":")[2]))
        finally:
            process.kill()


@pytest.mark.slow
def test_the_real_dashboard_shows_the_sweep_follows_it_and_ends_with_ctrl_c(served: Served, tmp_path: Path) -> None:
    (study,) = served.json("/api/studies")["study_summaries"]
    assert (study["study_name"], study["directions"]) == ("run", ["maximize"])
    trials = served.json("/api/studies/0?after=0")["trials"]
    assert [(trial["number"], trial["state"]) for trial in trials] == [(0, "Complete"), (1, "Complete"), (2, "Pruned")]
    assert trials[1]["values"] == [0.95]
    status, page = served.get("/dashboard/studies/0/trials?numbers=1")
    assert status == 200
    assert "<title>Optuna Dashboard</title>" in page
    write_sweep(tmp_path / "run", [*RECORDS, fit(3, 0.7)])
    assert len(served.json("/api/studies/0?after=0")["trials"]) == 4
    assert served.get("/api/studies", host="evil.example")[0] == 403
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(30) == 0
    assert served.process.stderr is not None
    assert served.process.stderr.read() == ""


def test_a_port_in_use_is_said_with_the_remedy(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="extra dashboard: optuna-dashboard is not installed")
    run = write_sweep(tmp_path / "run", RECORDS)
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"port must be free on 127\.0\.0\.1 \(got {port}: .*--port"):
            dashboard(run, port)


def test_without_its_package_the_dashboard_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(InputError, match=r'pip install "townsend\[dashboard\]"'):
        dashboard(write_sweep(tmp_path / "run", RECORDS))


def test_a_sweep_without_an_ended_trial_is_refused_before_a_port_is_opened(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="extra dashboard: optuna-dashboard is not installed")
    with pytest.raises(InputError, match="must hold a trial that has ended"):
        dashboard(write_sweep(tmp_path / "run", [], trials=2), 1)
