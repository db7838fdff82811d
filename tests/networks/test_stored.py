"""Stored networks: what may be opened, and outputs that do not depend on an example's company."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from townsend.errors import InputError
from townsend.networks import stored as room
from townsend.networks.family import FAMILIES, build_network
from townsend.networks.stored import forward, load_network

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {
    "cnn": ({"filters": "3 5", "activations": "relu selu", "dropout": 0.5}, (64, 1)),
    "dense": ({"layers": "6 4", "activations": "gelu sigmoid", "dropout": 0.5}, (6, 1)),
    "lstm": ({"topology": "5 4 1", "activations": "relu sigmoid", "dropout": 0.5}, (6, 1)),
}
layers = keras.layers


def network(family: str, seed: int = 3) -> keras.Model:
    hyperparameters, shape = SMALL[family]
    return build_network(family, hyperparameters, shape, seed)


def examples(family: str, count: int) -> Any:
    return np.random.default_rng(count).normal(size=(count, *SMALL[family][1])).astype(np.float32)


@keras.saving.register_keras_serializable("Foreign")
class Doubled(layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


class Unregistered(layers.Dense):
    pass


def doubled(x: Any) -> Any:
    return 2 * x


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A good file that a test may spoil."""
    network("lstm").save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def save(path: Path, *made: Any) -> Path:
    keras.Sequential([layers.Input((4,)), *made, layers.Dense(1)]).save(path)
    return path


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write the parts of a zip file again, each as `change` returns it, without those of which it makes None."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def edited(path: Path, change: Callable[[Any], Any]) -> Path:
    """Change the configuration of a stored network."""

    def config(name: str, content: bytes) -> bytes:
        if name != "config.json":
            return content
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    return rewrite(path, config)


def refusal(path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InputError) as error:
        load_network(path)
    sentence = str(error.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600
    return sentence


def test_every_family_is_opened_and_gives_what_it_gave(tmp_path: Path) -> None:
    assert SMALL.keys() == FAMILIES.keys()
    for family in SMALL:
        model, x = network(family), examples(family, 5)
        model.save(tmp_path / "model.keras")
        np.testing.assert_array_equal(forward(load_network(tmp_path / "model.keras"), x), forward(model, x))


def test_compiled_model_is_opened_whatever_its_loss(saved: Path) -> None:
    def compiled(config: Any) -> None:
        config["compile_config"] = {"optimizer": {"module": "os", "class_name": "Foreign", "config": {}}}

    assert load_network(edited(saved, compiled)).count_params() == network("lstm").count_params()


def test_lambda_layer_is_refused_by_name(tmp_path: Path) -> None:
    path = save(tmp_path / "model.keras", layers.Lambda(lambda x: x * 2, name="hidden code"))
    assert refusal(path).endswith(
        'must be made of stock Keras layers that hold no code (got "Lambda" of module "keras.layers" in layer '
        '"hidden code"); save the network with such layers alone'
    )


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: Doubled(name="twice"), '"Doubled" .*in layer "twice"'),
        (lambda: Unregistered(2, name="unknown"), '"Unregistered" .*in layer "unknown"'),
        (lambda: layers.Dense(2, activation=doubled, name="odd"), '"function" .*in layer "odd"'),
    ],
)
def test_custom_parts_are_refused_by_name(tmp_path: Path, layer: Callable[[], Any], named: str) -> None:
    sentence = refusal(save(tmp_path / "model.keras", layer()))
    assert "must be made of stock Keras layers" in sentence
    assert re.search(named, sentence)


def dense(config: Any) -> Any:
    return next(layer for layer in config["config"]["layers"] if layer["name"] == "dense")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: dense(c).update(module="os", class_name="system"), '"system" of module "os" in layer "dense"'),
        (
            lambda c: dense(c)["config"].update(
                activation={"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "exec"}
            ),
            '"function" of module "builtins" in layer "dense"',
        ),
        (
            lambda c: dense(c)["config"]["kernel_initializer"].update(module="keras.src.utils.file_utils"),
            '"GlorotUniform" of module "keras.src.utils.file_utils" in layer "dense"',
        ),
        (lambda c: dense(c).update(registered_name="Foreign>Dense"), '"Dense" of module "keras.layers"'),
        (lambda c: dense(c).pop("module"), '"Dense" of module "None"'),
        (lambda c: dense(c).update(class_name=["Dense"]), "\"['Dense']\""),
        (lambda c: dense(c)["config"].update(units={"class_name": "__lambda__", "config": {}}), '"__lambda__"'),
        (lambda c: dense(c)["config"].update(name="\x1b[31m", module="os"), r'in layer "\x1b[31m"'),
        (lambda c: c.update(class_name="Foreign"), "must hold a Keras model"),
    ],
)
def test_edited_configuration_is_refused_before_keras_sees_it(
    saved: Path, change: Any, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.saving, "load_model", lambda *given, **options: pytest.fail("Keras was asked"))
    assert named in refusal(edited(saved, change))


def test_configuration_that_keras_cannot_build_is_refused(saved: Path) -> None:
    edited(saved, lambda config: dense(config)["config"].update(activation="no such activation"))
    assert "must be a whole Keras model" in refusal(saved)


def test_network_of_two_outputs_or_inputs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    bins, other = layers.Input((4,)), layers.Input((4,))
    keras.Model(bins, layers.Dense(2)(bins)).save(path)
    assert "must map one input to one number (got 1 inputs, outputs [(None, 2)])" in refusal(path)
    keras.Model([bins, other], layers.Dense(1)(layers.Add()([bins, other]))).save(path)
    assert "got 2 inputs" in refusal(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def truncated_weights(path: Path) -> None:
    rewrite(path, lambda name, content: content[: len(content) // 2] if name == "model.weights.h5" else content)


def other_weights(path: Path) -> None:
    other = shutil.copy(path, path.with_name("other.keras"))
    build_network("lstm", {**SMALL["lstm"][0], "topology": "6 4 1"}, (6, 1), 1).save(other)
    with zipfile.ZipFile(other) as archive:
        weights = archive.read("model.weights.h5")
    rewrite(path, lambda name, content: weights if name == "model.weights.h5" else content)


def one_part(part: str, content: bytes | None) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        rewrite(path, lambda name, before: content if name == part else before)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (Path.unlink, "must exist and be a Keras model"),
        (lambda path: path.write_bytes(b""), "must be a whole Keras model (BadZipFile)"),
        (cut, "must be a whole Keras model"),
        (truncated_weights, "must be a whole Keras model"),
        (other_weights, "must be a whole Keras model"),
        (one_part("model.weights.h5", None), "no model.weights.h5"),
        (one_part("config.json", b"{"), "must be a whole Keras model"),
        (one_part("config.json", b"[]"), "must hold a Keras model"),
        (one_part("config.json", b"\xff"), "must be a whole Keras model"),
        (one_part("config.json", b"[" * 100_000), "must be a whole Keras model (RecursionError)"),
    ],
)
def test_missing_or_damaged_file_is_refused(saved: Path, spoil: Callable[[Path], Any], sentence: str) -> None:
    spoil(saved)
    assert sentence in refusal(saved)


def test_zip_bomb_is_not_unpacked(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_part("config.json", b'{"class_name": "Functional", "a": "' + b"0" * 20_000_000 + b'"}')(saved)
    assert saved.stat().st_size < 100_000
    assert "must be of a sensible size" in refusal(saved)
    monkeypatch.setattr(room, "_LARGEST_MEMBER", 100_000)
    one_part("config.json", b"{}")(saved)
    one_part("model.weights.h5", b"0" * 100_001)(saved)
    assert "must be of a sensible size" in refusal(saved)


def test_nesting_deeper_than_any_network_is_refused(saved: Path) -> None:
    deep: Any = {}
    for _ in range(300):
        deep = [deep]
    assert "nested deeper" in refusal(edited(saved, lambda config: dense(config)["config"].update(extra=deep)))


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("count", [0, 1, 700])
def test_forward_equals_keras_without_dropout(family: str, count: int) -> None:
    model, x = network(family), examples(family, count)
    scores = forward(model, x)
    assert scores.shape == (count,)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.asarray(model(x))[:, 0] if count else [], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("batch", [None, 37])
def test_output_depends_on_its_example_alone_bit_for_bit(family: str, batch: int | None) -> None:
    model, x = network(family), examples(family, 601)
    alone = forward(model, x, batch)
    for first in (0, 1, 17, 600):
        np.testing.assert_array_equal(forward(model, x[first : first + 1], batch), alone[first : first + 1])
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(x))
        np.testing.assert_array_equal(forward(model, x[order], batch), alone[order])
    wild = x.copy()
    wild[::2] = [[np.inf], [np.nan], [1e30]] * (x.shape[1] // 3) + [[0.0]] * (x.shape[1] % 3)
    np.testing.assert_array_equal(forward(model, wild, batch)[1::2], alone[1::2])


def test_forward_reads_the_weights_of_the_moment_and_of_the_network_it_is_given() -> None:
    one, other, x = network("lstm", 1), network("lstm", 2), examples("lstm", 40)
    before = forward(one, x)
    assert not np.array_equal(before, forward(other, x))
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(forward(other, x), before)


def test_examples_may_be_of_another_type_and_lie_in_a_file(tmp_path: Path) -> None:
    model, x = network("cnn"), (examples("cnn", 50) > 1).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(forward(model, mapped), forward(model, x.astype(np.float32)))


PROGRAM = """
import sys, numpy as np
from townsend.networks.stored import forward, load_network
network, x = load_network(__import__("pathlib").Path(sys.argv[1])), np.load(sys.argv[2])
scores = forward(network, x)
assert np.array_equal(forward(network, x[40:]), scores[40:])
np.save(sys.argv[2], scores)
print(__import__("keras").config.backend())
"""


@pytest.mark.slow
def test_another_backend_opens_and_applies_the_same_file(saved: Path, tmp_path: Path) -> None:
    x = examples("lstm", 70)
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(saved), str(tmp_path / "x.npy")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
    )
    assert done.stdout.split()[-1] == "numpy"
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), forward(network("lstm"), x), rtol=2e-5, atol=2e-6)
