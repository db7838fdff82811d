"""What one model is worth on a set of events: every figure, curve and verdict, with the events' own weights.

What to use when
----------------
- `Events`: the events that models are judged on.
- `judge`: one model on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.evaluate.calibration import calibration_verdict
from townsend.evaluate.classification import Roc
from townsend.evaluate.classification_table import ClassificationTable, classification_table
from townsend.evaluate.curves import Det, PrecisionRecall, det, precision_recall, weighted_roc
from townsend.evaluate.reliability import Reliability, reliability
from townsend.evaluate.thresholds import ThresholdScan, scan_thresholds
from townsend.evaluate.verdict import Verdict
from townsend.experiments.table.arrays import EVENT_WEIGHT
from townsend.experiments.table.task_settings import TableFacts
from townsend.tasks.base import Split

__all__ = ["Judged", "dependent_groups", "judge", "own_weights"]


@dataclass(frozen=True)
class Judged:
    """One model on n events.

    Arguments:
        scores: (n,); threshold: at which an event is called signal, chosen on other events.
        table: all figures; scan: all thresholds and criteria.
        roc, precision_recall, det: curves.
        reliability: of scores that lie in [0, 1], else None.
        verdicts: whether to believe it.
    """

    scores: NDArray[np.float32]
    threshold: float
    table: ClassificationTable
    scan: ThresholdScan
    roc: Roc
    precision_recall: PrecisionRecall
    det: Det
    reliability: Reliability | None
    verdicts: tuple[Verdict, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy without the curves."""
        return {
            **self.table.to_json(),
            "best_thresholds": {name: best.to_json() for name, best in self.scan.best.items()},
            "thresholds_tried": self.scan.tried,
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }

    def curves(self) -> Mapping[str, NDArray[Any]]:
        """Return name -> array of all curves."""
        found = {f"roc.{name}": values for name, values in self.roc._asdict().items()}
        found |= {
            f"precision_recall.{name}": values
            for name, values in self.precision_recall._asdict().items()
            if isinstance(values, np.ndarray)
        }
        found |= {
            f"det.{name}": values for name, values in self.det._asdict().items() if isinstance(values, np.ndarray)
        }
        found |= {"scan.threshold": self.scan.threshold, "scan.tpr": self.scan.tpr, "scan.fpr": self.scan.fpr}
        return found | {f"scan.{name}": values for name, values in self.scan.curves.items()}


def judge(scores: NDArray[np.float32], threshold: float, events: Split, facts: TableFacts) -> Judged:
    """Return what a model is worth.

    Arguments:
        scores: (n,) of the model; threshold: its own.
        events: the n events, with their own weights in `extra`.
        facts: from the model's card.

    Calibration is judged with the weights of training, where the classes were made equal in it, since scores can only
    be probabilities for those.

    Raises InputError when a class is missing, or weights cannot be used.
    """
    label, weights, group = np.asarray(events.y), own_weights(events), dependent_groups(events)
    trained = events.weight if facts.balanced and events.weight is not None else weights
    within = bool(np.all((scores >= 0) & (scores <= 1)))
    continuous = len(np.unique(scores[:1000])) > 2  # a selection by cuts gives no probability
    verdicts = []
    if within and continuous:
        verdicts.append(calibration_verdict(scores, label, trained, group))
    return Judged(
        scores,
        threshold,
        classification_table(scores, label, threshold, weights, group, facts.classes),
        scan_thresholds(scores, label, weights, facts.background_uncertainty),
        weighted_roc(scores, label, weights),
        precision_recall(scores, label, weights),
        det(scores, label, weights),
        reliability(scores, label, trained, group=group) if within and continuous else None,
        tuple(verdicts),
    )


def own_weights(events: Split) -> NDArray[np.float64] | None:
    """Return the (n,) events' own weights; None where each counts one."""
    return np.asarray(events.extra[EVENT_WEIGHT], np.float64) if EVENT_WEIGHT in events.extra else None


def dependent_groups(events: Split) -> NDArray[np.int32] | None:
    """Return the (n,) groups; None where each event is its own."""
    group = np.asarray(events.group)
    return None if len(np.unique(group)) == len(group) else group
