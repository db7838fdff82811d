"""The best network of a sweep, as a folder that stands on its own.

What to use when
----------------
- `choose`: take the best configuration on validation, or one of your own choice, judge it once on test, write model,
  card and scores.
- `render_card`: what a terminal shows of such a folder.

The folder holds the model, such as `model.keras` (stock Keras, opens without townsend), `card.json`, `README.md`,
`test.npz` (scores, targets, groups and curves of the test set) and `training.npz` (epoch curves, scores of the training
sets).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.overtraining import Scored, overtraining, regression_overtraining
from townsend.evaluate.verdict import Verdict
from townsend.files import atomic_path, write_sealed, write_text
from townsend.folders import check_replaceable, folder_as_a_whole
from townsend.networks.build_file import BuildFile
from townsend.networks.stored import forward
from townsend.sweep.board import Board, board
from townsend.sweep.board_verdicts import shown
from townsend.sweep.card import MADE_BY, card, card_text, render_card
from townsend.sweep.chosen import MODEL_FILES, rebuild, save_model
from townsend.sweep.records import read_records, run_info
from townsend.sweep.taken import Taken, take_fit, train_anew
from townsend.tasks.base import Arrays, Evaluation, Metric, Split, Task
from townsend.tasks.registry import find_task
from townsend.training.losses import outputs_of
from townsend.training.records import SENTENCES, FitRecord

__all__ = ["choose", "render_card"]

_OWN = frozenset({"README.md", "card.json", "figures", *MODEL_FILES, "test.npz", "training.npz"})


@dataclass(frozen=True)
class _Judged:
    """The chosen network's scores of each set, and what they are worth."""

    scores: Mapping[str, NDArray[np.float32]]
    test: Evaluation
    verdicts: tuple[Verdict, ...]


def choose(
    run: Path,
    output: Path,
    *,
    trial: int | None = None,
    retrain: bool | None = None,
    build: BuildFile | None = None,
) -> Path:
    """Write the best network of the sweep in `run` to the folder `output` and return it.

    The best configuration has the best objective on validation among all that finished or stopped early. Of its fits
    the one in the middle is taken, or a network is trained anew on all but test. The test set is read once, at the
    threshold chosen on validation. The folder appears as a whole or not at all.

    Arguments:
        run: folder of a sweep, finished or not; an unfinished one is named so on the card.
        output: new, empty, or a folder made by `choose` before, which is replaced.
        trial: another configuration than the best, for example one of a front; the card says that the reader chose.
        retrain: whether to train anew on all but test; None: yes where the sweep has folds, whose networks each went
            without a part of the sample.

    Raises InputError when no configuration may be chosen, or not that one, the output folder holds other things, the
    kept weights do not repeat the figure on the board, or the sample to train anew on is not the sweep's.
    """
    check_replaceable(output, "card.json", MADE_BY, _OWN)
    info, ranking = run_info(run), board(run)
    row = _row(run, ranking, trial)
    fits = [record for record in read_records(run) if record.trial == row.trial]
    task = find_task(str(info.settings["task"]))
    anew = any(fit.fold > 0 for fit in fits) if retrain is None else retrain
    taken = train_anew(info, row, fits, task, build) if anew else take_fit(run, fits, ranking.objective)
    shape = taken.arrays.splits["test"].x.shape[1:]
    arrays = taken.arrays
    facts, outputs = arrays.facts, outputs_of(task.loss, arrays.facts)
    kind = str(info.settings["network"])
    network = rebuild(kind, taken.record, taken.weights, shape, build, facts, outputs)
    judged = _judge(network, task, ranking, taken)
    with folder_as_a_whole(output) as folder:
        save_model(network, folder)
        _save_arrays(folder / "test.npz", _test_arrays(arrays.splits["test"], judged))
        _save_arrays(folder / "training.npz", {**taken.curves, **_training_arrays(arrays, judged)})
        by_reader = trial is not None
        value = card(info, ranking, taken, judged.test, judged.verdicts, by_reader=by_reader, outputs=outputs)
        write_text(folder / "README.md", card_text(value))
        write_sealed(folder / "card.json", value)
    return output


def _row(run: Path, ranking: Board, trial: int | None) -> FitRecord:
    """Return the row of the configuration to take, which left a network with a figure."""
    if trial is None:
        if ranking.best is not None:
            return ranking.best
        found = "; ".join(verdict.sentence for verdict in ranking.verdicts[:-1] or ranking.verdicts)
        rule = f"one configuration of {run} at least must be usable"
        msg = f"{rule} ({found}); change the space, the epochs or the sample"
        raise InputError(msg)
    row = next((row for row in ranking.rows if row.trial == trial), None)
    if row is None:
        msg = f"trial must be one whose fits have all ended in {run} (got {trial}); see the numbers on its board"
        raise InputError(msg)
    if not ranking.rankable(row):
        because = row.detail or SENTENCES[row.outcome]
        msg = f"trial {trial} of {run} must be usable to be chosen (it is {row.outcome}: {because}); choose another"
        raise InputError(msg)
    return row


def _judge(network: Any, task: Task, ranking: Board, taken: Taken) -> _Judged:
    arrays, threshold = taken.arrays, taken.record.threshold
    verdicts = [Verdict(True, taken.how)] if taken.how else []
    names = ("train", "monitor", "test") if taken.anew else ("train", "monitor", "validation", "test")
    scores = {name: forward(network, arrays.splits[name].x) for name in names}
    if not taken.anew:
        repeated = task.evaluate(arrays, "validation", scores["validation"], threshold)
        verdicts.append(_same_figure(ranking, taken.record, repeated))
        seen, unseen = (_scored(arrays.splits[name], scores[name]) for name in ("train", "monitor"))
        if scores["train"].ndim == 1 and threshold is None:
            verdicts.append(regression_overtraining(seen._replace(weights=None), unseen._replace(weights=None)))
        elif threshold is not None and all(_two_classes(arrays.splits[name]) for name in ("train", "monitor")):
            verdicts.append(overtraining(seen, unseen))
    test = task.evaluate(arrays, "test", scores["test"], threshold)
    if test.degenerate:
        verdicts.append(Verdict(False, f"degenerate on test: {test.degenerate}"))
    verdicts.append(_validation_and_test(ranking, taken.record, test))
    return _Judged(scores, test, tuple(verdicts))


def _two_classes(split: Split) -> bool:
    return set(np.unique(split.y)) == {0.0, 1.0}


def _scored(split: Split, scores: NDArray[np.float32]) -> Scored:
    return Scored(scores, np.asarray(split.y), np.asarray(split.group), split.weight)


def _same_figure(ranking: Board, best: FitRecord, repeated: Evaluation) -> Verdict:
    """Return that the rebuilt network is the one on the board; raise when it is not."""
    metric = ranking.objective.metric
    was, now = best.metrics[metric], repeated.metrics[metric]
    if not abs(was.value - now.value) <= max(0.2 * was.error, 1e-4 * abs(was.value)):
        msg = (
            f"kept weights must repeat the figure of trial {best.trial} (board: {metric} {was.value:.6g}, now "
            f"{now.value:.6g}); repeat the sweep with the installed versions"
        )
        raise InputError(msg)
    return Verdict(True, f"the rebuilt network repeats {metric} {was.value:.4f} of trial {best.trial} on validation")


def _validation_and_test(ranking: Board, best: FitRecord, test: Evaluation) -> Verdict:
    """Compare the figure that chose the network with the one nobody had looked at."""
    metric = ranking.objective.metric
    before, after = best.metrics[metric], test.metrics[metric]
    error = float(np.hypot(before.error, after.error))
    loss = (before.value - after.value) * (1 if ranking.objective.maximise else -1)
    figures = (
        f"{metric} {shown(before)} on validation, {shown(after)} on test, whose data no fit and no choice saw: "
        f"validation flattered by {shown(Metric(loss, error))}"
    )
    if error > 0 and loss > 3 * error:
        return Verdict(False, f"worse on test: {figures}, {loss / error:.1f} standard deviations; believe the latter")
    return Verdict(True, f"test agrees with validation: {figures}")


def _test_arrays(split: Split, judged: _Judged) -> dict[str, NDArray[Any]]:
    curves = {f"curve.{name}": np.asarray(values) for name, values in judged.test.curves.items()}
    return {"scores": judged.scores["test"], "y": np.asarray(split.y), "group": np.asarray(split.group), **curves}


def _training_arrays(arrays: Arrays, judged: _Judged) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for name in ("train", "monitor"):
        split = arrays.splits[name]
        found |= {f"{name}.scores": judged.scores[name], f"{name}.y": np.asarray(split.y)}
        found[f"{name}.group"] = np.asarray(split.group)
    return found


def _save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
