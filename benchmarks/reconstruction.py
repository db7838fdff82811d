"""Waveforms per second and peak memory of `townsend reconstruct`, with networks of the slides' sizes.

Run: python benchmarks/reconstruction.py
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from measure import in_turns, machine, parser, progress, publish, ratios, spread, table

FEW_1, FEW_2 = "few, 1 job", "few, 2 jobs"
MANY_2 = "many, 2 jobs"
SHARD = 2000  # waveforms of a file of the simulation
# Of public code on other machines, see the text below the table.
PUBLIC_PER_S = (23, 58)

TEXT = """\
Median (smallest to largest) of turns, {repeats} in all, each in a fresh process: start of processes, loading and
compiling of the networks, hashing of the input, ROOT reading and writing, plain reference and summary are all in.
Peak memory is the largest resident memory of a process, libraries included: of the coordinator, and of a worker.
Networks: {networks}; {windows} windows a waveform go through the first.
Waveforms: 1,024 samples of 1 ns, uniform beam, with truth.

- **Memory does not grow with the file**: {many:,} waveforms take {coordinator} times the memory of {few:,} in the
  coordinator and {worker} times in the worker.
- **Where more is not better**: 2 jobs do {gain} times as many waveforms/s as 1 job on {few:,} waveforms.
- **Beside public code**, external figures from other machines: {low} waveforms/s (LSTM on 500,000 waveforms of CEPC,
  6 h 2 min), 49 (LSTM, 2.59 million windows in 102 s), {high} (LSTM on waveforms of FCC). The row of 1 job is
  {over} times the fastest of them; their processors, networks and lengths of waveforms are not these.
"""


def child(reconstruction: str, output: str, jobs: str, *files: str) -> None:
    """Do one piece of work in this fresh process and print what it took."""
    began = time.perf_counter()
    from townsend.experiments.drifttube.reconstruction.reconstruct import reconstruct

    reconstruct(Path(reconstruction), files, Path(output), jobs=int(jobs))
    wall_s = time.perf_counter() - began
    worker_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    print(json.dumps({"wall_s": wall_s, "coordinator_mb": own_peak_mb(), "worker_mb": worker_mb}))


def own_peak_mb() -> float:
    """Peak memory of this program; `getrusage` would count that of the process that started it, too."""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        msg = "the memory of a process is read from /proc/self/status, which this system does not have"
        raise SystemExit(msg)
    return int(found.group(1)) * 1024 / 1e6


def simulated(folder: Path, waveforms: int, seed: int) -> Path:
    from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, TrackSettings
    from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube

    settings = DriftTubeSettings(seed=seed, track=TrackSettings(impact="uniform"))
    return simulate_drifttube(waveforms, folder, settings, jobs=2)


def untrained(folder: Path) -> Path:
    """A Reconstruction of networks as the slides have them, whose weights nobody has trained: as fast as others."""
    from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
    from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
    from townsend.experiments.drifttube.reconstruction.assemble import assemble
    from townsend.files import sha256_of

    rate, t0_ns, drift_ns = 1.0, 224.0, 175.0
    peak = PeakFacts(
        sampling_rate_ghz=rate,
        before=5,
        after=9,
        scale_mV=3.6,
        delay_ns=4.5,
        double_pulse_ns=2.0,
        quoted_double_pulse_ns=3.0,
        tolerance_ns=2.0,
        visible_fC=2.7,
        t0_ns=t0_ns,
        max_drift_ns=drift_ns,
        sample_seed=1,
    )
    lstm = {"topology": "96 128 1", "activations": "selu sigmoid", "dropout": 0.1}
    finder = chosen(folder / "finder", "drifttube-peaks", "lstm", lstm, (peak.width, 1), peak, 0.5)
    cluster = ClusterFacts(
        sampling_rate_ghz=rate,
        bins=1024,
        t0_ns=t0_ns,
        max_drift_ns=drift_ns,
        mean_clusters=15.0,
        fixed_impact_cm=0.08,
        sample_seed=2,
        finder_sample_seed=1,
        finder_sha256=sha256_of([finder / "model.keras"]),
        finder_threshold=0.5,
        unseen_by_the_finder="untrained",
    )
    cnn = {"filters": "32 64", "activations": "relu selu", "dropout": 0.0}
    counter = chosen(folder / "clusteriser", "drifttube-clusters", "cnn", cnn, (1024, 1), cluster, None)
    return assemble(finder, counter, simulated(folder / "mc-calibration", 500, 3), folder / "reco")


def chosen(
    folder: Path, task: str, family: str, values: Any, shape: tuple[int, int], facts: Any, threshold: float | None
) -> Path:
    """Write what `townsend choose` leaves of a network, as far as `assemble` reads it."""
    from townsend.config import resolved
    from townsend.files import write_sealed, write_text
    from townsend.networks.family import build_network

    network = build_network(family, values, shape, seed=1)
    folder.mkdir()
    network.save(folder / "model.keras")
    write_text(folder / "README.md", "# Untrained\n")
    card = {
        "made_by": "townsend choose",
        "task": task,
        "network": family,
        "parameters": network.count_params(),
        "input_shape": list(shape),
        "facts": resolved(facts),
        "threshold": threshold,
        "verdicts": [{"ok": False, "sentence": "untrained: its numbers mean nothing"}],
        "sweep": {"fingerprint": "none"},
        "sample": "none",
    }
    write_sealed(folder / "card.json", card)
    return folder


def windows_a_waveform(reconstruction: Path, shard: Path) -> int:
    from townsend.experiments.drifttube.peaks.candidates import find_candidates
    from townsend.experiments.drifttube.reconstruction.folder import check_reconstruction
    from townsend.sample.root_io import read_root

    peak = check_reconstruction(reconstruction).peak
    head = read_root(shard, stop=500)
    return round(len(find_candidates(head.millivolts(), peak.before, peak.after)[0]) / len(head))


def _networks(reconstruction: Path) -> str:
    from townsend.experiments.drifttube.reconstruction.folder import PARTS, check_reconstruction

    card = check_reconstruction(reconstruction).card
    return " and ".join(f"{card[part]['network']} of {card[part]['parameters']:,} parameters" for part in PARTS)


class Bench:
    """Runs the child processes and remembers their memory."""

    def __init__(self, folder: Path, reconstruction: Path, shards: list[Path]) -> None:
        self.folder, self.reconstruction, self.shards = folder, reconstruction, shards
        self.coordinator: dict[str, list[float]] = {}
        self.worker: dict[str, list[float]] = {}

    def per_s(self, label: str, waveforms: int, jobs: int) -> float:
        from townsend.engines.local import worker_environment

        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            files = self.shards[: waveforms // SHARD]
            given = [self.reconstruction, Path(place) / "out", jobs, *files]
            command = [sys.executable, __file__, "--child", *map(str, given)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=worker_environment())
        answer = json.loads(done.stdout)
        self.coordinator.setdefault(label, []).append(answer["coordinator_mb"])
        self.worker.setdefault(label, []).append(answer["worker_mb"])
        return waveforms / float(answer["wall_s"])


def main() -> None:
    options = parser("Speed and memory of the reconstruction.", repeats=3)
    options.add_argument("--few", type=int, default=10_000, help="waveforms of a small file (default %(default)s)")
    options.add_argument("--many", type=int, default=100_000, help="waveforms of many files (default %(default)s)")
    options.add_argument("--reconstruction", type=Path, help="folder made by `townsend assemble`; default: untrained")
    given = options.parse_args()
    few, many = (max(SHARD, number // SHARD * SHARD) for number in (given.few, given.many))
    description = machine(("townsend", "keras", "jax", "numpy", "awkward", "uproot"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reconstruction = given.reconstruction or untrained(folder)
        progress(f"simulating {many:,} waveforms")
        shards = sorted(simulated(folder / "mc", many, 4).glob("*.root"))
        bench = Bench(folder, reconstruction, shards)
        numbers = {FEW_1: (few, 1), FEW_2: (few, 2), MANY_2: (many, 2)}
        contestants: dict[str, Callable[[], float]] = {
            label: partial(bench.per_s, label, *what) for label, what in numbers.items()
        }
        bench.per_s("warm-up", SHARD, 1)  # numba's functions are compiled into its cache, files come into the system's
        found = in_turns(contestants, given.repeats)
        windows = windows_a_waveform(reconstruction, shards[0])
    rows = [
        [
            f"{jobs} job{'s' if jobs > 1 else ''}",
            f"{number:,}",
            spread(found[label]),
            spread(bench.coordinator[label]),
            spread(bench.worker[label]),
        ]
        for label, (number, jobs) in numbers.items()
    ]
    low, high = PUBLIC_PER_S
    networks = _networks(reconstruction) + ("" if given.reconstruction else ", untrained")
    lines = [
        *description,
        "",
        *table(["with", "waveforms", "waveforms/s", "coordinator [MB]", "worker [MB]"], rows),
        "",
        TEXT.format(
            repeats=given.repeats,
            networks=networks,
            windows=windows,
            few=few,
            many=many,
            coordinator=spread(ratios(bench.coordinator[MANY_2], bench.coordinator[FEW_2]), 3),
            worker=spread(ratios(bench.worker[MANY_2], bench.worker[FEW_2]), 3),
            gain=spread(ratios(found[FEW_2], found[FEW_1]), 2),
            low=low,
            high=high,
            over=spread([value / high for value in found[FEW_1]], 2),
        ),
    ]
    publish("reconstruction", lines, given.results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
