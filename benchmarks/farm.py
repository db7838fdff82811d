"""A thousand work units on a real HTCondor pool and a real Slurm cluster: submission, queries, memory, overhead.

Run: TOWNSEND_HTCONDOR=FOLDER python benchmarks/farm.py        (see .ci/install-farms)

The batch systems are those of the tests, started on this machine; a unit is a script of the shell that says it is done,
so that what is measured is the engine and the batch system, not work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measure import machine, parser, progress, publish, significant, table

sys.path.append(str(Path(__file__).parent.parent / "tests" / "farms"))

from plain_user import as_plain_user
from real_htcondor import HTCondorPool, find_htcondor
from real_slurm import SlurmCluster, find_slurm

DONE = """#!/bin/sh
echo '{"news": "done", "detail": "", "body": {}, "usage": {}}'
"""
ENGINE = """
import json, resource, sys, time
from pathlib import Path
from townsend.config import parse
from townsend.engines.base import WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.site import Site
given = json.load(sys.stdin)
run, units = Path(given["run"]), given["units"]
before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
with open_engine(parse(Site, given["site"]), run, 1) as engine:
    for number in range(units):
        engine.submit(WorkUnit(f"unit {number}", "none", {}, run))
    began, cpu = time.perf_counter(), time.process_time()
    engine._dispatch()
    submitted_s = time.perf_counter() - began
    done, first_s = 0, 0.0
    while engine.outstanding:
        done += sum(message.news.final for message in engine.poll(1))
        first_s = first_s or (time.perf_counter() - began if done else 0.0)
    all_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    queries = engine._scheduler.queries
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(json.dumps({"done": done, "submitted_s": submitted_s, "first_s": first_s, "all_s": all_s, "cpu_s": cpu_s,
                  "queries": queries, "before_mb": before_mb, "peak_mb": peak_mb}))
"""
TEXT = """\
A unit is a job. Submitted: until the batch system has taken all of them, their files written and flushed. First result:
when the first message had come. Queries: how often squeue or the schedd was asked; HTCondor's event log is read
instead. Memory is that of the process that submits, libraries included, before and at its highest. Everything runs on
one machine, so that the time until all are done is that of the batch system's daemons and of as many jobs at a time
as it declares processors ({cpus})."""
CPUS = 8


def contest(site: Mapping[str, Any], units: int, folder: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Let an engine do the units; return what it took."""
    folder.mkdir()
    stand_in = folder / "python"
    stand_in.write_text(DONE)
    stand_in.chmod(0o755)
    given = {"site": {**site, "python": str(stand_in), "max_jobs": 10_000}, "run": str(folder / "run"), "units": units}
    words = [*as_plain_user(), sys.executable, "-c", ENGINE]
    done = subprocess.run(
        words, env=dict(environment), input=json.dumps(given), text=True, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    assert found["done"] == units
    return found


def main() -> None:
    options = parser("A thousand units on batch systems.", repeats=1)
    options.add_argument(
        "--units", type=int, nargs="+", default=[100, 1000], help="numbers of units (default 100 1000)"
    )
    options.add_argument(
        "--query-seconds", type=int, default=30, help="how often squeue is asked (default %(default)s)"
    )
    given = options.parse_args()
    if find_htcondor() is None or not find_slurm():
        sys.exit("HTCondor and Slurm must be installed; see .ci/install-farms and TOWNSEND_HTCONDOR")
    description = machine(("townsend", "htcondor"))
    rows = []
    small = {"request_memory": "10MB", "request_disk": "1MB", "max_hours": 0.1}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with HTCondorPool(place / "pool", cpus=CPUS) as pool, SlurmCluster(place / "cluster", cpus=CPUS) as cluster:
            systems = {
                "htcondor": ({"engine": "htcondor", **small}, pool.environment),
                "slurm": (
                    {"engine": "slurm", **small, "slurm": {"query_seconds": given.query_seconds}},
                    cluster.environment,
                ),
            }
            for system, (site, environment) in systems.items():
                for units in given.units:
                    found = contest(site, units, place / f"{system}-{units}", {**os.environ, **environment})
                    progress(f"{system}, {units}: {found}")
                    times = [significant(found[key], 3) for key in ("submitted_s", "first_s", "all_s", "cpu_s")]
                    memory = [significant(found[key], 3) for key in ("before_mb", "peak_mb")]
                    rows.append([system, f"{units:,}", *times, str(int(found["queries"])), *memory])
    header = ["engine", "units", "submitted [s]", "first result [s]", "all done [s]", "CPU [s]", "queries"]
    lines = table([*header, "memory before [MB]", "at most [MB]"], rows)
    publish("farm", [*description, "", *lines, "", TEXT.format(cpus=CPUS)], given.results)


if __name__ == "__main__":
    main()
