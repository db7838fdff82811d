"""Networks of the user's own: a Python file with `build(hp)`, named on the command line and nowhere else.

What to use when
----------------
- `load_build`: import the file; `BuildFile.make` is one network of it, checked.
- `check_build`: does the file build a network for this configuration? Asked before any training.
- `architecture_json`, `network_of`: a Keras network's layers as bytes, and back without the user's file.

The file is code that the user wants to run. That is why its path comes from the command line alone: what a folder can
carry (`sweep.yaml`, `sweep.json`, work units, cards) never names code, and a sweep records the SHA-256 of the file so
that it goes on with the same one only. `build(hp)` returns a Keras model of stock layers or a `torch.nn.Module` that
maps one input to one number, or, as a Keras model only, to `hp.outputs` numbers where there are more than two classes;
`hp` is read-only and has `input_shape` and `seed` beside the hyperparameters of the space that are not training's own.
Random numbers are seeded around the call: equal seeds, equal first weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from townsend.errors import InputError, printable
from townsend.networks.backend import any_keras
from townsend.networks.stock import check_stock

if TYPE_CHECKING:
    import keras

__all__ = ["BuildFile", "Hyperparameters", "architecture_json", "check_build", "load_build", "network_of"]

_MODULE = "townsend_build_file"  # a name that no library has


class Hyperparameters(Mapping[str, Any]):
    """What a user's `build` is given: `hp["units"]`, `hp.get("units", 8)`, `hp.input_shape`, `hp.seed`.

    Arguments:
        values: the hyperparameters that are not training's own.
        input_shape: of one example, without the batch axis.
        seed: of the fit; already given to Keras, NumPy and PyTorch.
        outputs: numbers that the network must give an example: one a class where there are more than two.
    """

    def __init__(self, values: Mapping[str, Any], input_shape: tuple[int, ...], seed: int, outputs: int = 1) -> None:
        self._values = dict(values)
        self.input_shape = tuple(input_shape)
        self.seed = seed
        self.outputs = outputs

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class BuildFile:
    """A user's file, imported.

    Arguments:
        path: as the user named it.
        sha256: of its contents.
        build: its function.
    """

    path: Path
    sha256: str
    build: Callable[[Hyperparameters], Any]

    def make(
        self, hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], seed: int, outputs: int = 1
    ) -> Any:
        """Return an untrained network: a Keras model of stock layers, or a `torch.nn.Module`.

        Arguments:
            hyperparameters: those that are not training's own.
            input_shape: of one example, without the batch axis.
            seed: decides the first weights, whatever the process did before.
            outputs: numbers that it must give an example.

        Raises InputError when `build` raises or returns anything else.
        """
        keras = any_keras()
        keras.utils.clear_session(free_memory=False)  # equal networks have equal names of layers, and so one program
        keras.utils.set_random_seed(_seed32(seed))
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.manual_seed(_seed32(seed))
        try:
            model = self.build(Hyperparameters(hyperparameters, input_shape, seed, outputs))
            if isinstance(model, keras.Sequential) and not model.built:
                model.build((None, *input_shape))
        except (Exception, SystemExit) as error:
            raise InputError(self._raised(error, hyperparameters)) from error
        if isinstance(model, keras.Model):
            return _checked_keras(model, input_shape, outputs, self.path)
        if torch is not None and isinstance(model, torch.nn.Module):
            return _checked_torch(model, input_shape, self.path)
        rule = f"build of {self.path} must return a Keras model or a torch.nn.Module"
        msg = f"{rule} (got {_shown(type(model).__name__)}); end it with `return model`"
        raise InputError(msg)

    def _raised(self, error: BaseException, hyperparameters: Mapping[str, Any]) -> str:
        where = f"build of {self.path} must return a model"
        if isinstance(error, KeyError) and error.args and error.args[0] not in hyperparameters:
            asked = f'it asked for the hyperparameter "{error.args[0]}", line {_line(error, self.path)}'
            return f"{where} ({asked}); add it to the space or give a default, hp.get(name, default)"
        return f"{where} (got {_told(error)}, line {_line(error, self.path)}); mend the file"


def load_build(path: Path) -> BuildFile:
    """Import a Python file and return its `build`.

    Arguments:
        path: given by the user on the command line, by nobody else.

    Raises InputError when it is missing, is no Python file, raises when imported, or has no function `build`.
    """
    if not path.is_file() or path.suffix != ".py":
        msg = f"--build must name a Python file with a function build(hp) (got {path}); check its name"
        raise InputError(msg)
    any_keras()  # on the backend that training needs, before the file imports Keras
    content = path.read_bytes()
    spec = importlib.util.spec_from_file_location(_MODULE, path.absolute())
    if spec is None or spec.loader is None:  # no suffix that Python knows
        msg = f"--build must name a Python file with a function build(hp) (got {path}); check its name"
        raise InputError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses in the file look themselves up there
    keeps_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
        msg = f"{path} must be importable (got {_told(error)}, line {line}); mend the file"
        raise InputError(msg) from error
    finally:
        sys.dont_write_bytecode = keeps_none
    build = getattr(module, "build", None)
    if not callable(build):
        names = ", ".join(sorted(name for name, value in vars(module).items() if _is_own(value)))
        msg = f"{path} must have a function build(hp) (has {names or 'none'}); name yours so"
        raise InputError(msg)
    return BuildFile(path, hashlib.sha256(content).hexdigest(), build)


def check_build(
    build: BuildFile, hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int = 1
) -> None:
    """Raise InputError unless the file builds a network that can be trained, for a configuration, input and output."""
    build.make(hyperparameters, input_shape, 0, outputs)


def architecture_json(network: keras.Model) -> bytes:
    """Return the layers of a Keras network, without its weights, as bytes for `network_of`."""
    return json.dumps(_config(network), sort_keys=True).encode()


def network_of(stored: bytes, path: object = "the stored network") -> keras.Model:
    """Return the network that `architecture_json` described, with fresh weights; no code of the user's is needed.

    Raises InputError when it is damaged or not made of stock layers alone.
    """
    try:
        config = json.loads(stored)
    except (ValueError, RecursionError) as error:
        msg = f"{path} must be a description of a network ({type(error).__name__}); repeat the sweep"
        raise InputError(msg) from None
    check_stock(config, path)
    try:
        return any_keras().saving.deserialize_keras_object(config, safe_mode=True)
    except Exception as error:  # a damaged description surfaces as almost any exception
        msg = (
            f"{path} must be a description of a network that Keras can build ({type(error).__name__}); repeat the sweep"
        )
        raise InputError(msg) from error


def _checked_keras(model: Any, input_shape: tuple[int, ...], numbers: int, path: Path) -> Any:
    if type(model).__name__ not in ("Functional", "Sequential") or type(model).__module__.split(".")[0] != "keras":
        rule = f"build of {path} must return a model of Keras' own classes, which can be stored without code"
        remedy = "use keras.Sequential or keras.Model(inputs, outputs)"
        msg = f"{rule} (got the class {_shown(type(model).__name__)}); {remedy}"
        raise InputError(msg)
    check_stock(_config(model), f"what build of {path} returns")
    inputs, outputs = ([tuple(tensor.shape) for tensor in tensors] for tensors in (model.inputs, model.outputs))
    _check_shapes(inputs, outputs, input_shape, numbers, path)
    _check_trainable(sum(1 for _ in model.trainable_variables), path)
    return model


def _checked_torch(module: Any, input_shape: tuple[int, ...], path: Path) -> Any:
    import torch

    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            output = module(torch.zeros((3, *input_shape), dtype=torch.float32))
        found = tuple(output.shape)
    except Exception as error:
        wanted = f"inputs of shape (n, {', '.join(map(str, input_shape))})"
        msg = f"the module that build of {path} returns must take {wanted} (got {_told(error)}); mend its forward"
        raise InputError(msg) from error
    module.train(training)
    _check_shapes([(None, *input_shape)], [(None, *found[1:])], input_shape, 1, path)
    _check_trainable(sum(1 for parameter in module.parameters() if parameter.requires_grad), path)
    return module


def _check_shapes(
    inputs: list[Any], outputs: list[Any], input_shape: tuple[int, ...], numbers: int, path: Path
) -> None:
    if inputs != [(None, *input_shape)]:
        rule = f"the model that build of {path} returns must have one input, of the task's shape {(None, *input_shape)}"
        msg = f"{rule} (got {_listed(inputs)}); begin it with keras.Input(hp.input_shape)"
        raise InputError(msg)
    if outputs != [(None, numbers)]:
        wanted = "one number" if numbers == 1 else f"{numbers} numbers"
        rule = f"the model that build of {path} returns must have one output of {wanted}, (None, {numbers})"
        msg = f"{rule} (got {_listed(outputs)}); end it with Dense({numbers}) after flattening"
        raise InputError(msg)


def _check_trainable(count: int, path: Path) -> None:
    if not count:
        rule = f"the model that build of {path} returns must have trainable weights"
        msg = f"{rule} (got none); add a layer such as Dense, or set trainable = True"
        raise InputError(msg)


def _config(network: Any) -> dict[str, Any]:
    config = any_keras().saving.serialize_keras_object(network)
    return {name: value for name, value in json.loads(json.dumps(config)).items() if name != "compile_config"}


def _seed32(seed: int) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _line(error: BaseException, path: Path) -> str:
    """Return the last line of the user's file on the way to an error."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.absolute())
    ]
    return str(lines[-1]) if lines else "unknown"


def _told(error: BaseException) -> str:
    """Return an error in one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return printable(f"{type(error).__name__}: {' '.join(text.split())[:200]}")


def _is_own(value: Any) -> bool:
    return callable(value) and getattr(value, "__module__", "") == _MODULE


def _listed(shapes: list[Any]) -> str:
    return ", ".join(map(str, shapes)) or "none"


def _shown(name: str) -> str:
    return f'"{printable(name[:80])}"'
