from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.files import write_json
from townsend.sweep.choose import choose
from townsend.sweep.records import RunInfo
from townsend.sweep.taken import retrain_seed, take_fit, train_anew
from townsend.sweep.trial_rows import trial_rows
from townsend.tasks.base import Metric, Objective
from townsend.tasks.registry import find_task
from townsend.training.record_file import BracketRecord, write_bracket_record
from townsend.training.records import FitRecord, Outcome

# Keras 3.15 saves its variables through np.array(variable), for which NumPy 2 has announced a change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

ACCURACY = Objective("accuracy", maximise=True)
TINY = {
    "topology": "2 3 1",
    "activations": "relu sigmoid",
    "dropout": 0.0,
    "optimizer": "adam",
    "batch_size": 25,
    "learning_rate": 0.01,
}


@pytest.fixture
def info(bump_sample: Path) -> RunInfo:
    task = find_task("bump")
    given = task.settings({"examples": 60})
    settings = {"task": "bump", "network": "lstm", "sample": str(bump_sample), "task_settings": given, "folds": 3}
    settings |= {"repeats": 1, "seed": 4, "epochs": 50, "patience": 2}
    contents = task.fingerprint(bump_sample, given)
    return RunInfo(settings, "abc", {"townsend": "0"}, contents, 1, ACCURACY)


def fits(hyperparameters: dict[str, Any] = TINY, figures: Sequence[float] = (0.7, 0.9, 0.8)) -> list[FitRecord]:
    return [
        FitRecord(
            6,
            fold,
            hyperparameters,
            Outcome.FINISHED,
            epochs=20,
            best_epoch=9 - 3 * fold,
            metrics={"accuracy": Metric(figure, 0.03)},
            threshold=0.3 + 0.2 * fold,
            fold=fold,
        )
        for fold, figure in enumerate(figures)
    ]


def row_of(records: Sequence[FitRecord]) -> FitRecord:
    return trial_rows(records, len(records), 1, "accuracy")[0]


def test_a_last_training_takes_all_but_test_for_the_median_best_epoch(info: RunInfo) -> None:
    records = fits()
    taken = train_anew(info, row_of(records), records, find_task("bump"))
    assert taken.anew
    assert len(taken.arrays.splits["train"]) == 180
    assert taken.record.epochs == len(taken.curves["loss"]) == 6  # of best epochs 9, 6 and 3; patience is 2
    assert taken.record.threshold == pytest.approx(0.5)
    assert taken.record.metrics["accuracy"].value == pytest.approx(0.8)
    assert taken.record.seed == retrain_seed(4, 6)
    assert "trained anew on all but test (180 examples) for 6 epochs, the median best epoch of 3 fits" in taken.how


def test_the_same_last_training_gives_the_same_bits(info: RunInfo) -> None:
    records = fits()
    first, second = (train_anew(info, row_of(records), records, find_task("bump")) for _ in range(2))
    for one, other in zip(first.weights, second.weights, strict=True):
        assert np.array_equal(one, other)


def test_patience_among_the_hyperparameters_does_not_stop_a_last_training(info: RunInfo) -> None:
    records = fits({**TINY, "patience": 1, "learning_rate": 0.2})
    assert train_anew(info, row_of(records), records, find_task("bump")).record.epochs == 6


def test_a_last_training_has_a_seed_that_no_fit_has() -> None:
    from townsend.sweep.brackets import fit_seed

    seeds = [fit_seed(1, trial, fold, repeat) for trial in range(50) for fold in range(3) for repeat in range(3)]
    assert len({*seeds, *(retrain_seed(1, trial) for trial in range(50))}) == 500


def test_a_changed_sample_is_not_trained_on_anew(info: RunInfo) -> None:
    (Path(str(info.settings["sample"])) / "bump.json").write_text('{"height": 0.1}')
    with pytest.raises(
        InputError, match=r"needs the sample of the sweep .* other contents\); restore it, or choose wi"
    ):
        train_anew(info, row_of(fits()), fits(), find_task("bump"))


def test_a_last_training_that_diverges_is_refused(info: RunInfo) -> None:
    records = fits({**TINY, "activations": "relu linear", "optimizer": "sgd", "loss": "mse", "learning_rate": 1e30})
    with pytest.raises(InputError, match=r"last training of trial 6 must not diverge \(.+\); choose another"):
        train_anew(info, row_of(records), records, find_task("bump"))


@pytest.mark.parametrize("figures", [(0.7, 0.9, 0.8), (0.8, 0.7, 0.95), (0.7, 0.8, 0.9)])
@pytest.mark.parametrize("objective", [ACCURACY, Objective("accuracy", maximise=False)])
def test_the_middle_of_three_is_taken(figures: Sequence[float], objective: Objective, monkeypatch: Any) -> None:
    for name in ("read_arrays", "read_weights", "read_curves"):
        monkeypatch.setattr(f"townsend.sweep.taken.{name}", lambda *_: {})
    assert take_fit(Path(), fits(figures=figures), objective).record.metrics["accuracy"].value == 0.8
    two = take_fit(Path(), fits(figures=figures[:2]), objective).record.metrics["accuracy"].value
    assert two == (min if objective.maximise else max)(figures[:2])


@pytest.mark.slow
def test_with_folds_choose_trains_anew_and_reads_test_once(info: RunInfo, tmp_path: Path) -> None:
    records = [replace(record, threshold=0.5) for record in fits()]
    run = tmp_path / "run"
    write_json(run / "sweep.json", asdict(info))
    write_bracket_record(run, replace(BracketRecord(0).with_fits((one, {}) for one in records), complete=True))
    card = json.loads((choose(run, tmp_path / "model") / "card.json").read_text())
    assert card["choice"]["trained_on"] == "all but test"
    assert card["test"]["examples"] == 60
    assert card["threshold"] == 0.5
    assert any(verdict["sentence"].startswith("trained anew on all but test") for verdict in card["verdicts"])
    assert not any("overtrained" in verdict["sentence"] for verdict in card["verdicts"])
    text = (tmp_path / "model" / "README.md").read_text()
    assert "- trained on all but test, best epoch" in text
