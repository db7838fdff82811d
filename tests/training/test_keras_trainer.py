"""A fit: patience, best weights, divergence, and the same bits in another process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.networks.family import build_network
from townsend.networks.stored import forward
from townsend.tasks.base import Arrays, Split
from townsend.training.hyperparameters import split
from townsend.training.keras_trainer import TrainedFit, TrainSettings, train
from townsend.training.records import Fit, Outcome

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


def trained(
    arrays: Arrays, epochs: int = 4, patience: int = 4, loss: str = "binary_crossentropy", **changes: Any
) -> tuple[TrainedFit, Any]:
    fit = Fit(0, 5, {**BASE, **changes})
    network = build_network("lstm", split(fit.hyperparameters)[1], (6, 1), fit.seed)
    return train(fit, network, loss, TrainSettings(epochs, patience), arrays), network


ARRAYS = Arrays({"train": bumps(230), "monitor": bumps(110)}, {})
CONTRARY = Arrays({"train": bumps(230), "monitor": bumps(110, sign=-1.0)}, {})


@pytest.mark.slow
def test_fit_learns_and_finishes() -> None:
    fit, network = trained(ARRAYS, epochs=15)
    assert fit.outcome is Outcome.FINISHED
    assert fit.epochs == 15
    assert fit.curves["monitor_accuracy"][-1] > 0.9
    assert {len(values) for values in fit.curves.values()} == {15}
    assert fit.parameters == network.count_params()
    assert fit.wall_s >= fit.compile_s >= 0


def test_best_weights_are_kept_when_the_monitored_loss_rises() -> None:
    fit, network = trained(CONTRARY, epochs=10, patience=3)
    curve = fit.curves["monitor_loss"]
    assert fit.outcome is Outcome.STOPPED_EARLY
    assert fit.best_epoch == 1 + int(np.argmin(curve))
    assert fit.epochs == fit.best_epoch + 3 == len(curve) < 10
    watched = CONTRARY.splits["monitor"]
    scores = forward(network, watched.x)
    loss = -np.mean(np.log(np.where(watched.y > 0.5, scores, 1 - scores)))
    assert loss == pytest.approx(curve[fit.best_epoch - 1], rel=1e-4)
    assert loss < 0.99 * curve[-1]
    for one, two in zip(network.get_weights(), fit.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_weights_of_a_convolutional_fit_are_those_of_its_stock_network() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 20, 1)).astype(np.float32)
    data = Split(x, x.mean((1, 2)), np.arange(90, dtype=np.int32))
    given = {"filters": "2 3", "activations": "relu selu", "dropout": 0.0}
    fit = Fit(0, 5, {**given, "optimizer": "adam", "batch_size": 30})
    network, again = (build_network("cnn", given, (20, 1), fit.seed) for _ in range(2))
    done = train(fit, network, "mean_squared_error", TrainSettings(2, 2), Arrays({"train": data, "monitor": data}, {}))
    again.set_weights(done.weights)
    errors = (forward(again, x) - data.y) ** 2
    assert np.mean(errors) == pytest.approx(done.curves["monitor_loss"][done.best_epoch - 1], rel=1e-5)


def test_patience_that_ends_with_the_last_epoch_is_no_early_stop() -> None:
    fit, _ = trained(CONTRARY, epochs=10, patience=3)
    last = fit.epochs
    assert trained(CONTRARY, epochs=last, patience=3)[0].outcome is Outcome.FINISHED


def test_infinite_loss_is_diverged_at_its_epoch() -> None:
    change = {"optimizer": "sgd", "activations": "linear linear", "learning_rate": 1e20}
    fit, _ = trained(ARRAYS, loss="mean_squared_error", **change)
    assert fit.outcome is Outcome.DIVERGED
    assert fit.epochs == len(fit.curves["loss"]) == 1
    assert fit.best_epoch == 0
    assert fit.weights == []


def test_accuracy_is_left_out_where_it_means_nothing() -> None:
    fit, _ = trained(ARRAYS, epochs=1, loss="mean_squared_error", activations="relu linear")
    assert set(fit.curves) == {"loss", "monitor_loss"}


def test_missing_or_empty_split_is_named() -> None:
    with pytest.raises(InputError, match='at least one example in the split "monitor"'):
        trained(Arrays({"train": bumps(10)}, {}))
    with pytest.raises(InputError, match='at least one example in the split "train"'):
        trained(Arrays({"train": bumps(0), "monitor": bumps(4)}, {}))


PROGRAM = """
import hashlib, sys
import numpy as np
from townsend.networks.family import build_network
from townsend.networks.stored import forward
from townsend.tasks.base import Arrays, Split
from townsend.training.hyperparameters import split
from townsend.training.keras_trainer import TrainSettings, train
from townsend.training.records import Fit
random = np.random.default_rng(0)
x = random.normal(size=(170, 6, 1)).astype(np.float32)
y = (x[:, 3, 0] > 0).astype(np.float32)
data = Split(x, y, np.arange(170, dtype=np.int32))
def digest(seed, dropout):
    given = dict(topology="4 8 1", activations="relu sigmoid", dropout=dropout, optimizer="adam", batch_size=50)
    fit = Fit(0, seed, given)
    network = build_network("lstm", split(given)[1], (6, 1), seed)
    done = train(fit, network, "binary_crossentropy", TrainSettings(3, 3), Arrays({"train": data, "monitor": data}, {}))
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
