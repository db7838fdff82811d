"""A task for tests: sequences with or without a bump, from a sample that is one small JSON file."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import ConfigError
from townsend.files import read_json, sha256_of
from townsend.sample.folds import fold_sets
from townsend.tasks.base import Arrays, Evaluation, Fold, Metric, Objective, Split

KNOWN = {"examples": 200, "degenerate": "", "fail": "", "kill_file": "", "kill_times": 0}


class BumpTask:
    name = "bump"
    objective = Objective("accuracy", maximise=True)
    loss = "binary_crossentropy"
    metrics: Mapping[str, bool] = {"accuracy": True}
    places = ()

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(given) - set(KNOWN)
        if unknown:
            msg = f"unknown {unknown}"
            raise ConfigError(msg)
        return {**KNOWN, **given}

    def fingerprint(self, sample: Path, settings: Any) -> str:
        return sha256_of([sample / "bump.json"])

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        height = read_json(sample / "bump.json")["height"]
        random = np.random.default_rng(seed)
        splits = {
            name: _bumps(random, settings["examples"], height) for name in ("train", "monitor", "validation", "test")
        }
        return Arrays(folded(splits, seed, fold), {name: settings[name] for name in KNOWN})

    def evaluate(self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None) -> Evaluation:
        """Judge, but first make the trouble that the facts ask for."""
        facts = arrays.facts
        if facts["kill_file"]:
            count = Path(facts["kill_file"])
            kills = int(count.read_text()) if count.exists() else 0
            if kills < facts["kill_times"]:
                count.write_text(str(kills + 1))
                os.kill(os.getpid(), signal.SIGKILL)
        if facts["fail"]:
            raise RuntimeError(facts["fail"])
        y = arrays.splits[split].y
        at = 0.5 if threshold is None else threshold
        right = float(np.mean((scores > at) == (y > 0.5)))
        error = float(np.sqrt(right * (1 - right) / len(y)))
        return Evaluation({"accuracy": Metric(right, error)}, at, facts["degenerate"], {"scores": scores[:10]})


def folded(splits: Mapping[str, Split], seed: int, fold: Fold | None) -> dict[str, Split]:
    """Return the splits of a fold: train, monitor and validation dealt anew, test as it was."""
    if fold is None:
        return dict(splits)
    pool = [splits[name] for name in ("train", "monitor", "validation")]
    x, y = np.concatenate([split.x for split in pool]), np.concatenate([split.y for split in pool])
    sizes = {"train": len(x) - len(pool[-1]), "validation": len(x)}
    old = {"train": np.arange(sizes["train"]), "validation": np.arange(*sizes.values()), "test": np.arange(0)}
    rows = fold_sets(old, y.__getitem__, fold.index, fold.of, seed)
    made = {name: Split(x[rows[name]], y[rows[name]], rows[name].astype(np.int32)) for name in ("train", "validation")}
    found = {"train": made["train"], "monitor": made["validation"], "validation": made["validation"]}
    if fold.index is None:
        del found["validation"]
    return {**found, "test": splits["test"]}


def _bumps(random: np.random.Generator, count: int, height: float) -> Split:
    y = (np.arange(count) % 2).astype(np.float32)
    x = random.normal(size=(count, 6, 1)).astype(np.float32)
    x[:, 3, 0] += np.float32(height) * y
    return Split(x, y, np.arange(count, dtype=np.int32))


task = BumpTask()
