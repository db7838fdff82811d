"""A regression for tests: how many spikes are in a list, as far as a reader, a folder beside the sample, sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from toy_task import folded

from townsend.config import Closed, parse, resolved
from townsend.evaluate.regression import regression_figures
from townsend.files import read_json, sha256_of
from townsend.tasks.base import Arrays, Evaluation, Fold, Objective, Split

BINS = 16


class SpikeSettings(Closed):
    reader: str
    examples: int = 150


class SpikeTask:
    name = "spikes"
    objective = Objective("mse", maximise=False)
    loss = "mse"
    metrics: Mapping[str, bool] = {"mse": False}
    places = ("reader",)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return resolved(parse(SpikeSettings, given))

    def fingerprint(self, sample: Path, settings: Mapping[str, Any]) -> str:
        return sha256_of([sample / "spikes.json", Path(settings["reader"]) / "reader.json"])

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        """Draw lists; the number of spikes is the target, a share `seen` of them is in the list."""
        share = read_json(sample / "spikes.json")["share"]
        seen = read_json(Path(settings["reader"]) / "reader.json")["seen"]
        random = np.random.default_rng(seed)
        names = ("train", "monitor", "validation", "test")
        splits = {name: _spikes(random, settings["examples"], share, seen) for name in names}
        return Arrays(folded(splits, seed, fold), {"seen": seen})

    def evaluate(self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None) -> Evaluation:
        chosen = arrays.splits[split]
        return Evaluation(regression_figures(scores, chosen.y, chosen.group), None)


def _spikes(random: np.random.Generator, count: int, share: float, seen: float) -> Split:
    true = random.uniform(size=(count, BINS, 1)) < share
    x = (true & (random.uniform(size=true.shape) < seen)).astype(np.float32)
    return Split(x, true.sum(axis=(1, 2)).astype(np.float32), np.arange(count, dtype=np.int32))


task = SpikeTask()
