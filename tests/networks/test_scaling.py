"""Scaling inside of stored models: raw numbers in, the trainer's scores out, and no parameter more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from townsend.errors import InputError
from townsend.networks.family import build_network
from townsend.networks.scaling import scaled_estimator, scaled_network, scaling_of, standardised
from townsend.networks.stored import forward, load_network
from townsend.networks.stored_estimator import Estimator, load_estimator, save_estimator

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MLP = {"layers": "8 5", "activations": "relu sigmoid", "dropout": 0.0}
USUAL = ([3.0, 9.0, 0.1, 2e-6, 0.05, -1.5], [2.0, 7.5, 1.8, 5e-6, 0.1, 0.9])
EXTREME = ([1e5, 0.0, 3e6, -5.0, 1e-9, -1e20], [1.0, 1e-3, 1e5, 10.0, 1e-12, 3e18])


def facts(mean: Any, scale: Any) -> dict[str, Any]:
    return {"scaling": {"mean": mean, "scale": scale}}


def events(mean: Any, scale: Any, count: int = 300) -> Any:
    drawn = np.random.default_rng(0).normal(size=(count, len(mean)))
    return (drawn * scale + mean).astype(np.float32)


@pytest.mark.parametrize("units", [USUAL, EXTREME])
def test_stored_network_takes_raw_numbers_and_gives_the_scores_of_training(units: Any, tmp_path: Path) -> None:
    network, x = build_network("dense", MLP, (6,), 3), events(*units)
    scaling = scaling_of(facts(*units), (6,))
    expected = forward(network, standardised(x, scaling))
    whole = scaled_network(network, scaling)
    assert whole.count_params() == network.count_params() == 107
    assert [weight.shape for weight in whole.weights] == [weight.shape for weight in network.weights]
    np.testing.assert_allclose(forward(whole, x), expected, rtol=0, atol=1e-6)
    assert np.ptp(expected) > 0.1
    whole.save(tmp_path / "model.keras")
    again = load_network(tmp_path / "model.keras")
    assert again.input_shape == (None, 6)
    np.testing.assert_array_equal(forward(again, x), forward(whole, x))
    alone = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(alone.predict(x, verbose=0)[:, 0], expected, rtol=0, atol=1e-6)
    assert {type(layer).__module__.split(".")[0] for layer in alone.layers} == {"keras"}
    wrong = forward(network, x.astype(np.float32))
    assert not np.allclose(wrong, expected, atol=1e-3)


@pytest.mark.parametrize("units", [USUAL, EXTREME])
def test_stored_estimator_takes_raw_numbers(units: Any, tmp_path: Path) -> None:
    x = events(*units)
    scaling = scaling_of(facts(*units), (6,))
    inside = standardised(x, scaling)
    model = LinearRegression().fit(inside, inside[:, 0])
    whole = scaled_estimator(model, scaling)
    np.testing.assert_array_equal(whole[0].transform(x), inside)
    np.testing.assert_allclose(whole.predict(x), model.predict(inside), rtol=0, atol=1e-6)
    ours = Estimator(whole, (6,)).scores(x)
    np.testing.assert_allclose(ours, model.predict(inside), rtol=0, atol=1e-6)
    theirs = StandardScaler().fit(x)
    assert vars(whole[0]).keys() == vars(theirs).keys()
    save_estimator(tmp_path / "model.skops", whole)
    with pytest.raises(InputError, match="LinearRegression"):  # not a family of ours, in a pipeline neither
        load_estimator(tmp_path / "model.skops", (6,))


def test_without_a_scaling_nothing_changes() -> None:
    network, x = build_network("dense", MLP, (6,), 3), events(*USUAL)
    assert scaling_of({}, (6,)) is None
    assert scaling_of({}, (15, 1)) is None
    assert standardised(x, None) is x
    assert scaled_network(network, None) is network
    assert scaled_estimator(network, None) is network


@pytest.mark.parametrize(
    ("found", "shape"),
    [
        (facts([0.0, 0.0], [1.0, 1.0]), (3,)),
        (facts([0.0, 0.0], [1.0]), (2,)),
        (facts([0.0, 0.0], [1.0, 0.0]), (2,)),
        (facts([0.0, 0.0], [1.0, -1.0]), (2,)),
        (facts([0.0, np.nan], [1.0, 1.0]), (2,)),
        (facts([0.0, 1e300], [1.0, 1.0]), (2,)),
        (facts([0.0, "x"], [1.0, 1.0]), (2,)),
        (facts([[0.0, 0.0]], [[1.0, 1.0]]), (1, 2)),
        ({"scaling": [1.0, 2.0]}, (2,)),
        ({"scaling": {"mean": [0.0]}}, (1,)),
    ],
)
def test_scaling_that_does_not_fit_is_refused(found: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="scaling must hold one finite mean and one scale above zero for each feature"):
        scaling_of(found, shape)
