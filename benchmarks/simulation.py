"""Tracks per second of the drift-tube simulation, to memory and to disk, and where its time goes.

Run: python benchmarks/simulation.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

from measure import in_turns, machine, parser, progress, publish, ratios, spread, table

ARRAY, ARRAY_UNIFORM = "array, 1 process", "array, 1 process, uniform beam"
DISK_1, DISK_2 = "disk, 1 job", "disk, 2 jobs"
MANY_1, MANY_2 = "disk, 1 job, large sample", "disk, 2 jobs, large sample"
MOST = "disk, 2 jobs, very large sample"
# Garfield++ on another machine: CPU seconds a track, see the text below the table.
GARFIELD_TRACKS_PER_S = (2.3, 2.8)
STEPS = {
    "clusters along the track": ("draw_clusters",),
    "electrons along delta electrons": ("draw_electrons",),
    "drift times and losses": ("DriftRelation.draw", "survive"),
    "avalanche charges": ("draw_avalanches",),
    "superposition of the electrons' waveforms": ("superpose",),
    "noise": ("noise_spectrum", "draw_noise", "draw_wander"),
    "ADC": ("digitize",),
    "ROOT writing": ("write_root",),
}


TEXT = """\
Median (smallest to largest) of {repeats} turns, each in a fresh process of one thread that had its tables and compiled
functions ready; jobs are further processes, whose start counts. Central beam where nothing is said. Peak memory is that
of the largest process, libraries included. A track is a whole waveform with its truth; on disk it takes {kB:.2f} kB.

- **Where more is not better**: 2 jobs make {gain} times as many tracks/s as 1 job on {waveforms:,} tracks and
  {gain_many} times on {many:,}. Below 1, one job is faster: to start a process takes as long as thousands of tracks.
  A sample of one shard (2,000 tracks) is always made by one process.
- **Memory is bounded**: {most:,} tracks, made once (the row "very large sample"), need {memory} MB in the largest
  process and {gigabytes:.1f} GB on disk.
- **Beside Garfield++**, an external figure from another machine (one core of a loaded Xeon, 2.6 GHz): {low} to {high}
  tracks/s with Heed, drift with diffusion, avalanche, ion tail and induced current in 1,024 bins of 1 ns
  (0.35-0.44 CPU s a track), for muons of 10 GeV/c at 45 degrees with uniform impact parameter, 20.4 electrons a
  track, without electronics and noise. The row nearest to it, uniform beam, is {over} times its faster end.
  The two do not do the same: townsend draws from Garfield++'s tables, gives every avalanche one shape and follows
  no electron on its way.
- Without signals Garfield++ made 700 tracks/s (ionisation and drift of every electron) and 28,000 tracks/s (Heed's
  ionisation in the tube alone) on that machine. townsend has no such mode; its clusters alone take the time of
  {clusters} tracks/s.

Where the time goes, to disk with 1 job, {waveforms:,} tracks:
"""


def settings_for(beam: str) -> Any:
    from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, TrackSettings

    return DriftTubeSettings(track=TrackSettings(impact=beam))


def child(kind: str, waveforms: int, jobs: int, beam: str) -> None:
    """Do one piece of work in this fresh process and print what it took."""
    from townsend.experiments.drifttube.simulation import simulate

    settings = settings_for(beam)
    simulate.simulate_waveforms(
        settings, 0, 1
    )  # tables, response and compiled functions are there before the clock starts
    if kind == "parts":
        answer = parts(settings, waveforms)
    else:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            if kind == "array":
                simulate.simulate_waveforms(settings, 0, waveforms)
            else:
                simulate.simulate_drifttube(waveforms, Path(folder) / "mc", settings, jobs=jobs)
            answer = {"wall_s": time.perf_counter() - began, "bytes": written(Path(folder))}
    own, workers = (
        resource.getrusage(who).ru_maxrss * 1024 / 1e6 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(json.dumps({**answer, "peak_mb": own, "peak_worker_mb": workers}))


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.root"))


def parts(settings: Any, waveforms: int) -> dict[str, Any]:
    """Time the functions that a shard calls, by putting a clock around each."""
    from townsend.experiments.drifttube.simulation import simulate
    from townsend.experiments.drifttube.simulation.drift import DriftRelation

    spent = dict.fromkeys((name for names in STEPS.values() for name in names), 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*given: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*given)
            finally:
                spent[name] += time.perf_counter() - began

        return run

    for name in spent:
        owner, attribute = (DriftRelation, "draw") if name == "DriftRelation.draw" else (simulate, name)
        setattr(owner, attribute, timed(name, getattr(owner, attribute)))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        simulate.simulate_drifttube(waveforms, Path(folder) / "mc", settings)
        total = time.perf_counter() - began
    by_step = {step: sum(spent[name] for name in names) for step, names in STEPS.items()}
    # What `simulate_drifttube` does before its shards: a block to try the settings. Its parts are in the sums as well.
    return {
        "wall_s": total,
        "parts": {**by_step, "the rest: sorting, truth lists, joining blocks": total - sum(by_step.values())},
    }


class Bench:
    """Runs the child processes and remembers their memory."""

    def __init__(self) -> None:
        self.memory: dict[str, list[float]] = {}
        self.bytes_per_track = 0.0

    def ask(self, kind: str, waveforms: int, jobs: int = 1, beam: str = "central") -> dict[str, Any]:
        from townsend.engines.local import worker_environment

        command = [sys.executable, __file__, "--child", kind, str(waveforms), str(jobs), beam]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=worker_environment())
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def tracks_per_s(self, label: str, kind: str, waveforms: int, jobs: int = 1, beam: str = "central") -> float:
        answer = self.ask(kind, waveforms, jobs, beam)
        largest = max(answer["peak_mb"], answer["peak_worker_mb"])
        self.memory.setdefault(label, []).append(largest)
        if answer["bytes"]:
            self.bytes_per_track = answer["bytes"] / waveforms
        return waveforms / float(answer["wall_s"])


def main() -> None:
    options = parser("Speed of the drift-tube simulation.", repeats=5)
    options.add_argument(
        "--waveforms", type=int, default=20_000, help="tracks, as `townsend simulate` makes them (default %(default)s)"
    )
    options.add_argument("--many", type=int, default=100_000, help="tracks of a large sample (default %(default)s)")
    options.add_argument("--most", type=int, default=1_000_000, help="tracks made once (default %(default)s)")
    given = options.parse_args()
    description = machine(("townsend", "numpy", "scipy", "numba", "awkward", "uproot"))
    bench = Bench()

    def entry(label: str, kind: str, waveforms: int, jobs: int = 1, beam: str = "central") -> Callable[[], float]:
        return partial(bench.tracks_per_s, label, kind, waveforms, jobs, beam)

    contestants = {
        ARRAY: entry(ARRAY, "array", given.waveforms),
        ARRAY_UNIFORM: entry(ARRAY_UNIFORM, "array", given.waveforms, 1, "uniform"),
        DISK_1: entry(DISK_1, "disk", given.waveforms),
        DISK_2: entry(DISK_2, "disk", given.waveforms, 2),
        MANY_1: entry(MANY_1, "disk", given.many),
        MANY_2: entry(MANY_2, "disk", given.many, 2),
    }
    numbers = {name: given.many if "large" in name else given.waveforms for name in contestants} | {MOST: given.most}
    bench.ask("array", 250)  # numba's functions are compiled into its cache
    found = in_turns(contestants, given.repeats)
    progress(MOST)
    found[MOST] = [bench.tracks_per_s(MOST, "disk", given.most, 2)]
    rows = [[name, f"{numbers[name]:,}", spread(values), spread(bench.memory[name])] for name, values in found.items()]
    progress("where the time goes")
    shares = [bench.ask("parts", given.waveforms)["parts"] for _ in range(given.repeats)]
    totals = [sum(share.values()) for share in shares]
    parts_rows = [
        [
            step,
            spread([1e6 * share[step] / given.waveforms for share in shares]),
            spread([100 * share[step] / total for share, total in zip(shares, totals, strict=True)], 2),
        ]
        for step in shares[0]
    ]
    low, high = GARFIELD_TRACKS_PER_S
    uniform = [value / high for value in found[ARRAY_UNIFORM]]
    clusters_alone = [given.waveforms / share["clusters along the track"] for share in shares]
    lines = [
        *description,
        "",
        *table(["to", "tracks", "tracks/s", "peak memory [MB]"], rows),
        "",
        TEXT.format(
            repeats=given.repeats,
            kB=bench.bytes_per_track / 1e3,
            gain=spread(ratios(found[DISK_2], found[DISK_1]), 2),
            gain_many=spread(ratios(found[MANY_2], found[MANY_1]), 2),
            waveforms=given.waveforms,
            many=given.many,
            most=given.most,
            memory=spread(bench.memory[MOST]),
            gigabytes=bench.bytes_per_track * given.most / 1e9,
            low=low,
            high=high,
            over=spread(uniform, 2),
            clusters=spread(clusters_alone, 2),
        ),
        *table(["step", "us a track", "% of all"], parts_rows),
        "",
        "By clocks around the functions that a shard calls.",
    ]
    publish("simulation", lines, given.results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _, _, kind, waveforms, jobs, beam = sys.argv
        child(kind, int(waveforms), int(jobs), beam)
    else:
        main()
