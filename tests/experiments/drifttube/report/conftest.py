"""A whole small run, written by the writers of each step; only what networks would say is drawn at random."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from townsend.config import parse, resolved
from townsend.evaluate.classification import confusion, roc
from townsend.evaluate.regression import regression_figures
from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.peaks.find_peaks import FindPeaksSettings
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.experiments.drifttube.reconstruction.calibration import fit_calibration
from townsend.experiments.drifttube.reconstruction.first_arrival import first_arrival_ns
from townsend.experiments.drifttube.reconstruction.folder import ReconstructionCard
from townsend.experiments.drifttube.reconstruction.inputs import InputFile, ReconstructSettings
from townsend.experiments.drifttube.reconstruction.output import DESCRIPTION, SUMMARY, shard_path, write_shard
from townsend.experiments.drifttube.reconstruction.summary import summarise
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube
from townsend.experiments.shipped import find_config
from townsend.files import fingerprint, read_sealed, sha256_of, write_json, write_sealed
from townsend.report.style import figure, save
from townsend.sample.provenance import versions
from townsend.sample.reader import read_sample, sample_files, sample_fingerprint
from townsend.sample.root_io import write_root
from townsend.sample.waveforms import Waveforms
from townsend.sweep.board import board
from townsend.sweep.card import card
from townsend.sweep.records import run_info
from townsend.sweep.settings import load_sweep
from townsend.sweep.taken import Taken
from townsend.tasks.base import CEILING, Arrays, Evaluation, Metric, Split
from townsend.training.record_file import BracketRecord, write_bracket_record
from townsend.training.records import FitRecord, Outcome

PEAK_FACTS = PeakFacts(
    sampling_rate_ghz=1.0,
    before=5,
    after=9,
    scale_mV=3.6,
    delay_ns=4.5,
    double_pulse_ns=2.0,
    quoted_double_pulse_ns=3.0,
    tolerance_ns=2.0,
    visible_fC=2.7,
    t0_ns=224.0,
    max_drift_ns=176.0,
    sample_seed=11,
)


def fit(
    trial: int, hyperparameters: dict[str, Any], metrics: dict[str, Metric], outcome: Outcome, **more: Any
) -> FitRecord:
    """One ended training."""
    costs = {
        "wall_s": 40.0 + trial,
        "cpu_s": 50.0 + trial,
        "peak_memory_mb": 700.0 + trial,
        "parameters": 900 + 300 * trial,
    }
    return FitRecord(
        trial,
        100 + trial,
        hyperparameters,
        outcome,
        best_epoch=3,
        epochs=5,
        metrics=metrics,
        host="here",
        **costs,
        **more,
    )


def write_sweep(
    run: Path,
    config: str,
    sample: str,
    contents: str,
    task_settings: dict[str, Any],
    rows: list[FitRecord],
    curves: dict[str, Any],
) -> Path:
    """The folder of a sweep whose trainings ended as `rows`."""
    from townsend.tasks.registry import find_task

    settings = resolved(load_sweep(find_config(Path(config)), {"sample": sample, "task_settings": task_settings}))
    task = find_task(settings["task"])
    settings["task_settings"] = task.settings(settings["task_settings"])
    info = {"fingerprint": fingerprint(settings), "versions": versions(), "sample": contents, "trials": len(rows)}
    objective = {"metric": task.objective.metric, "maximise": task.objective.maximise}
    write_json(run / "sweep.json", {**info, "settings": settings, "objective": objective})
    record = BracketRecord(0, complete=True).with_fits((row, curves if row.outcome.usable else {}) for row in rows)
    write_bracket_record(run, record)
    return run


def write_model(
    model: Path, run: Path, facts: dict[str, Any], test: Evaluation, arrays: dict[str, Any], shape: tuple[int, ...]
) -> Path:
    """The folder of the best network of a sweep; in place of the network are some bytes."""
    table = board(run)
    best = table.best
    assert best is not None
    split = Split(np.zeros((2, *shape), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int32))
    taken = Taken(best, Arrays({"test": split}, facts), weights=[], curves={})
    value = card(run_info(run), table, taken, test, [Verdict(True, "repeats the board")], by_reader=False)
    write_sealed(model / "card.json", value)
    (model / "model.keras").write_bytes(f"network of {model.name}".encode())
    (model / "README.md").write_text("about\n")
    np.savez(model / "test.npz", **arrays)
    training = {"loss": np.array([3.0, 2, 1]), "monitor_loss": np.array([3.0, 2, 1.5])}
    for part in ("train", "monitor"):
        training |= {f"{part}.scores": arrays["scores"], f"{part}.y": arrays["y"]}
    np.savez(model / "training.npz", **training)
    return model


def finder_parts(run: Path, sample: Path, random: np.random.Generator, waveforms: int) -> None:
    """Sweep and chosen network of the peak finder."""
    names = ("auc_all", "auc_drift", "resolvable.f1", "resolvable.efficiency", "resolvable.purity", "all.f1")

    def metrics(quality: float) -> dict[str, Metric]:
        found = {name: Metric(quality - 0.03 * place, 0.002) for place, name in enumerate(names)}
        return {**found, f"resolvable.f1{CEILING}": Metric(1.0, 0.0), f"all.f1{CEILING}": Metric(0.75, 0.0)}

    grid = [
        {"optimizer": o, "activations": a, "topology": t, "batch_size": 150, "dropout": d}
        for o in ("sgd", "adam")
        for a in ("relu selu", "selu sigmoid")
        for t in ("96 128 1", "8 16 1")
        for d in (0.0, 0.1)
    ]
    ends = {5: Outcome.DEGENERATE, 6: Outcome.LOST}
    rows = [
        fit(
            i,
            values,
            metrics(0.9 + 0.005 * i) if i != 6 else {},
            ends.get(i, Outcome.FINISHED),
            threshold=0.9 if i != 6 else None,
        )
        for i, values in enumerate(grid)
    ]
    y = np.repeat([0.0, 1.0], 600)
    scores = (1 / (1 + np.exp(-random.normal(3 * (y - 0.5), 1.5)))).astype(np.float32)
    curve = roc(scores, y)
    evaluated = {
        "curve.roc.fpr": curve.fpr,
        "curve.roc.tpr": curve.tpr,
        "curve.confusion": confusion(scores, y, 0.9).counts,
    }
    epochs = {
        "loss": np.array([3.0, 2, 1]),
        "monitor_loss": np.array([3.0, 2, 1.5]),
        "accuracy": np.array([0.5, 0.7, 0.8]),
    }
    contents = sample_fingerprint(sample)
    write_sweep(run / "peaks-run", "peaks.yaml", str(sample), contents, {}, rows, {**epochs, **evaluated})
    group = np.sort(random.integers(0, waveforms, len(y))).astype(np.int32)
    arrays = {"scores": scores, "y": y, "group": group, **{k: v for k, v in evaluated.items() if "roc" in k}}
    test = Evaluation(metrics(0.97), 0.9)
    write_model(run / "finder", run / "peaks-run", resolved(PEAK_FACTS), test, arrays, (15, 1))


def clusteriser_parts(run: Path, sample: Path, random: np.random.Generator) -> None:
    """Sweep and chosen network of the clusteriser, references beside it."""
    truth = random.poisson(14.6, 800).astype(np.float64)
    predicted = 2.0 + 0.8 * truth + random.normal(0, 1.3, len(truth))
    figures = regression_figures(predicted, truth, np.arange(len(truth)))
    quality = {"path": 0.53, "deriv": 0.6, "deriv_raw": 0.1, "peaks": 0.72, "boosted_found": 0.75}
    quality |= {"boosted_resolvable": 0.8, "boosted_perfect": 0.87}
    spread = float(truth.var())
    references: dict[str, Metric] = {}
    for prefix in ("", "fixed."):
        for name, r2 in quality.items():
            references[f"{prefix}{name}.r2"] = Metric(r2, 0.01)
            references[f"{prefix}{name}.mse"] = Metric((1 - r2) * spread, 0.2)
        for name in ("mse", "r2"):
            references[f"{prefix}{name}{CEILING}"] = references[f"{prefix}boosted_perfect.{name}"]
    metrics = {
        **figures,
        "of_the_way": Metric(0.9, 0.02),
        **{f"fixed.{n}": m for n, m in figures.items()},
        **references,
    }
    grid = [
        {"optimizer": o, "activations": "selu selu", "filters": f, "batch_size": 150, "dropout": 0.0}
        for o in ("sgd", "rmsprop")
        for f in ("32 64", "8 16")
    ]
    rows = [
        fit(i, g, {**metrics, "mse": Metric(3.0 + i, 0.1), "mae": Metric(1.4 + 0.1 * i, 0.02)}, Outcome.FINISHED)
        for i, g in enumerate(grid)
    ]
    epochs = {"loss": np.array([9.0, 5, 4]), "monitor_loss": np.array([9.0, 6, 5])}
    settings = {"finder": str(run / "finder")}
    write_sweep(run / "clusters-run", "clusters.yaml", str(sample), "both together", settings, rows, epochs)
    facts = ClusterFacts(
        sampling_rate_ghz=1.0,
        bins=1024,
        t0_ns=224.0,
        max_drift_ns=176.0,
        mean_clusters=14.6,
        fixed_impact_cm=0.08,
        sample_seed=12,
        finder_sample_seed=11,
        finder_sha256=sha256_of([run / "finder" / "model.keras"]),
        finder_threshold=0.9,
        unseen_by_the_finder="sample of seed 12, the finder's has seed 11",
    )
    arrays = {"scores": predicted.astype(np.float32), "y": truth.astype(np.float32), "group": np.arange(len(truth))}
    write_model(
        run / "clusteriser", run / "clusters-run", resolved(facts), Evaluation(metrics, None), arrays, (1024, 1)
    )


def reconstruction_part(run: Path, sample: Path, random: np.random.Generator) -> None:
    """The Reconstruction of both networks."""
    folder, cards = run / "reco", {}
    for part in ("finder", "clusteriser"):
        (folder / part).mkdir(parents=True)
        for name in ("model.keras", "card.json", "README.md"):
            shutil.copyfile(run / part / name, folder / part / name)
        own = read_sealed(folder / part / "card.json")
        cards[part] = {
            "sha256": sha256_of([folder / part / "model.keras"]),
            "card_seal": own["seal"],
            "sweep": own["sweep"]["fingerprint"],
            "sample": own["sample"],
        }
    truth = random.poisson(14.6, 1000).astype(np.float64)
    predicted = 2.0 + 0.8 * truth + random.normal(0, 1.3, len(truth))
    calibration = fit_calibration(predicted, truth, random.uniform(0, 170, len(truth)))
    value = {
        "made_by": "townsend assemble",
        "card_version": 1,
        "finder": {**cards["finder"], "threshold": 0.9},
        "clusteriser": cards["clusteriser"],
        "facts": {},
        "calibration": {**calibration.to_json(), "sample": sample_fingerprint(sample), "sample_seed": 13},
        "verdicts": [{"ok": True, "sentence": "bias within 1%"}],
        "versions": versions(),
    }
    write_sealed(folder / "card.json", value)


def known_reconstruction(run: Path) -> ReconstructionCard:
    """What `reconstruct` knows of it."""
    from townsend.experiments.drifttube.reconstruction.calibration import Calibration

    value = read_sealed(run / "reco" / "card.json")
    cluster = parse(ClusterFacts, read_sealed(run / "reco" / "clusteriser" / "card.json")["facts"])
    return ReconstructionCard(value["seal"], PEAK_FACTS, cluster, Calibration.from_json(value["calibration"]), value)


def output_part(
    run: Path, folder: str, files: list[Path], random: np.random.Generator, *, waveforms: Waveforms | None = None
) -> Path:
    """What the Reconstruction finds in files; those of given waveforms are written first, without truth."""
    truth = waveforms is None
    if waveforms is not None:
        write_root(replace(waveforms, truth=None), files[0])
    known, settings, output = known_reconstruction(run), ReconstructSettings(), run / folder
    output.mkdir()
    inputs = []
    for number, path in enumerate(files):
        part = read_sample(path.parent) if waveforms is None else waveforms
        inputs.append(InputFile(path.absolute(), sha256_of([path]), len(part), 1024, 1.0, 224.0, 176.0, truth))
        columns = _columns(part, number, known, random, truth=truth)
        counts = {"saturated": 0, "saturated_rows": [], "hit": len(part), "down": 0}
        write_shard(shard_path(output, number), columns, counts)
    description = {
        "made_by": "townsend reconstruct",
        "reconstruction": known.seal,
        "files": [file.to_json() for file in inputs],
        "settings": resolved(settings),
        "versions": versions(),
    }
    write_json(output / DESCRIPTION, description)
    shards = [shard_path(output, number) for number in range(len(files))]
    write_json(output / SUMMARY, summarise(shards, known, inputs, settings))
    return output


def _columns(
    part: Waveforms, file: int, known: ReconstructionCard, random: np.random.Generator, *, truth: bool
) -> dict[str, Any]:
    """Three quarters of the electrons found, and a clusteriser that says too little."""
    assert part.truth is not None
    size, times = len(part), part.truth.electron_time_ns
    kept = ak.unflatten(random.uniform(size=int(ak.count(times))) < 0.75, ak.num(times))
    found = times[kept]
    true = clusters_in_record(part.truth, 1024.0)
    predicted = (2.0 + 0.8 * true + random.normal(0, 1.3, size)).astype(np.float32)
    first_ns = first_arrival_ns(found, part.t0_ns, known.cluster.max_drift_ns)
    number, error = known.calibration.apply(predicted, np.nan_to_num(first_ns))
    columns = {
        "file": np.full(size, file),
        "row": np.arange(size),
        **{name: getattr(part, name) for name in ("event", "channel", "track", "run")},
        "n_peaks": ak.to_numpy(ak.num(found)),
        "n_clusters": number,
        "n_clusters_error": error,
        "n_clusters_uncalibrated": predicted,
        "first_arrival_ns": first_ns,
        "deriv_clusters": np.maximum(true - 5, 0),
        "peak_time_ns": found,
        "peak_score": ak.ones_like(found),
    }
    known_truth = {"true_clusters": true, "impact_cm": part.truth.impact_cm, "path_cm": part.truth.path_cm}
    return columns | (known_truth if truth else {})


def peaks_part(run: Path, folder: str) -> Path:
    """What `find-peaks` leaves of three traces, the second with most peaks."""
    output = run / folder
    (output / "figures").mkdir(parents=True)
    numbers = {name: np.arange(3, dtype=np.int32) for name in ("event", "channel", "run")}
    lists = {name: ak.Array([[1.0], [1.0, 2.0, 3.0], []]) for name in ("time_ns", "score")}
    types = dict.fromkeys(numbers, "int32") | {"hit": "bool"} | dict.fromkeys(lists, "var * float32")
    lists = {name: ak.values_astype(values, np.float32) for name, values in lists.items()}
    with uproot.recreate(output / "peaks.root") as file:
        file.mktree("peaks", types).extend({**numbers, "hit": np.array([True, True, False]), **lists})
    for index in range(3):
        canvas, axes = figure(3.0, 1.5)
        axes.plot([1, 2, index])
        save(canvas, output / "figures" / f"trace-{index:04d}-event{index}-channel{index}.png")
    summary = {"made_by": "townsend find-peaks", "data": "/data/my traces.npz", "waveforms": 3, "waveforms_with_hit": 2}
    rates = {"peaks_per_us_with_hit": 2.0, "peaks_per_us_without_hit": None}
    write_json(output / "summary.json", {**summary, **rates, "settings": resolved(FindPeaksSettings(polarity=-1))})
    return output


def write_run(run: Path, waveforms: int = 400) -> Path:
    """All parts of a run in the folder `run`."""
    random = np.random.default_rng(7)
    track = {"track": {"impact": "uniform"}}
    for name, seed in (("mc-finder", 11), ("mc-clusters", 12), ("mc-calibration", 13), ("mc-test", 14)):
        size = waveforms if name == "mc-test" else 40
        simulate_drifttube(size, run / name, parse(DriftTubeSettings, {"seed": seed, **track}))
    finder_parts(run, run / "mc-finder", random, 40)
    clusteriser_parts(run, run / "mc-clusters", random)
    reconstruction_part(run, run / "mc-calibration", random)
    output_part(run, "out", sample_files(run / "mc-test")[:1], random)
    return run


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all parts, in folders named as in the documentation; not to be changed."""
    return write_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture
def measured() -> Callable[[Path], None]:
    """Add what is measured to a run: peaks in traces, and an output without truth."""

    def add(run: Path) -> None:
        peaks_part(run, "traces")
        waveforms, shard = read_sample(run / "mc-test"), run.parent / "beam" / "waveforms-00000.root"
        output_part(run, "beam", [shard], np.random.default_rng(5), waveforms=waveforms)

    return add


@pytest.fixture
def some_run(whole_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy named folders of the whole run; tests may spoil the copy."""

    def copy(*names: str, into: str = "run") -> Path:
        for name in names or tuple(path.name for path in whole_run.iterdir()):
            shutil.copytree(whole_run / name, tmp_path / into / name)
        return tmp_path / into

    return copy
