"""Cuts as fits: judged like any other model, and found again by the thresholds that a sweep tries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from townsend.errors import ConfigError, InputError
from townsend.sweep.brackets import check_examples, check_space, make_plan
from townsend.sweep.settings import SweepSettings
from townsend.tasks.base import Arrays, Objective, Split
from townsend.training.cuts_trainer import CutsTrainer
from townsend.training.records import Fit, Outcome, Rung

LOSS = "binary_crossentropy"
FACTS = {"features": ["p", "e"]}
WINDOW = "(e/p > low) & (e/p < high)"
END = Rung(1 << 62)


def events(seed: int, count: int = 400, weight: Any = None) -> Split:
    """Signal has e/p near 1, background all ratios."""
    random = np.random.default_rng(seed)
    y = (np.arange(count) % 2).astype(np.float32)
    p = random.uniform(0.5, 3, count)
    ratio = np.where(y > 0.5, random.normal(1, 0.08, count), random.uniform(0, 2, count))
    x = np.stack([p, p * ratio], axis=1).astype(np.float32)
    return Split(x, y, np.arange(count, dtype=np.int32), weight=weight)


ARRAYS = Arrays({"train": events(1), "monitor": events(2)}, FACTS)


def advance(fit: Fit, arrays: Arrays = ARRAYS, rung: Rung = END) -> Any:
    ((same, progress),) = CutsTrainer(LOSS).advance([(fit, None)], [arrays], rung)
    assert same is fit
    return progress


def test_figure_is_the_mean_of_true_positive_and_true_negative_rate() -> None:
    fit = Fit(0, 1, {"selection": WINDOW, "low": 0.7, "high": 1.25})
    progress, monitor = advance(fit), ARRAYS.splits["monitor"]
    scores = CutsTrainer(LOSS).scores(fit, progress, monitor.x, [ARRAYS])
    assert set(np.unique(scores)) == {0, 1}
    rates = [np.mean(scores[monitor.y == label] == label) for label in (0, 1)]
    assert progress.figure == pytest.approx(np.mean(rates))
    assert progress.figure > 0.8
    assert progress.curves["monitor_loss"] == pytest.approx(np.mean(scores != monitor.y))
    assert (progress.outcome, progress.parameters, progress.figures) == (Outcome.FINISHED, 2, (progress.figure,))


def test_weights_count_in_figure_and_curves() -> None:
    """Events of weight zero are as good as none."""
    half = np.arange(400) < 200
    weight = np.where(half, 2, 0).astype(np.float32)
    fit = Fit(0, 1, {"selection": WINDOW, "low": 0.7, "high": 1.25})
    split = events(2)
    part = Split(split.x[half], split.y[half], split.group[half])
    ours = advance(fit, Arrays({"train": events(2, weight=weight), "monitor": events(2, weight=weight)}, FACTS))
    theirs = advance(fit, Arrays({"train": part, "monitor": part}, FACTS))
    assert ours.figure == pytest.approx(theirs.figure)
    for name in ("loss", "monitor_loss"):
        assert ours.curves[name] == pytest.approx(theirs.curves[name])
    assert ours.figure != pytest.approx(advance(fit).figure)


def test_rung_in_data_is_a_rest() -> None:
    fit = Fit(0, 1, {"selection": "e/p > low", "low": 0.7})
    rest = advance(fit, rung=Rung(1, 1, 0.5))
    assert rest.outcome is None
    ((_, end),) = CutsTrainer(LOSS).advance([(fit, rest)], [ARRAYS], END)
    assert end.outcome is Outcome.FINISHED
    assert end.figures == (rest.figure, end.figure)


def settings(space: dict[str, Any], **changed: Any) -> SweepSettings:
    given = {"task": "events", "sample": "s", "network": "cuts", "space": space, **changed}
    return SweepSettings.model_validate(given)


def test_sweep_finds_the_better_thresholds() -> None:
    space = {"selection": [WINDOW], "low": {"low": 0.1, "high": 0.9}, "high": [1.25]}
    sweep = settings(space, sampler="random", trials=30)
    check_space(sweep, LOSS)
    check_examples(sweep, LOSS, ARRAYS)
    fits = [fit for bracket in make_plan(sweep, [Objective("auc", maximise=True)]).ready() for fit in bracket.fits]
    assert CutsTrainer(LOSS).packs(fits, [ARRAYS]) == [[fit] for fit in fits]
    figures = {fit.hyperparameters["low"]: advance(fit).figure for fit in fits}
    assert len(figures) == 30
    assert 0.7 < max(figures, key=lambda low: figures[low]) < 0.9
    assert max(figures.values()) - min(figures.values()) > 0.1


def test_threshold_may_belong_to_one_selection_alone() -> None:
    of_two = {"values": [0.8, 0.9], "when": {"selection": [WINDOW]}}
    space = {"selection": [WINDOW, "p > 1"], "low": of_two, "high": {**of_two, "values": [1.2]}}
    check_space(settings(space), LOSS)
    check_examples(settings(space), LOSS, ARRAYS)
    with pytest.raises(ConfigError, match=r"must be a threshold in the selection `p > 1`.*bind it by `when`"):
        check_space(settings({**space, "low": [0.8]}), LOSS)


@pytest.mark.parametrize(
    ("space", "rule"),
    [
        ({"low": [0.8]}, "selection of cuts must be a condition"),
        ({"selection": ["e/p >> low"], "low": [0.8]}, "."),
        ({"selection": ["e/p > low"], "lowe": [0.8]}, 'did you mean "low"'),
        ({"selection": ["e/p > low"], "low": ["a"]}, "threshold low of cuts must be a finite number"),
    ],
)
def test_space_that_cannot_be_cut_is_refused_before_any_work(space: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        check_space(settings(space), LOSS)


def test_features_and_the_kind_of_the_selection_are_checked_once_the_arrays_are_there() -> None:
    for selection, kind, rule in (
        ("e/q > low", ConfigError, "`q` is neither"),
        ("e/p + low", InputError, "must be true or false"),
    ):
        sweep = settings({"selection": [selection], "low": [0.8]})
        check_space(sweep, LOSS)
        with pytest.raises(kind, match=rule):
            check_examples(sweep, LOSS, ARRAYS)


def test_halving_over_epochs_means_nothing_to_cuts() -> None:
    check_space(settings({"selection": ["p > 1"]}, halving={"resource": "data"}), LOSS)
    with pytest.raises(ConfigError, match=r"halving over epochs needs a network \(got cuts"):
        check_space(settings({"selection": ["p > 1"]}, halving={"resource": "epochs"}), LOSS)
