"""The measurements of sweep.py: what the contestants of one sweep seed spend, and when they have found what.

Each measurement is a JSON file in the folder of work; one that is there is not made again.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from measure import progress

SINGLE, OWN_THREADS = "one thread", "its own threads"
LOOK_S = 1.0  # how often a running sweep is looked at


class Trial(NamedTuple):
    """One process of (a) or (b); of its CPU seconds `start_s` were spent before the first epoch."""

    configuration: Mapping[str, Any]
    cpu_s: float
    start_s: float
    fit_s: float
    judge_s: float
    epochs: int
    auc: float | None
    pruned: bool


@dataclass(frozen=True)
class Sweep:
    """One run of `townsend sweep`.

    Arguments:
        cpu_s, wall_s: of all its processes.
        begun_s: CPU seconds spent when the first fit began.
        series: CPU seconds spent, best AUC on the board by then.
        fits: of each configuration what its record says.
    """

    cpu_s: float
    wall_s: float
    begun_s: float
    series: Sequence[Sequence[float]]
    fits: Sequence[Mapping[str, Any]]

    @property
    def steps_s(self) -> float:
        """CPU seconds of training and monitoring: those an epoch of fits that compiled nothing, for all epochs."""
        spent: dict[tuple[Any, ...], list[float]] = {}
        for fit in self.fits:
            cost = spent.setdefault(_size(fit), [0.0, 0.0])
            if not fit["compile_s"]:
                cost[0], cost[1] = cost[0] + fit["cpu_s"], cost[1] + fit["epochs"]
        return sum(
            fit["epochs"] * spent[_size(fit)][0] / spent[_size(fit)][1] if spent[_size(fit)][1] else fit["cpu_s"]
            for fit in self.fits
        )

    @property
    def compile_s(self) -> float:
        """CPU seconds; the records have wall time alone, which is longer where the machine is shared."""
        return sum(fit["cpu_s"] for fit in self.fits) - self.steps_s

    @property
    def rest_s(self) -> float:
        return self.cpu_s - self.begun_s - sum(fit["cpu_s"] for fit in self.fits)

    def best(self) -> Mapping[str, Any]:
        return max((fit for fit in self.fits if fit["auc"] is not None), key=lambda fit: fit["auc"])

    def reaching(self, target: float) -> list[Mapping[str, Any]]:
        """Configurations whose AUC reaches the target."""
        return [fit["configuration"] for fit in self.fits if fit["auc"] is not None and fit["auc"] >= target]

    def first_s(self, target: float) -> float | None:
        """CPU seconds spent when the board first showed the target."""
        return next((spent for spent, auc in self.series if auc >= target), None)


class Runs:
    """Makes the measurements, or reads those that are kept.

    Arguments:
        folder: of samples, sweeps and measurements.
        python: interpreter with Keras, TensorFlow and Optuna.
        options: of sweep.py.
    """

    def __init__(self, folder: Path, python: str, options: Any) -> None:
        import yaml

        from townsend.experiments.shipped import shipped_configs

        self.folder, self.python, self.options = folder, python, options
        self.settings: dict[str, Any] = yaml.safe_load(shipped_configs()[options.config].read_text(encoding="utf-8"))
        names, values = self.settings["space"].keys(), self.settings["space"].values()
        self.grid = [dict(zip(names, row, strict=True)) for row in product(*values)]

    def townsend(self, seed: int, halving: bool) -> Sweep:
        """(c): the command line, from an empty folder and an empty cache."""
        name = f"townsend-{'halving' if halving else 'whole'}-{seed}"
        return Sweep(**self._kept(name, lambda: asdict(self._sweep(name, seed, halving))))

    def keras(self, seed: int, threads: str) -> list[Trial]:
        """(a): trials of a random subset, as many of each topology, the same for both numbers of threads."""
        draw = random.Random(seed)  # noqa: S311 - no secrets
        topologies = self.settings["space"]["topology"]
        rows = [
            draw.choice([row for row in self.grid if row["topology"] == topologies[number % len(topologies)]])
            for number in range(self.options.trials)
        ]
        name = f"keras-{'one-thread' if threads == SINGLE else 'own-threads'}-{seed}"
        found = self._kept(name, lambda: self._trials(name, seed, rows, threads, pruned=False))
        return [Trial(*one) for one in found]

    def study(self, seed: int) -> list[Trial]:
        """(b): the grid in random order under Optuna's Hyperband pruner."""
        shuffled = random.Random(seed).sample(self.grid, len(self.grid))  # noqa: S311 - no secrets
        rows = shuffled[: self.options.study_trials]
        name = f"hyperband-{seed}"
        return [Trial(*one) for one in self._kept(name, lambda: self._trials(name, seed, rows, SINGLE, pruned=True))]

    def arrays(self, seed: int) -> Path:
        """The arrays that townsend has prepared; every contestant reads these files."""
        return self.folder / f"run-townsend-whole-{seed}" / "arrays"

    def _kept(self, name: str, measure: Callable[[], Any]) -> Any:
        path = self.folder / f"{name}.json"
        if not path.exists():
            progress(f"{time.strftime('%H:%M:%S')} {name}")
            path.write_text(json.dumps(measure()), encoding="utf-8")
        return json.loads(path.read_text(encoding="utf-8"))

    def _sweep(self, name: str, seed: int, halving: bool) -> Sweep:
        import yaml

        given, run = self.options, self.folder / f"run-{name}"
        settings = {
            **self.settings,
            "sampler": "grid",
            "seed": seed,
            "epochs": given.epochs,
            "patience": given.patience,
        }
        settings["task_settings"] = {
            "windows": given.examples,
            "validation_waveforms": given.waveforms,
            "test_waveforms": 20,
        }
        if halving:
            settings["halving"] = {"kind": given.kind, "least": given.least, "factor": given.factor}
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "townsend", "sweep", str(config), "--sample", str(self._sample())]

        began = time.monotonic()
        process = subprocess.Popen([*command, "--jobs", "2", "-o", str(run)])
        begun_s, series = 0.0, []
        for spent_s in _looks(process.pid):
            begun_s = begun_s or (spent_s if any((run / "records").glob("*.json")) else 0.0)
            best = _best_auc(run)
            if best is not None and (not series or best > series[-1][1]):
                series.append((spent_s, best))
        cpu_s = _cpu_s_of(process)
        fits = _fits(run)
        series.append((cpu_s, max(fit["auc"] for fit in fits if fit["auc"] is not None)))
        return Sweep(cpu_s, time.monotonic() - began, begun_s, series, fits)

    def _sample(self) -> Path:
        from townsend.api import simulate_drifttube
        from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings

        sample = self.folder / "mc"
        if not (sample / "simulation.yaml").exists():
            # A waveform has about 15 electrons; half the windows are signal; a fifth of the waveforms validates.
            waveforms = 400 + 5 * self.options.waveforms + self.options.examples // 8
            simulate_drifttube(waveforms, sample, DriftTubeSettings(seed=1), jobs=1)
        return sample

    def _trials(
        self, name: str, seed: int, rows: Sequence[Mapping[str, Any]], threads: str, *, pruned: bool
    ) -> list[Trial]:
        import optuna

        given, journal = self.options, self.folder / f"{name}.journal"
        journal.unlink(missing_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        backend = optuna.storages.journal.JournalFileBackend(str(journal))
        storage = optuna.storages.JournalStorage(backend)
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        for row in rows:
            study.enqueue_trial(dict(row))
        hyperband = {"min_resource": given.least, "max_resource": given.epochs, "reduction_factor": given.factor}
        trial = {
            "arrays": str(self.arrays(seed)),
            "journal": str(journal),
            "study": name,
            "space": self.settings["space"],
            "epochs": given.epochs,
            "patience": given.patience,
            "seed": 1000 * seed,
            "hyperband": hyperband if pruned else None,
        }
        command = [self.python, str(Path(__file__).with_name("sweep_worker.py")), json.dumps(trial)]
        # As many processes as fill two cores: townsend has its two workers at the same time.
        with ThreadPoolExecutor(2 if threads == SINGLE else 1) as pool:
            return list(pool.map(lambda _: _trial(command, threads), rows))


def _trial(command: Sequence[str], threads: str) -> Trial:
    """Run one process of (a) or (b) to its end."""
    from townsend.engines.local import worker_environment

    plain = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS") and key != "XLA_FLAGS"}
    environment = {**(worker_environment() if threads == SINGLE else plain)}
    environment |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout as answers:
        answer = answers.read()
    cpu_s = _cpu_s_of(process)
    found = json.loads(answer)
    progress(f"{found['configuration']}: {cpu_s:.1f} core-s, {found['epochs']} epochs, AUC {found['auc']}")
    return Trial(cpu_s=cpu_s, **{field: found[field] for field in Trial._fields if field != "cpu_s"})


def _cpu_s_of(process: subprocess.Popen[Any]) -> float:
    """Wait for a process; user and system time of it and of all the processes it has waited for."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{process.args} ended with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _looks(pid: int) -> Iterator[float]:
    """CPU seconds spent by a process and all below it, about once a second until it has ended."""
    tick = os.sysconf("SC_CLK_TCK")
    while True:
        time.sleep(LOOK_S)
        family, spent = {pid}, 0
        for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):  # parents come first
            try:
                text = (path / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            state, parent, *rest = text.rpartition(")")[2].split()
            if int(path.name) in family or int(parent) in family:
                family.add(int(path.name))
                if int(path.name) == pid and state == "Z":
                    return
                spent += sum(map(int, rest[9:13]))  # user and system time, own and of children that have ended
        yield spent / tick


def _size(fit: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides the time of an epoch."""
    return fit["configuration"]["topology"], fit["configuration"]["batch_size"]


def _best_auc(run: Path) -> float | None:
    if not (run / "sweep.json").exists():
        return None
    return max((fit["auc"] for fit in _fits(run) if fit["auc"] is not None), default=None)


def _fits(run: Path) -> list[dict[str, Any]]:
    """What the records of a sweep say; the AUC is None where a network may not be chosen."""
    from townsend.sweep.records import read_records

    return [
        {
            "configuration": dict(record.hyperparameters),
            "auc": record.metrics["auc_all"].value if record.outcome.usable else None,
            "error": record.metrics["auc_all"].error if record.outcome.usable else None,
            "outcome": record.outcome.value,
            "epochs": record.epochs,
            "cpu_s": record.cpu_s,
            "compile_s": record.compile_s,
        }
        for record in read_records(run)
    ]
