"""PyTorch modules as fits: equal bits, best weights, and what a module must be. Needs the extra `torch`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.errors import ConfigError, InputError
from townsend.networks.build_file import BuildFile, check_build, load_build
from townsend.networks.torch_module import TorchNetwork, arrays_of, put_arrays
from townsend.tasks.base import Arrays, Split
from townsend.training.interruption import Interrupted, forget_stop, request_stop
from townsend.training.keras_trainer import TrainSettings
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung
from townsend.training.torch_trainer import TorchTrainer, check_torch

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

CLASSES, ALL = "binary_crossentropy", Rung(1_000_000)
TEXT = """\
import torch


def build(hp):
    samples, channels = hp.input_shape
    return torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(samples * channels, hp["units"]),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(hp["units"], 1),
        torch.nn.Sigmoid(),
    )
"""
PLAIN: dict[str, Any] = {"optimizer": "adam", "batch_size": 20, "learning_rate": 0.01, "units": 8}


def split(seed: int, count: int = 200) -> Split:
    random = np.random.default_rng(seed)
    y = (np.arange(count) % 2).astype(np.float32)
    x = random.normal(size=(count, 5, 1)).astype(np.float32)
    x[:, 2, 0] += 2 * y
    return Split(x, y, np.arange(count, dtype=np.int32))


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return Arrays({"train": split(1), "monitor": split(2, 120)}, {})


@pytest.fixture
def build(tmp_path: Path) -> BuildFile:
    (tmp_path / "mine.py").write_text(TEXT)
    return load_build(tmp_path / "mine.py")


def trained(build: BuildFile, arrays: Arrays, rung: Rung = ALL, loss: str = CLASSES, **changed: Any) -> Progress:
    trainer = TorchTrainer(build, loss, TrainSettings(epochs=6, patience=6))
    ((_, progress),) = trainer.advance([(Fit(0, 7, {**PLAIN, **changed}), None)], [arrays], rung)
    return progress


def test_module_learns_and_has_the_same_bits_again(build: BuildFile, arrays: Arrays) -> None:
    torch.rand(3)
    one, two = trained(build, arrays), trained(build, arrays)
    assert one.outcome is Outcome.FINISHED
    assert one.figure > 0.8
    assert one.parameters == 5 * 8 + 8 + 8 + 1
    assert one.epochs == 6 == len(one.curves["loss"]) == len(one.curves["monitor_loss"])
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_every_optimizer_lowers_the_loss(build: BuildFile, arrays: Arrays, optimizer: str) -> None:
    losses = trained(build, arrays, optimizer=optimizer, learning_rate=None, weight_decay=0.001).curves["loss"]
    assert losses[-1] < losses[0]


def test_one_step_of_gradient_descent_is_that_of_torch(build: BuildFile, arrays: Arrays) -> None:
    build.path.write_text(TEXT.replace("Dropout(0.1)", "Identity()"))
    plain = load_build(build.path)
    progress = trained(plain, arrays, loss="mse", optimizer="sgd", batch_size="all", learning_rate=0.5, epochs=1)
    module = plain.make({"units": 8}, (5, 1), 7)
    x, y = (torch.from_numpy(np.array(column)) for column in (arrays.splits["train"].x, arrays.splits["train"].y))
    torch.nn.functional.mse_loss(module(x), y[:, None]).backward()
    for parameter, found in zip(module.parameters(), progress.weights[1:], strict=True):
        expected = (parameter - 0.5 * parameter.grad).detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", [CLASSES, "mse"])
def test_one_step_with_signed_weights_is_that_of_torch_divided_by_the_number_of_examples(
    build: BuildFile, arrays: Arrays, loss: str
) -> None:
    build.path.write_text(TEXT.replace("Dropout(0.1)", "Identity()"))
    plain = load_build(build.path)
    weight = np.where(np.arange(200) % 3, 2.0, -1.0)
    weight = (weight / weight.mean()).astype(np.float32)
    train = replace(arrays.splits["train"], weight=weight)
    progress = trained(
        plain,
        Arrays({"train": train, "monitor": arrays.splits["monitor"]}, {}),
        loss=loss,
        optimizer="sgd",
        batch_size="all",
        learning_rate=0.5,
        epochs=1,
    )
    module = plain.make({"units": 8}, (5, 1), 7)
    x, y, w = (torch.from_numpy(np.array(column)) for column in (train.x, train.y, weight))
    score = module(x)[:, 0]
    losses = -torch.log(torch.where(y > 0.5, score, 1 - score)) if loss == CLASSES else (score - y) ** 2
    ((w * losses).sum() / 200).backward()
    for parameter, found in zip(module.parameters(), progress.weights[1:], strict=True):
        expected = (parameter - 0.5 * parameter.grad).detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert progress.curves["loss"][0] == pytest.approx(float((w * losses).sum().detach() / w.sum()), rel=1e-5)


def test_monitor_is_weighted(build: BuildFile, arrays: Arrays) -> None:
    """Contrary examples of weight zero are as good as none."""
    monitor = arrays.splits["monitor"]
    both = [*range(120), *range(120)]
    weight = np.float32([2] * 120 + [0] * 120)
    contrary = Split(monitor.x[both], np.concatenate([monitor.y, 1 - monitor.y]), monitor.group[both], weight=weight)
    ours = trained(build, Arrays({**arrays.splits, "monitor": contrary}, {}))
    theirs = trained(build, arrays)
    np.testing.assert_allclose(ours.curves["monitor_loss"], theirs.curves["monitor_loss"], rtol=1e-5)
    np.testing.assert_allclose(ours.curves["loss"], theirs.curves["loss"], rtol=1e-5)
    assert ours.figure == pytest.approx(theirs.figure)


def test_inputs_are_standardised(tmp_path: Path) -> None:
    (tmp_path / "flat.py").write_text(
        TEXT.replace("samples, channels", "(samples,), channels").replace("shape\n", "shape, 1\n")
    )
    build = load_build(tmp_path / "flat.py")
    facts = {"scaling": {"mean": [100.0, 0, 0, -3, 5], "scale": [8.0, 1, 0.25, 2, 1]}}
    scale, mean = (np.float32(facts["scaling"][name]) for name in ("scale", "mean"))
    flat = {name: replace(split(seed), x=split(seed).x[:, :, 0]) for name, seed in (("train", 1), ("monitor", 2))}
    raw = {name: replace(one, x=one.x * scale + mean) for name, one in flat.items()}
    plain, scaled = trained(build, Arrays(flat, {})), trained(build, Arrays(raw, facts))
    np.testing.assert_allclose(plain.curves["loss"], scaled.curves["loss"], rtol=1e-4)
    trainer = TorchTrainer(build, CLASSES, TrainSettings(6, 6))
    found = trainer.scores(Fit(0, 7, PLAIN), scaled, raw["monitor"].x, [Arrays(raw, facts)])
    expected = trainer.scores(Fit(0, 7, PLAIN), scaled, flat["monitor"].x, [Arrays(flat, {})])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_kept_weights_are_those_of_the_best_epoch_and_give_the_figure(build: BuildFile, arrays: Arrays) -> None:
    flipped = split(2, 120)
    flipped.y[:] = 1 - flipped.y  # the more is learned, the worse
    progress = trained(build, Arrays({**arrays.splits, "monitor": flipped}, {}), epochs=50, patience=3)
    assert progress.outcome is Outcome.STOPPED_EARLY
    assert progress.best_epoch == 1
    assert progress.epochs == 4
    module = build.make({"units": 8}, (5, 1), 0)
    put_arrays(module, progress.weights)
    scores = TorchNetwork(module, (5, 1)).scores(flipped.x)
    expected = torch.nn.functional.binary_cross_entropy(torch.from_numpy(scores), torch.from_numpy(flipped.y))
    assert float(expected) == pytest.approx(float(progress.curves["monitor_loss"][0]), rel=1e-5)


def test_score_depends_on_its_example_alone_bit_for_bit(build: BuildFile, arrays: Arrays) -> None:
    x = split(5, 2500).x
    trainer, fit = TorchTrainer(build, CLASSES, TrainSettings(2, 2)), Fit(0, 7, PLAIN)
    ((_, progress),) = trainer.advance([(fit, None)], [arrays], ALL)
    found = trainer.scores(fit, progress, x, [arrays])
    for start, stop in ((0, 1), (1023, 1026), (2499, 2500)):
        np.testing.assert_array_equal(trainer.scores(fit, progress, x[start:stop], [arrays]), found[start:stop])
    assert trainer.scores(fit, progress, x[:0], [arrays]).shape == (0,)


def test_a_rung_in_data_is_a_rest_and_the_end_is_on_all(build: BuildFile, arrays: Arrays) -> None:
    trainer, fit = TorchTrainer(build, CLASSES, TrainSettings(2, 2)), Fit(0, 7, PLAIN)
    ((_, half),) = trainer.advance([(fit, None)], [arrays], Rung(2, 1, 0.5))
    assert half.outcome is None
    ((_, whole),) = trainer.advance([(fit, half)], [arrays], ALL)
    assert whole.outcome is Outcome.FINISHED
    assert whole.figures == (half.figure, whole.figure)
    ((_, at_once),) = trainer.advance([(fit, None)], [arrays], ALL)
    for a, b in zip(whole.weights, at_once.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_rung_in_epochs_is_on_the_way_to_the_end(build: BuildFile, arrays: Arrays) -> None:
    trainer, fit = TorchTrainer(build, CLASSES, TrainSettings(5, 5)), Fit(0, 7, PLAIN)
    ((_, rest),) = trainer.advance([(fit, None)], [arrays], Rung(2, 1))
    ((_, end),) = trainer.advance([(fit, rest)], [arrays], ALL)
    assert (rest.outcome, rest.epochs, end.outcome, end.epochs) == (None, 2, Outcome.FINISHED, 5)
    for name, curve in rest.curves.items():
        np.testing.assert_array_equal(curve, end.curves[name][:2])


def test_module_that_is_asked_to_stop_ends_after_its_epoch_unless_it_is_the_last(
    build: BuildFile, arrays: Arrays
) -> None:
    undisturbed = trained(build, arrays)
    request_stop()
    try:
        with pytest.raises(Interrupted, match=r"asked to stop \(in epoch 1 of 6\); repeat"):
            trained(build, arrays)
        assert trained(build, arrays, epochs=1).outcome is Outcome.FINISHED
    finally:
        forget_stop()
    for a, b in zip(trained(build, arrays).weights, undisturbed.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_loss_that_is_not_finite_is_a_divergence(build: BuildFile, arrays: Arrays) -> None:
    wild = Arrays({**arrays.splits, "train": split(1)}, {})
    wild.splits["train"].x[3] = np.nan
    progress = trained(build, wild, loss="mse")
    assert progress.outcome is Outcome.DIVERGED
    assert "not finite in epoch 1" in progress.detail
    assert not progress.weights


def test_weights_of_another_module_are_refused(build: BuildFile) -> None:
    small, large = build.make({"units": 3}, (5, 1), 1), build.make({"units": 4}, (5, 1), 1)
    for arrays in (arrays_of(small), arrays_of(large)[:-1], [np.zeros(3, np.uint8)], []):
        with pytest.raises(InputError, match="kept weights must fit the module"):
            put_arrays(large, arrays)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("torch.nn.Linear(3, 1)", r"must take inputs of shape \(n, 5, 1\) \(got RuntimeError"),
        ("torch.nn.Flatten()", r"one output of one number, \(None, 1\) \(got \(None, 5\)\)"),
        ("torch.nn.Sequential(torch.nn.Flatten(), torch.nn.AvgPool1d(5))", "must have trainable weights"),
    ],
)
def test_module_that_cannot_serve_is_refused(tmp_path: Path, body: str, rule: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"import torch\n\n\ndef build(hp):\n    return {body}\n")
    with pytest.raises(InputError, match=rule):
        check_build(load_build(path), {}, (5, 1))


def test_training_hyperparameters_of_keras_alone_are_refused() -> None:
    check_torch({**PLAIN, "epochs": 3, "l1": None})
    with pytest.raises(ConfigError, match='got "schedule"'):
        check_torch({**PLAIN, "schedule": "cosine"})
