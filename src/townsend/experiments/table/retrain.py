"""A chosen configuration trained again: on fewer events, or without a feature.

What to use when
----------------
- `learning_curve_of`: would more events help? Trained on a twentieth of the training events up to four fifths.
- `ranking_without`: what is lost where a feature was never there, which shuffling it can only guess.

Both keep the hyperparameters; the test events are the same throughout. They take as many trainings as they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.classification import auc
from townsend.evaluate.importance import FeatureRanking, drop_and_retrain
from townsend.evaluate.learning_curve import LearningCurve, learning_curve
from townsend.experiments.table.arrays import natural_weight
from townsend.experiments.table.events_judged import Model
from townsend.experiments.table.judge import dependent_groups, own_weights
from townsend.experiments.table.task import task
from townsend.networks.build_file import BuildFile
from townsend.tasks.base import Arrays, Split
from townsend.training.bracket import BracketWork, open_trainer
from townsend.training.keras_trainer import TrainSettings
from townsend.training.models import CUTS
from townsend.training.records import Bracket, Fit, Rung

__all__ = ["REPEATS", "check_retrainable", "learning_curve_of", "ranking_without"]

REPEATS = 3
_SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)  # never all: parts of one size must differ for their spread to mean something
_FEWEST = 50  # training events of the smallest part
_TO_THE_END = Rung(epochs=1 << 62)
_STREAM = 0x70617274  # keeps the draw of a part apart from other uses of the same seed


def check_retrainable(model: Model, name: str) -> None:
    """Raise InputError where there is nothing to train: a selection by cuts."""
    if model.chosen.card["network"] == CUTS:
        msg = f"{name} must be trained to be trained again (it is a selection by cuts); leave it out"
        raise InputError(msg)


def learning_curve_of(model: Model, arrays: Arrays, build: BuildFile | None = None) -> LearningCurve:
    """Return the AUC on training and on test events against the number of training events.

    Arguments:
        model: chosen; arrays: that it was trained on, with `test`.
        build: the user's file, where the network needs one.

    Raises InputError when there are too few events.
    """
    whole = arrays.splits["train"]
    sizes = [number for share in _SHARES if (number := int(share * len(whole))) >= _FEWEST]

    def train_on(number: int, seed: int) -> tuple[float, float]:
        rows = np.sort(np.random.default_rng([seed, _STREAM]).permutation(len(whole))[:number])
        part = _with_train(arrays, _taken(whole, rows))
        scores = _trained(model, part, seed, ("train", "test"), build)
        return tuple(_area(part.splits[name], scores[name]) for name in ("train", "test"))  # type: ignore[return-value]

    return learning_curve(train_on, sizes, REPEATS)


def ranking_without(model: Model, arrays: Arrays, build: BuildFile | None = None) -> FeatureRanking:
    """Return what the AUC on test loses when a feature, or a group of correlated ones, is left out of training.

    Arguments: as `learning_curve_of`.
    """
    test, names = arrays.splits["test"], model.facts.features

    def train(kept: tuple[str, ...], seed: int) -> NDArray[np.float32]:
        columns = [names.index(name) for name in kept]
        return _trained(model, _with_columns(arrays, columns), seed, ("test",), build)["test"]

    x, label = np.asarray(test.x), np.asarray(test.y)
    return drop_and_retrain(train, x, label, own_weights(test), dependent_groups(test), names, REPEATS)


def _trained(
    model: Model, arrays: Arrays, seed: int, judged: tuple[str, ...], build: BuildFile | None
) -> Mapping[str, NDArray[np.float32]]:
    """Return the scores that the configuration, trained anew, gives to some splits."""
    card = model.chosen.card
    settings = card["sweep"]["settings"]
    fit = Fit(0, int(np.random.SeedSequence(seed).generate_state(1)[0]), dict(card["hyperparameters"]))
    train = TrainSettings(int(settings["epochs"]), int(settings["patience"]))
    work = BracketWork(Bracket(0, (fit,)), task.name, str(card["network"]), train, build=str(card["build_sha256"]))
    trainer = open_trainer(work, task, build)
    [(_, progress)] = trainer.advance([(fit, None)], [arrays], _TO_THE_END)
    if not progress.weights:
        msg = f"a training must not fail to be repeated ({progress.detail}); evaluate without training again"
        raise InputError(msg)
    return {name: trainer.scores(fit, progress, np.asarray(arrays.splits[name].x), [arrays]) for name in judged}


def _area(split: Split, scores: NDArray[np.float32]) -> float:
    return auc(scores, np.asarray(split.y), natural_weight(split))


def _taken(split: Split, rows: NDArray[np.intp]) -> Split:
    extra = {name: np.asarray(values)[rows] for name, values in split.extra.items()}
    weight = None if split.weight is None else np.asarray(split.weight)[rows]
    if weight is not None:
        weight = (weight / weight.mean(dtype=np.float64)).astype(np.float32)
    return Split(np.asarray(split.x)[rows], np.asarray(split.y)[rows], np.asarray(split.group)[rows], extra, weight)


def _with_train(arrays: Arrays, train: Split) -> Arrays:
    return replace(arrays, splits={**arrays.splits, "train": train})


def _with_columns(arrays: Arrays, columns: list[int]) -> Arrays:
    """Return the arrays of some features."""
    splits = {name: replace(split, x=np.asarray(split.x)[:, columns]) for name, split in arrays.splits.items()}
    scaling = {key: [values[column] for column in columns] for key, values in arrays.facts["scaling"].items()}
    features = [arrays.facts["features"][column] for column in columns]
    return Arrays(splits, {**arrays.facts, "scaling": scaling, "features": features})
