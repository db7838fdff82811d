"""Rows per second and peak memory of tables of events: reading, skimming, training, applying; beside plain programs.

The plain programs are what one writes with uproot and scikit-learn; both do the same to the same files in the same run.
Run: python benchmarks/tables.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, parser, progress, publish, ratios, significant, spread, table
from numpy.typing import NDArray

FEATURES = [f"x{number:02d}" for number in range(24)]
SEPARATING = 6  # of the features, by 0.25 to 0.75 standard deviations
CUTS = ("x00 + x01 > -1", "hypot(x02, x03) < 2.5", "abs(x10) < 2")
WEIGHT = "w * (1 + 0.1 * tanh(x11))"
FILES, CHUNK = 10, 100_000
MOST_JUDGED = 200_000  # rows on which the models are compared
SAMPLED_S = 0.1  # how often memory is looked at
MB = 1e6

TEXT = """\
{features} float32 features, {separating} of which separate two classes, a label and a positive weight, in {files} ROOT
files of TTrees (ZSTD 1, baskets of {chunk:,} rows). The first table is the median (smallest to largest) of turns,
{repeats} in all, at {small:,} rows, the second one turn at {rows:,}. Each is a fresh process of one thread, whose start
and imports count; CPU is user and system time of it and its workers. "Of plain" is CPU over that of the plain program
of the same turn: **above 1, townsend is slower**. Peak memory is resident memory of the whole tree of processes, looked
at every {sampled} s; pages that several share count once, and pages of arrays mapped from files are in.

- **Reading**: `read_table` also applies conditions and weights, makes one array of events, checks each feature, and of
  more than `most_events` events ({bounded:,} here) keeps a random part that stands for all. `uproot.concatenate` fills
  one array a column and checks nothing; `uproot.iterate` sums the weights of each class and keeps nothing.
- **Skimming**: three cuts on expressions, which {passed:.0f} % pass, and a weight, written as ROOT with ZSTD 1.
  townsend hashes its inputs, counts the cut-flow of each class with errors, and writes where each event came from; the
  plain loop is `uproot.iterate`, NumPy masks and `mktree`.
- **Training**: gradient boosting of {trees} trees of 31 leaves, weighted, on a random half of the rows.
  `townsend sweep` of one configuration reads, makes the sets, writes them, trains in a worker and judges on validation;
  it also computes the loss after each tree, on both sets. Plain: `uproot.concatenate`, `train_test_split`,
  `HistGradientBoostingClassifier`. `dense` is a network 24-32-16-1 for {epochs} epochs, batch 512. AUC: on the same
  {judged:,} rows of another file, the time for which is in that of the plain program only.
- **Judging** is what `townsend train` adds to it: `choose` and `evaluate`, with errors, permutation tests, importance
  and figures, of the model trained on a half of {bounded:,}. The plain program has nothing to set beside it.
- **Applying**: scores of all rows, by the same stored estimator ({trees} trees), written as ROOT; plain:
  `uproot.iterate`, `predict_proba` and `mktree`.

Memory ceilings, beside that of the libraries (0.1 GB, with scikit-learn 0.3 GB, two processes with Keras 0.5 GB), with
k features and n the smaller of `most_events` and the number of events that pass:

| step | bytes | here, n = {bounded:,} [MB] |
| --- | --- | ---: |
| reading | 5/4 n (4 k + 26) + 20 n, 18 n more with `group`; and a chunk | {reading} |
| sets, before a sweep | 2 n (4 k + 26) | {sets} |
| worker, boosting | n/2 (9 k + 50) in memory, and 3/4 n (4 k + 12) mapped from files | {worker} |
| skim, apply | a chunk: {chunk:,} (16 columns + 12 k) in each process | {skim} |
"""


# ---- the sample


def make_files(folder: Path, rows: int, files: int, stream: int) -> None:
    """Write the files of a table, with numbers of their own stream."""
    import uproot

    folder.mkdir()
    for number in range(files):
        random = np.random.default_rng((stream, number))
        size = rows // files
        label = random.random(size) < 0.5
        columns = {"label": label.astype(np.int32), "w": random.uniform(0.5, 1.5, size).astype(np.float32)}
        for place, name in enumerate(FEATURES):
            shift = np.float32(0.25 * (1 + place % 3)) if place < SEPARATING else np.float32(0)
            columns[name] = random.standard_normal(size, dtype=np.float32) + shift * label
        with uproot.recreate(folder / f"part-{number}.root", compression=uproot.ZSTD(1)) as file:
            tree = file.mktree("events", {name: values.dtype for name, values in columns.items()})
            for start in range(0, size, CHUNK):
                tree.extend({name: values[start : start + CHUNK] for name, values in columns.items()})


def write_table(path: Path, files: str, most: int, *, skimmed: bool = False) -> Path:
    from townsend.files import write_text

    given = {
        "files": files,
        "features": FEATURES,
        "weight": WEIGHT if skimmed else "w",
        "classes": {"background": "label == 0", "signal": "label == 1"},
        "cuts": CUTS if skimmed else (),
        "most_events": max(most, CHUNK // 100),
    }
    write_text(path, json.dumps(given))  # which is YAML, too
    return path


# ---- what a fresh process does


def read_ours(yaml: str) -> None:
    from townsend.experiments.table.read_table import read_table
    from townsend.experiments.table.settings import load_table

    read_table(load_table(Path(yaml)))


def read_plain(files: str, iterated: bool) -> None:
    import uproot

    if not iterated:
        uproot.concatenate(f"{files}:events", library="np")
        return
    yields = np.zeros(2)
    for chunk in uproot.iterate(f"{files}:events", library="np", step_size=CHUNK):
        yields += np.bincount(chunk["label"], chunk["w"], minlength=2)


def skim_ours(yaml: str, output: str, jobs: int) -> None:
    from townsend.experiments.table.settings import load_table
    from townsend.experiments.table.skim import skim

    skim(load_table(Path(yaml)), Path(output), jobs=jobs)


def skim_plain(files: str, output: str) -> float:
    import uproot

    Path(output).mkdir()
    passed = rows = 0
    for path in sorted(Path(files).parent.glob(Path(files).name)):
        with uproot.recreate(Path(output) / path.name, compression=uproot.ZSTD(1)) as file:
            tree = None
            for c in uproot.iterate(f"{path}:events", library="np", step_size=CHUNK):
                chosen = (c["x00"] + c["x01"] > -1) & (np.hypot(c["x02"], c["x03"]) < 2.5) & (np.abs(c["x10"]) < 2)
                weight = c["w"] * (1 + 0.1 * np.tanh(c["x11"]))
                kept = {name: values[chosen] for name, values in (c | {"event_weight": weight}).items()}
                tree = tree or file.mktree("events", {name: values.dtype for name, values in kept.items()})
                tree.extend(kept)
                passed, rows = passed + int(chosen.sum()), rows + len(chosen)
    return 100 * passed / rows


def train_ours(yaml: str, output: str, model: Mapping[str, Any]) -> None:
    from townsend.experiments.table.analysis_settings import AnalysisSettings, sweep_of
    from townsend.sweep.coordinator import sweep

    # As plain scikit-learn would: classes have the weights that they have.
    settings = AnalysisSettings(models={"one": dict(model)}, task_settings={"balance": False})
    sweep(sweep_of(settings, "one", Path(yaml)), Path(output), jobs=1)


def train_plain(files: str, test: str, trees: int) -> float:
    import uproot
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import train_test_split

    found = uproot.concatenate(f"{files}:events", library="np")
    x = np.column_stack([found.pop(name) for name in FEATURES])
    x, _, y, _, w, _ = train_test_split(x, found["label"], found["w"], train_size=0.5, random_state=1)
    model = HistGradientBoostingClassifier(max_iter=trees, early_stopping=False, random_state=1)
    model.fit(x, y, sample_weight=w)
    return auc_on(test, lambda x: model.predict_proba(x)[:, 1])


def auc_on(test: str, scores: Callable[[NDArray[np.float32]], NDArray[Any]]) -> float:
    import uproot
    from sklearn.metrics import roc_auc_score

    found = uproot.concatenate(f"{test}:events", library="np")
    x = np.column_stack([found[name] for name in FEATURES])
    return float(roc_auc_score(found["label"], scores(x), sample_weight=found["w"]))


def auc_ours(run: str, test: str) -> float:
    """The same of a sweep's network, which need not have been chosen."""
    from townsend.experiments.table.task import task
    from townsend.networks.stored import forward
    from townsend.sweep.chosen import rebuild
    from townsend.sweep.records import read_records, run_info
    from townsend.sweep.taken import take_fit

    taken = take_fit(Path(run), read_records(Path(run)), task.objective)
    kind, facts = str(run_info(Path(run)).settings["network"]), taken.arrays.facts
    network = rebuild(kind, taken.record, taken.weights, (len(FEATURES),), None, facts)
    return auc_on(test, lambda x: forward(network, x))


def judge_ours(run: str, output: str) -> None:
    from townsend.experiments.table.evaluate import evaluate
    from townsend.sweep.choose import choose

    model = choose(Path(run), Path(output) / "model")
    evaluate({"boosting": model}, Path(output) / "evaluation")


def choose_ours(run: str, output: str) -> None:
    from townsend.sweep.choose import choose

    choose(Path(run), Path(output))


def apply_ours(model: str, files: str, output: str) -> None:
    from townsend.experiments.table.apply import apply

    apply(Path(model), [files], Path(output))


def apply_plain(model: str, files: str, output: str) -> None:
    import skops.io
    import uproot

    stored = Path(model) / "model.skops"
    estimator = skops.io.load(stored, trusted=skops.io.get_untrusted_types(file=stored))
    Path(output).mkdir()
    for path in sorted(Path(files).parent.glob(Path(files).name)):
        with uproot.recreate(Path(output) / path.name, compression=uproot.ZSTD(1)) as file:
            tree = file.mktree("scores", {"score": np.float32})
            for chunk in uproot.iterate(f"{path}:events", FEATURES, library="np", step_size=CHUNK):
                x = np.column_stack([chunk[name] for name in FEATURES])
                tree.extend({"score": estimator.predict_proba(x)[:, 1].astype(np.float32)})


# ---- how it is measured


@dataclass
class Measured:
    """What one contestant took, turn by turn."""

    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    answer: Any = None


def measured(into: Measured, work: Callable[..., Any], **given: Any) -> Any:
    """Let a function work in a fresh process; add what it took, and return what it returns."""
    from townsend.engines.local import worker_environment

    command = [sys.executable, __file__, "--child", work.__name__, json.dumps(given, default=str)]
    began, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=worker_environment()) as child:
        assert child.stdout is not None
        while True:
            done, status, used = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            peak = max(peak, tree_mb(child.pid))
            time.sleep(SAMPLED_S)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{work.__name__} ended with {child.returncode}")
        into.answer = json.loads(child.stdout.read().splitlines()[-1])
    into.cpu_s.append(used.ru_utime + used.ru_stime)
    into.wall_s.append(time.perf_counter() - began)
    into.peak_mb.append(peak)
    progress(f"{work.__name__}: {into.cpu_s[-1]:.3g} s CPU, {into.wall_s[-1]:.3g} s, {peak:.4g} MB, {into.answer}")
    return into.answer


def tree_mb(pid: int) -> float:
    """Resident memory of a process and of all that it started, shared pages counted once."""
    total, left = 0.0, [pid]
    while left:
        place = Path("/proc") / str(left.pop())
        try:
            text = (place / "smaps_rollup").read_text(encoding="ascii")
            total += int(text.partition("\nPss:")[2].split()[0]) * 1024 / MB
            for thread in (place / "task").iterdir():
                left += map(int, (thread / "children").read_text(encoding="ascii").split())
        except (OSError, IndexError):  # it has just ended
            continue
    return total


class Bench:
    """The contests on one table; what is written is removed as soon as nobody needs it.

    Arguments:
        folder: for everything.
        rows: of the table; most: events that townsend may hold where its memory is to be bounded.
        trees, epochs: of the trainings.
    """

    def __init__(self, folder: Path, rows: int, most: int, trees: int, epochs: int) -> None:
        self.rows, self._folder = rows, folder
        folder.mkdir()
        progress(f"writing {rows:,} rows")
        make_files(folder / "data", rows, FILES, stream=rows)
        self._files = f"{folder}/data/part-*.root"
        self._all = write_table(folder / "all.yaml", self._files, rows)
        self._bounded = write_table(folder / "bounded.yaml", self._files, most)
        self._skimmed = write_table(folder / "skimmed.yaml", self._files, rows, skimmed=True)
        self._most, self._trees = most, trees
        self._boosting = {"network": "gradient_boosting", "space": {"max_iter": [trees]}}
        space = {"layers": ["32 16"], "activations": ["relu sigmoid"], "batch_size": [512], "optimizer": ["adam"]}
        self._dense = {"network": "dense", "space": {**space, "dropout": [0.0]}, "epochs": epochs, "patience": epochs}
        self.found: dict[str, Measured] = {}
        self.auc: dict[str, float] = {}

    def _measure(self, name: str, work: Callable[..., Any], **given: Any) -> Any:
        return measured(self.found.setdefault(name, Measured()), work, **given)

    def turn(self, model: Path, test: Path, *, bounded: bool) -> None:
        """One turn of every contestant; `bounded` adds those that hold a part of the rows."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            place, files = Path(name), self._files
            self._measure("read, uproot.concatenate", read_plain, files=files, iterated=False)
            self._measure("read, uproot.iterate", read_plain, files=files, iterated=True)
            self._measure("read, townsend, all", read_ours, yaml=self._all)
            if bounded:
                self._measure(f"read, townsend, {self._most:,}", read_ours, yaml=self._bounded)
            self._measure("skim, plain", skim_plain, files=files, output=place / "plain")
            for jobs in (1, 2):
                words = {"yaml": self._skimmed, "output": place / f"skim-{jobs}", "jobs": jobs}
                self._measure(f"skim, townsend, {jobs} job{'s'[: jobs - 1]}", skim_ours, **words)
            self._measure("apply, plain", apply_plain, model=model, files=files, output=place / "scores")
            self._measure("apply, townsend", apply_ours, model=model, files=files, output=place / "applied")
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            self._train(Path(name), test, bounded=bounded)

    def _train(self, place: Path, test: Path, *, bounded: bool) -> None:
        plain = "train, plain, boosting"
        self.auc[plain] = self._measure(plain, train_plain, files=self._files, test=test, trees=self._trees)
        contests = {"train, townsend, boosting, all": (self._all, self._boosting)}
        if bounded:
            contests |= {
                f"train, townsend, {kind}, {self._most:,}": (self._bounded, model)
                for kind, model in (("boosting", self._boosting), ("dense", self._dense))
            }
        for number, (name, (yaml, model)) in enumerate(contests.items()):
            run = place / f"run-{number}"
            self._measure(name, train_ours, yaml=yaml, output=run, model=model)
            self.auc[name] = measured(Measured(), auc_ours, run=run, test=test)
            if bounded and number == 1:
                self._measure(f"judge, townsend, boosting, {self._most:,}", judge_ours, run=run, output=place)

    def rows_of_table(self) -> list[list[str]]:
        rows = []
        for name, one in self.found.items():
            cells = [spread([self.rows / cpu for cpu in one.cpu_s])]
            if name.startswith("judge"):
                cells = [""]
            of_plain = spread(self.of_plain(name), 2) if self.of_plain(name) else ""
            auc = f"{self.auc[name]:.4f}" if name in self.auc else ""
            rows.append([name, spread(one.cpu_s), *cells, of_plain, spread(one.wall_s), spread(one.peak_mb), auc])
        return rows

    def of_plain(self, name: str) -> list[float]:
        """CPU over that of the plain program in the same turn; empty where there is none."""
        plain = {
            "read": "read, uproot.concatenate",
            "skim": "skim, plain",
            "train": "train, plain, boosting",
            "apply": "apply, plain",
        }
        beside = plain.get(name.partition(",")[0])
        ours = "townsend" in name and beside is not None
        return ratios(self.found[name].cpu_s, self.found[str(beside)].cpu_s) if ours else []

    def losses(self) -> list[str]:
        """A sentence for each contest that townsend loses."""
        return [
            f"- {name}, {self.rows:,} rows: {spread(self.of_plain(name), 2)} times the CPU of the plain program."
            for name in self.found
            if self.of_plain(name) and float(np.median(self.of_plain(name))) > 1
        ]


HEADER = ("contestant", "CPU [s]", "rows/s of CPU", "of plain", "wall [s]", "peak memory [MB]", "AUC")


def report(few: Bench, many: Bench, options: Any, bounded: int, judged: int) -> Sequence[str]:
    k = len(FEATURES)

    def in_mb(number: float) -> str:
        return significant(number / MB)

    text = TEXT.format(
        features=k,
        separating=SEPARATING,
        files=FILES,
        chunk=CHUNK,
        repeats=options.repeats,
        small=few.rows,
        rows=many.rows,
        sampled=SAMPLED_S,
        bounded=bounded,
        passed=many.found["skim, plain"].answer,
        trees=options.trees,
        epochs=options.epochs,
        judged=judged,
        reading=in_mb(1.25 * bounded * (4 * k + 26) + 20 * bounded),
        sets=in_mb(2 * bounded * (4 * k + 26)),
        worker=in_mb(bounded / 2 * (9 * k + 50) + 0.75 * bounded * (4 * k + 12)),
        skim=in_mb(CHUNK * (16 * (k + 2) + 12 * k)),
    )
    lines = [f"{few.rows:,} rows:", "", *table(HEADER, few.rows_of_table()), ""]
    lines += [f"{many.rows:,} rows:", "", *table(HEADER, many.rows_of_table()), "", text]
    return [*lines, "Where townsend loses:", "", *few.losses(), *many.losses()]


def main() -> None:
    options = parser("Tables of events beside plain uproot and scikit-learn.", repeats=3)
    options.add_argument("--rows", type=int, default=10_000_000, help="of the large table (default %(default)s)")
    options.add_argument("--trees", type=int, default=20, help="of boosting (default %(default)s)")
    options.add_argument("--epochs", type=int, default=3, help="of the network (default %(default)s)")
    options.add_argument("--work", type=Path, help="folder for 5 GB of files; default: the system's own")
    given = options.parse_args()
    packages = ("townsend", "uproot", "awkward", "numpy", "scikit-learn", "keras", "jax")
    description = machine(packages, of_cpu=True)
    few_rows, judged = given.rows // FILES, min(given.rows // FILES, MOST_JUDGED)
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        folder = Path(name)
        make_files(folder / "test", judged, 1, stream=0)
        test = folder / "test" / "part-0.root"
        yaml = write_table(folder / "model.yaml", str(test), judged)
        boosting = {"network": "gradient_boosting", "space": {"max_iter": [given.trees]}}
        measured(Measured(), train_ours, yaml=yaml, output=folder / "run", model=boosting)
        measured(Measured(), choose_ours, run=folder / "run", output=folder / "model")
        many = Bench(folder / "many", given.rows, few_rows, given.trees, given.epochs)
        many.turn(folder / "model", test, bounded=True)
        few = Bench(folder / "few", few_rows, few_rows, given.trees, given.epochs)
        for _ in range(given.repeats):
            few.turn(folder / "model", test, bounded=False)
        lines = report(few, many, given, few_rows, judged)
    publish("tables", [*description, "", *lines], given.results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(globals()[sys.argv[2]](**json.loads(sys.argv[3]))))
    else:
        main()
