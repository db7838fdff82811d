"""A fit: patience, best weights, divergence, and the same bits in another process."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from townsend.errors import InputError
from townsend.networks.family import build_network
from townsend.networks.stored import forward
from townsend.tasks.base import Arrays, Split
from townsend.training.checkpoint import read_checkpoint, write_checkpoint
from townsend.training.hyperparameters import split
from townsend.training.keras_trainer import KerasTrainer, TrainSettings
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BASE = {
    "topology": "4 8 1",
    "activations": "relu sigmoid",
    "dropout": 0.0,
    "optimizer": "adam",
    "batch_size": 50,
    "learning_rate": 0.02,
}


def bumps(count: int, sign: float = 1.0) -> Split:
    random = np.random.default_rng(count)
    y = (np.arange(count) % 2).astype(np.float32)
    x = random.normal(size=(count, 6, 1)).astype(np.float32)
    x[:, 3, 0] += 4 * y
    return Split(x, y if sign > 0 else 1 - y, np.arange(count, dtype=np.int32))


END = Rung(1000)


def fit_of(trial: int = 0, **changes: Any) -> Fit:
    return Fit(trial, 5 + trial, {**BASE, **changes})


def trainer(epochs: int, patience: int, loss: str = "binary_crossentropy", together: bool = False) -> KerasTrainer:
    make = partial(build_network, "lstm")
    return KerasTrainer(make, loss, TrainSettings(epochs, patience), side_by_side=together)


def trained(
    arrays: Arrays, epochs: int = 4, patience: int = 4, loss: str = "binary_crossentropy", **changes: Any
) -> Progress:
    ((_, progress),) = trainer(epochs, patience, loss).advance([(fit_of(**changes), None)], [arrays], END)
    return progress


def network_of(progress: Progress) -> Any:
    network = build_network("lstm", split(BASE)[1], (6, 1), 0)
    network.set_weights(progress.weights)
    return network


ARRAYS = Arrays({"train": bumps(230), "monitor": bumps(110)}, {})
CONTRARY = Arrays({"train": bumps(230), "monitor": bumps(110, sign=-1.0)}, {})


@pytest.mark.slow
def test_fit_learns_and_finishes() -> None:
    fit = trained(ARRAYS, epochs=15)
    assert fit.outcome is Outcome.FINISHED
    assert fit.epochs == 15
    assert fit.curves["monitor_accuracy"][-1] > 0.9
    assert {len(values) for values in fit.curves.values()} == {15}
    assert fit.parameters == network_of(fit).count_params()
    assert fit.wall_s >= fit.compile_s >= 0
    assert fit.state == {}


def test_best_weights_are_kept_when_the_monitored_loss_rises() -> None:
    fit = trained(CONTRARY, epochs=10, patience=3)
    curve = fit.curves["monitor_loss"]
    assert fit.outcome is Outcome.STOPPED_EARLY
    assert fit.best_epoch == 1 + int(np.argmin(curve))
    assert fit.epochs == fit.best_epoch + 3 == len(curve) < 10
    watched = CONTRARY.splits["monitor"]
    scores = forward(network_of(fit), watched.x)
    loss = -np.mean(np.log(np.where(watched.y > 0.5, scores, 1 - scores)))
    assert loss == pytest.approx(curve[fit.best_epoch - 1], rel=1e-4)
    assert loss < 0.99 * curve[-1]
    assert fit.figure == pytest.approx(roc_auc_score(watched.y, scores), abs=1e-6)
    same = trainer(10, 3).scores(fit_of(), fit, watched.x, [CONTRARY])
    np.testing.assert_array_equal(scores, same)


def test_weights_of_a_convolutional_fit_are_those_of_its_stock_network() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 20, 1)).astype(np.float32)
    data = Split(x, x.mean((1, 2)), np.arange(90, dtype=np.int32))
    given = {"filters": "2 3", "activations": "relu selu", "dropout": 0.0}
    fit = Fit(0, 5, {**given, "optimizer": "adam", "batch_size": 30})
    arrays = [Arrays({"train": data, "monitor": data}, {})]
    of_cnn = KerasTrainer(partial(build_network, "cnn"), "mean_squared_error", TrainSettings(2, 2))
    ((_, done),) = of_cnn.advance([(fit, None)], arrays, END)
    again = build_network("cnn", given, (20, 1), fit.seed)
    again.set_weights(done.weights)
    errors = (forward(again, x) - data.y) ** 2
    assert np.mean(errors) == pytest.approx(done.curves["monitor_loss"][done.best_epoch - 1], rel=1e-5)
    assert done.figure == pytest.approx(np.mean(errors), rel=1e-5)


def test_patience_that_ends_with_the_last_epoch_is_no_early_stop() -> None:
    last = trained(CONTRARY, epochs=10, patience=3).epochs
    assert trained(CONTRARY, epochs=last, patience=3).outcome is Outcome.FINISHED


def test_epochs_and_patience_may_be_hyperparameters() -> None:
    for arrays, changes, epochs in ((ARRAYS, {"epochs": 3}, 3), (CONTRARY, {"patience": 1}, 2)):
        ((_, fit),) = trainer(10, 10).advance([(fit_of(**changes), None)], [arrays], END)
        assert fit.epochs == epochs


DIVERGING = {"optimizer": "sgd", "activations": "relu linear", "learning_rate": 1e20}


def test_infinite_loss_is_diverged_and_names_epoch_rate_and_optimizer() -> None:
    fit = trained(ARRAYS, loss="mean_squared_error", **DIVERGING)
    assert fit.outcome is Outcome.DIVERGED
    assert fit.epochs == len(fit.curves["loss"]) == 1
    assert fit.best_epoch == 0
    assert list(fit.weights) == []
    assert fit.detail == "the loss was not finite in epoch 1, with sgd at the learning rate 1e+20"


def test_accuracy_is_left_out_where_it_means_nothing() -> None:
    fit = trained(ARRAYS, epochs=1, loss="mean_squared_error", activations="relu linear")
    assert set(fit.curves) == {"loss", "monitor_loss", "learning_rate"}


def test_schedule_is_on_the_curves() -> None:
    fit = trained(ARRAYS, epochs=3, schedule="decay", schedule_decay=0.5)
    np.testing.assert_allclose(fit.curves["learning_rate"], [0.02, 0.01, 0.005], rtol=1e-6)


def equal(one: Progress, two: Progress) -> bool:
    """Whether all is equal to the last bit, but for the times, and how often the fits rested."""
    same = (one.outcome, one.epochs, one.best_epoch, one.figure) == (
        two.outcome,
        two.epochs,
        two.best_epoch,
        two.figure,
    )
    curves = all(np.array_equal(one.curves[name], two.curves[name]) for name in one.curves)
    return same and curves and all(map(np.array_equal, one.weights, two.weights))


@pytest.mark.parametrize("rungs", [(1,), (2, 3), (1, 2, 3, 4, 5, 6, 7)])
@pytest.mark.parametrize("arrays", [ARRAYS, CONTRARY], ids=["to the end", "stopped early"])
def test_fit_that_rests_ends_as_one_that_does_not(arrays: Arrays, rungs: tuple[int, ...], tmp_path: Path) -> None:
    changes = {"optimizer": "nesterov", "schedule": "plateau", "schedule_patience": 1, "dropout": 0.3}
    fit, once = fit_of(**changes), trained(arrays, epochs=8, patience=3, **changes)
    progress: Progress | None = None
    for epochs in rungs:
        ((_, progress),) = trainer(8, 3).advance([(fit, progress)], [arrays], Rung(epochs))
        if progress.outcome is not None:
            break
        assert progress.epochs == epochs
        write_checkpoint(tmp_path, 0, fit.label, progress)
        progress = read_checkpoint(tmp_path, 0, fit.label)
    assert progress is not None
    if progress.outcome is None:
        ((_, progress),) = trainer(8, 3).advance([(fit, progress)], [arrays], END)
    assert equal(progress, once)
    assert len(progress.figures) > 1


def test_torn_checkpoint_counts_as_absent(tmp_path: Path) -> None:
    ((fit, progress),) = trainer(4, 4).advance([(fit_of(), None)], [ARRAYS], Rung(1))
    write_checkpoint(tmp_path, 0, fit.label, progress)
    path = next(tmp_path.rglob("*.npz"))
    whole = path.read_bytes()
    for torn in (b"", whole[:100], whole[: len(whole) // 2]):
        path.write_bytes(torn)
        assert read_checkpoint(tmp_path, 0, fit.label) is None
    path.write_bytes(whole)
    assert equal(read_checkpoint(tmp_path, 0, fit.label) or Progress(None), progress)


@pytest.mark.slow
def test_part_of_the_data_comes_first() -> None:
    fit = fit_of(optimizer="sgd", learning_rate=0.1, batch_size=115)
    ((_, half),) = trainer(4, 4).advance([(fit, None)], [ARRAYS], Rung(1, fraction=0.5))
    ((_, whole),) = trainer(4, 4).advance([(fit, None)], [ARRAYS], Rung(1))
    assert [int(fit.state[str(len(fit.state) - 1)]) for fit in (half, whole)] == [1, 2]  # steps stand last


MEMBERS = ({}, {"optimizer": "sgd", "learning_rate": 0.3}, {"activations": "selu tanh", "schedule": "cosine"})


@pytest.mark.slow
def test_members_side_by_side_train_like_those_alone() -> None:
    fits = [fit_of(trial, **changes) for trial, changes in enumerate(MEMBERS)]
    pack = trainer(4, 2, together=True).packs(fits, [CONTRARY])
    assert pack == [fits]
    resting = list(trainer(4, 2, together=True).advance([(fit, None) for fit in fits], [CONTRARY], Rung(2)))
    ended = list(trainer(4, 2, together=True).advance(resting, [CONTRARY], END))
    for fit, together in ended:
        ((_, alone),) = trainer(4, 2).advance([(fit, None)], [CONTRARY], END)
        assert (together.outcome, together.best_epoch) == (alone.outcome, alone.best_epoch)
        np.testing.assert_allclose(together.curves["loss"], alone.curves["loss"], rtol=1e-4)
        for one, two in zip(together.weights, alone.weights, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_diverged_member_does_not_harm_its_neighbours() -> None:
    well = [fit_of(1, activations="relu linear"), fit_of(2, optimizer="sgd", activations="relu linear")]
    loss = "mean_squared_error"

    def run(*fits: Fit) -> dict[int, Progress]:
        done = trainer(3, 3, loss, together=True).advance([(fit, None) for fit in fits], [ARRAYS], END)
        return {fit.trial: progress for fit, progress in done}

    with_it, without = run(well[0], fit_of(3, **DIVERGING), well[1]), run(well[0], fit_of(4), well[1])
    assert with_it[3].outcome is Outcome.DIVERGED
    assert "epoch 1, with sgd at the learning rate 1e+20" in with_it[3].detail
    assert all(equal(with_it[trial], without[trial]) for trial in (1, 2))
    assert all(with_it[trial].outcome is Outcome.FINISHED for trial in (1, 2))


def test_missing_or_empty_split_is_named() -> None:
    with pytest.raises(InputError, match='at least one example in the split "monitor"'):
        trained(Arrays({"train": bumps(10)}, {}))
    with pytest.raises(InputError, match='at least one example in the split "train"'):
        trained(Arrays({"train": bumps(0), "monitor": bumps(4)}, {}))


PROGRAM = """
import hashlib, sys
from functools import partial
import numpy as np
from townsend.networks.family import build_network
from townsend.tasks.base import Arrays, Split
from townsend.training.keras_trainer import KerasTrainer, TrainSettings
from townsend.training.records import Fit, Rung
random = np.random.default_rng(0)
x = random.normal(size=(170, 6, 1)).astype(np.float32)
y = (x[:, 3, 0] > 0).astype(np.float32)
data = Split(x, y, np.arange(170, dtype=np.int32))
def digest(seed, dropout):
    given = dict(topology="4 8 1", activations="relu sigmoid", dropout=dropout, optimizer="adam", batch_size=50)
    fit = Fit(0, seed, given)
    trainer = KerasTrainer(partial(build_network, "lstm"), "binary_crossentropy", TrainSettings(3, 3))
    ((_, done),) = trainer.advance([(fit, None)], [Arrays({"train": data, "monitor": data}, {})], Rung(100))
    return hashlib.sha256(b"".join(w.tobytes() for w in done.weights) + done.curves["loss"].tobytes()).hexdigest()
if sys.argv[1] == "busy":
    digest(99, 0.3), digest(98, 0.5)
print(digest(5, 0.3))
"""


@pytest.mark.slow
def test_fit_gives_the_same_bits_in_a_fresh_process_and_after_other_fits() -> None:
    digests = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, history], check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        for history in ("fresh", "busy")
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 64
