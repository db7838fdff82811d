"""Whether a model does as well on events it was not trained on, and what it looks at.

What to use when
----------------
- `generalise`: training events beside those judged.
- `rank_features`: how much AUC is lost where a feature, or a group of correlated ones, is shuffled.

Both look at a part of very many events, taken evenly; the numbers say how many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.evaluate.importance import FeatureRanking, permutation_importance
from townsend.evaluate.learning_curve import LossDivergence, loss_divergence
from townsend.evaluate.overtraining import OvertrainingReport, Scored, overtraining_report
from townsend.experiments.table.events_judged import JudgedEvents, Model
from townsend.experiments.table.judge import dependent_groups, own_weights
from townsend.experiments.table.task_settings import TableFacts
from townsend.networks.stored import forward
from townsend.tasks.base import Split

__all__ = ["Generalised", "Ranked", "generalise", "rank_features"]

_MOST_COMPARED = 100_000
_MOST_SHUFFLED = 20_000
_REPEATS = 5
_SEED = 1904  # of the shuffles


@dataclass(frozen=True)
class Generalised:
    """Training events beside those judged; None where another table is judged."""

    report: OvertrainingReport | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy of verdict and figures."""
        if self.report is None:
            return {"overtraining": None}
        found = self.report
        classes = {"signal": found.signal, "background": found.background}
        return {
            "overtraining": {
                "verdict": found.verdict.to_json(),
                "train_auc": list(found.train),
                "auc": list(found.monitor),
                "gap": list(found.gap),
                "pull": found.pull if np.isfinite(found.pull) else None,
                "ks": {name: {"distance": one.distance, "p": one.p} for name, one in classes.items()},
                "chi2": {name: list(one.chi2) for name, one in classes.items()},
            }
        }


def generalise(model: Model, folder: Path, scores: NDArray[np.float32], events: JudgedEvents) -> Generalised:
    """Return a model's scores of its training events beside those of the events judged.

    Arguments:
        model: open; folder: where it is, with the curves of its training.
        scores: (n,) of the events judged.
    """
    if events.arrays is None:
        return Generalised(None)
    train, rows = _evenly(events.arrays.splits["train"], _MOST_COMPARED)
    seen = _scored(train, forward(model.chosen.network, train.x))
    judged, rows = _evenly(events.events, _MOST_COMPARED)
    return Generalised(overtraining_report(seen, _scored(judged, scores[rows]), _losses(model, folder), second="test"))


def _losses(model: Model, folder: Path) -> LossDivergence | None:
    """Return how the losses of the training moved; None where none are kept for every epoch."""
    path = folder / "training.npz"
    if not path.is_file():
        return None
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        if "loss" not in arrays or "monitor_loss" not in arrays:
            return None
        loss, monitor_loss = arrays["loss"], arrays["monitor_loss"]
    if not (np.isfinite(loss).all() and np.isfinite(monitor_loss).all()):
        return None
    kept = int(model.chosen.card["best_epoch"])
    return loss_divergence(loss, monitor_loss, kept if 1 <= kept <= len(loss) else None)


def _scored(split: Split, scores: NDArray[np.float32]) -> Scored:
    return Scored(scores, np.asarray(split.y), np.asarray(split.group), own_weights(split))


def _evenly(split: Split, most: int) -> tuple[Split, slice]:
    """Return every so many-th event, at most `most`, and which."""
    rows = slice(None, None, max(1, -(-len(split) // most)))
    extra = {name: np.asarray(values)[rows] for name, values in split.extra.items()}
    weight = None if split.weight is None else np.asarray(split.weight)[rows]
    part = replace(split, x=np.asarray(split.x)[rows], y=np.asarray(split.y)[rows], group=np.asarray(split.group)[rows])
    return replace(part, extra=extra, weight=weight), rows


@dataclass(frozen=True)
class Ranked:
    """What features are worth to one model.

    Arguments:
        ranking: AUC lost where each is shuffled, and where groups of correlated ones are shuffled together.
        events: that were shuffled.
    """

    ranking: FeatureRanking
    events: int

    def rows(self) -> Iterator[tuple[str, float, float]]:
        """Yield features, AUC lost and its error: single ones, then groups of several."""
        groups = [group for group in self.ranking.together if len(group.features) > 1]
        for one in (*self.ranking.single, *groups):
            yield " + ".join(one.features), one.drop.value, one.drop.error

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return {
            "events": self.events,
            "verdicts": [verdict.to_json() for verdict in self.ranking.verdicts],
            "auc_lost": {name: [value, error] for name, value, error in self.rows()},
        }


def rank_features(network: Any, events: Split, facts: TableFacts) -> Ranked:
    """Return how much AUC a model loses where features are shuffled between events.

    Arguments:
        network: as `open_chosen` returns it.
        events: judged; a feature that the model does not use loses nothing.
    """
    part, _ = _evenly(events, _MOST_SHUFFLED)
    ranking = permutation_importance(
        lambda x: forward(network, x),
        np.asarray(part.x),
        np.asarray(part.y),
        own_weights(part),
        dependent_groups(part),
        facts.features,
        repeats=_REPEATS,
        seed=_SEED,
    )
    return Ranked(ranking, len(part))
