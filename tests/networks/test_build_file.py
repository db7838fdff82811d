"""A user's own file: what it is given, what it may return, and one sentence for each way it can be wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from townsend.errors import ConfigError, InputError
from townsend.networks.build_file import (
    BuildFile,
    Hyperparameters,
    architecture_json,
    check_build,
    load_build,
    network_of,
)
from townsend.networks.programs import architecture
from townsend.networks.stored import forward
from townsend.sweep.settings import load_sweep

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (6, 1)
GOOD = """\
import keras


def build(hp):
    x = inputs = keras.Input(hp.input_shape)
    x = keras.layers.Flatten()(x)
    for units in str(hp["hidden"]).split():
        x = keras.layers.Dense(int(units), activation="relu")(x)
        x = keras.layers.Dropout(hp.get("dropout", 0.2))(x)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
"""
HEAD = "import keras\nfrom keras import layers\n\n\ndef build(hp):\n"
TWO = "    return keras.Model(x, [y, y])\n"
BODY = "\n\ndef build(hp):\n"
TWICE = "import keras\n\n\nclass Twice(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"
MINE = "import keras\n\n\nclass Mine(keras.Model):\n    def call(self, x):\n        return x\n"
DATACLASS = (
    "from __future__ import annotations\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass A:\n    n: int = 1\n"
)
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(text)
        return path

    return to_file


@pytest.fixture
def good(write: Write) -> BuildFile:
    return load_build(write(GOOD))


def refusal(path: Path, **hyperparameters: Any) -> str:
    """The sentence with which a file, or what it builds, is refused."""
    with pytest.raises(InputError) as error:
        check_build(load_build(path), hyperparameters, SHAPE)
    sentence = str(error.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600
    return sentence


def test_file_builds_the_network_that_it_describes(good: BuildFile) -> None:
    network = good.make({"hidden": "5 3"}, SHAPE, 1)
    assert [layer.units for layer in network.layers if hasattr(layer, "units")] == [5, 3, 1]
    assert network.input_shape == (None, *SHAPE)
    check_build(good, {"hidden": 4, "dropout": 0.5}, SHAPE)


def test_hyperparameters_are_read_only_and_know_shape_and_seed() -> None:
    hp = Hyperparameters({"units": 8}, SHAPE, 7)
    assert (hp["units"], hp.get("depth", 2), len(hp), dict(hp)) == (8, 2, 1, {"units": 8})
    assert (hp.input_shape, hp.seed) == (SHAPE, 7)
    with pytest.raises(TypeError):
        hp["units"] = 9  # type: ignore[index]


def test_equal_seeds_give_equal_weights_whatever_the_process_did_before(good: BuildFile) -> None:
    one = good.make({"hidden": "5"}, SHAPE, 1 << 52)
    keras.layers.Dense(3).build((None, 4))
    np.random.default_rng().normal()
    two, other = good.make({"hidden": "5"}, SHAPE, 1 << 52), good.make({"hidden": "5"}, SHAPE, 2)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])
    assert architecture(one) == architecture(two) == architecture(other), "equal networks must share a program"
    assert one.layers[-2].seed_generator.get_config() == two.layers[-2].seed_generator.get_config()


def test_sequential_model_without_input_is_given_the_task_s(write: Write) -> None:
    text = f"{HEAD}    return keras.Sequential([layers.Flatten(), layers.Dense(1)])\n"
    network = load_build(write(text)).make({}, SHAPE, 1)
    assert network.input_shape == (None, *SHAPE)
    assert forward(network, np.ones((3, *SHAPE))).shape == (3,)


def test_network_comes_back_from_its_architecture_without_the_file(good: BuildFile, tmp_path: Path) -> None:
    network = good.make({"hidden": "5 3"}, SHAPE, 1)
    stored = architecture_json(network)
    assert stored == architecture_json(good.make({"hidden": "5 3"}, SHAPE, 1))
    good.path.unlink()
    again = network_of(stored)
    again.set_weights(network.get_weights())
    x = np.random.default_rng(0).normal(size=(40, *SHAPE))
    np.testing.assert_array_equal(forward(again, x), forward(network, x))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda config: config["config"]["layers"][1].update(class_name="Lambda"), '"Lambda" of module'),
        (
            lambda config: config["config"]["layers"][1].update(module="os", class_name="system"),
            '"system" of module "os"',
        ),
        (lambda config: config["config"]["layers"][2]["config"].update(units=-1), "a network that Keras can build"),
        (lambda config: config.update(class_name="Foreign"), "must hold a Keras model"),
    ],
)
def test_forged_architecture_is_refused(good: BuildFile, change: Any, rule: str) -> None:
    config = json.loads(architecture_json(good.make({"hidden": "5"}, SHAPE, 1)))
    change(config)
    with pytest.raises(InputError, match=rule):
        network_of(json.dumps(config).encode())


@pytest.mark.parametrize("stored", [b"", b"{", b"[" * 100_000, b"[]"])
def test_damaged_architecture_is_refused(stored: bytes) -> None:
    with pytest.raises(InputError, match="the stored network must"):
        network_of(stored)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def build(hp)\n", r"must be importable \(got SyntaxError: expected ':', line 1\); mend the file"),
        ("x = 1\nimport no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module', line 2"),
        ("raise SystemExit(3)\n", "got SystemExit: 3, line 1"),
        ("x = 1\n", r"must have a function build\(hp\) \(has none\); name yours so"),
        ("def model(hp): ...\ndef other(): ...\n", r"\(has model, other\)"),
        ("build = 3\n", r"must have a function build\(hp\)"),
        (f"{HEAD}    return 1 / 0\n", r"must return a model \(got ZeroDivisionError: division by zero, line 6\)"),
        (f"{HEAD}    return layers.Dense(-1)\n", r"\(got ValueError: .*, line 6\); mend the file"),
        (f"{HEAD}    raise SystemExit\n", r"\(got SystemExit: , line 6\)"),
        (
            f"{HEAD}    return hp['unitz']\n",
            r'it asked for the hyperparameter "unitz", line 6\); add it to the space or give a default',
        ),
        (f"{HEAD}    return {{}}['key']\n", 'it asked for the hyperparameter "key"'),
        (f"{HEAD}    pass\n", r'must return a Keras model or a torch.nn.Module \(got "NoneType"\)'),
        (f"{HEAD}    return keras.layers.Dense(1)\n", r'\(got "Dense"\)'),
        (
            f"{HEAD}    return keras.Sequential([keras.Input(hp.input_shape), layers.Flatten(), layers.Dense(2)])\n",
            r"must have one output of one number, \(None, 1\) \(got \(None, 2\)\)",
        ),
        (
            f"{HEAD}    return keras.Sequential([keras.Input(hp.input_shape), layers.Dense(1)])\n",
            r"one output of one number, \(None, 1\) \(got \(None, 6, 1\)\); end it with Dense\(1\) after flattening",
        ),
        (
            f"{HEAD}    return keras.Sequential([keras.Input((7,)), layers.Dense(1)])\n",
            r"one input, of the task's shape \(None, 6, 1\) \(got \(None, 7\)\)",
        ),
        (
            f"{HEAD}    x = keras.Input(hp.input_shape)\n    y = layers.Dense(1)(layers.Flatten()(x))\n{TWO}",
            r"\(got \(None, 1\), \(None, 1\)\)",
        ),
        (
            f"{HEAD}    return keras.Sequential([layers.Flatten(), layers.Dense(1, trainable=False)])\n",
            r"must have trainable weights \(got none\); add a layer such as Dense",
        ),
        (
            f"{HEAD}    return keras.Sequential([layers.Flatten(), layers.Lambda(lambda x: x), layers.Dense(1)])\n",
            'must be made of stock Keras layers that hold no code .*"Lambda"',
        ),
        (
            f"{TWICE}{BODY}    return keras.Sequential([keras.layers.Flatten(), Twice(), keras.layers.Dense(1)])\n",
            'stock Keras layers that hold no code .*"Twice"',
        ),
        (
            f"{MINE}{BODY}    return Mine()\n",
            'a model of Keras\' own classes, which can be stored without code .*"Mine"',
        ),
    ],
)
def test_file_that_cannot_serve_is_refused_in_one_sentence(write: Write, text: str, sentence: str) -> None:
    assert re.search(sentence, refusal(write(text)))


def test_missing_file_and_another_kind_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "mine.txt"
    other.write_text(GOOD)
    for path in (tmp_path / "none.py", tmp_path, other):
        assert "--build must name a Python file" in refusal(path)


def test_importing_leaves_nothing_behind_and_touches_no_path(write: Write, tmp_path: Path) -> None:
    before = list(sys.path)
    file = load_build(write(GOOD))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
    assert sys.path == before
    changed = load_build(write(GOOD + "# changed\n"))
    assert file.sha256 != changed.sha256
    assert len(file.sha256) == 64


def test_dataclasses_in_the_file_work(write: Write) -> None:
    load_build(write(DATACLASS + GOOD))


def test_a_configuration_cannot_name_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("task: t\nsample: s\nbuild: mine.py\nspace: {units: [1]}\n")
    with pytest.raises(ConfigError, match=r"build: unknown key"):
        load_sweep(path)
