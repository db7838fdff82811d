"""Stored networks: open a `.keras` file that may come from anybody, and apply a network to any number of examples.

What to use when
----------------
- `load_network`: open a file, on any Keras backend; nothing in it is run.
- `forward_program`: the same function for networks in training, whose variables are not in a Keras model.
- `forward`: the outputs of a network, the same bits for an example whatever its neighbours.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.networks.backend import any_keras
from townsend.networks.choices import Choices, choices_of, deciding
from townsend.networks.cuts import Cuts
from townsend.networks.programs import architecture, keep
from townsend.networks.stock import check_stock
from townsend.networks.stored_estimator import Estimator
from townsend.networks.torch_module import TorchNetwork
from townsend.networks.twin import for_inference

if TYPE_CHECKING:
    import keras

__all__ = ["Forward", "forward", "forward_program", "load_network"]

_LARGEST_CONFIG = 10_000_000  # bytes; that of the slides' networks has 6,000
_LARGEST_MEMBER = 4 << 30
_PARTS = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_SMALLEST_BATCH, _LARGEST_BATCH = 32, 2048
_NUMBERS_A_BATCH = 1 << 15


Forward = Callable[[Choices, Any, Any, NDArray[Any]], NDArray[np.float32]]


def load_network(path: Path, numbers: int = 1) -> keras.Model:
    """Return the network in a `.keras` file, on the backend the user chose, else on JAX.

    Its parts are read and held against a closed list of stock Keras classes before Keras sees the file.

    Arguments:
        path: file.
        numbers: that the network must give an example.

    Raises InputError when the file does not exist or is damaged, holds any other class, a function or a Lambda layer,
    or a network that does not map one input to that many numbers.
    """
    if not path.is_file():
        msg = f"{path} must exist and be a Keras model; name the folder that `townsend choose` made"
        raise InputError(msg)
    check_stock(_config(path), path)
    try:
        network = any_keras().saving.load_model(path, compile=False, safe_mode=True)
        inputs, outputs = len(network.inputs), [tuple(output.shape) for output in network.outputs]
    except Exception as error:  # a damaged file surfaces as almost any exception
        raise InputError(_damaged(path, error)) from error
    if inputs != 1 or outputs != [(None, numbers)]:
        wanted = "one number" if numbers == 1 else f"{numbers} numbers"
        msg = f"{path} must map one input to {wanted} (got {inputs} inputs, outputs {outputs}); take another network"
        raise InputError(msg)
    return network


def forward(
    network: keras.Model | Estimator | TorchNetwork | Cuts, x: NDArray[Any], batch: int | None = None
) -> NDArray[np.float32]:
    """Return the (n,) outputs of a network for n examples, dropout switched off; (n, K) of one for K classes.

    Arguments:
        network: with one input, on any backend; or a chosen model that is no Keras network, which knows its own way.
        x: (n, ...) inputs; read batch by batch, so it may be mapped from a file.
        batch: examples a call, rounded up to a multiple of 32; None for what suits the size of an example.

    Batches are filled up with zeros, so that all have one shape: nothing is compiled anew for another n, and the bits
    of an output depend on its example and on `batch` alone, not on what else is in x nor on its place there. On JAX,
    networks of equal shapes share a program, and an LSTM is computed without a loop, to rounding the same.
    """
    if isinstance(network, Estimator | TorchNetwork | Cuts):
        return network.scores(x)
    shape = tuple(network.input_shape[1:])
    # Whole multiples, so that no example falls into the odd rest of a vector, which is computed in another order.
    size = _batch(shape) if batch is None else max(1, -(-batch // _SMALLEST_BATCH)) * _SMALLEST_BATCH
    return _in_batches(_apply(network, size), x, shape, size, network.output_shape[-1])


def forward_program(network: keras.Model) -> tuple[Forward, float]:
    """Return a function (choices, trainable, other, x) -> the outputs, as `forward`'s, of any network of these shapes.

    It is the program of `forward`, with the choices and variables of a network as arguments; on JAX. Beside it stand
    the seconds that compiling took, 0 for a program that was kept.
    """
    shape, numbers = tuple(network.input_shape[1:]), network.output_shape[-1]
    size = _batch(shape)
    program, seconds = _compiled(network, size)

    def scores(choices: Choices, trainable: Any, other: Any, x: NDArray[Any]) -> NDArray[np.float32]:
        return _in_batches(lambda rows: program(choices, trainable, other, rows), x, shape, size, numbers)

    return scores, seconds


def _in_batches(
    apply: Callable[[NDArray[np.float32]], Any], x: NDArray[Any], shape: tuple[int, ...], size: int, numbers: int
) -> NDArray[np.float32]:
    outputs = np.empty((len(x), numbers), np.float32)
    for start in range(0, len(x), size):
        part = np.asarray(x[start : start + size], np.float32)
        if len(part) < size:
            part = np.concatenate([part, np.zeros((size - len(part), *shape), np.float32)])
        stop = min(start + size, len(x))
        outputs[start:stop] = np.asarray(apply(part)).reshape(-1, numbers)[: stop - start]
    return outputs[:, 0] if numbers == 1 else outputs


def _batch(shape: tuple[int, ...]) -> int:
    """Return a power of two that keeps a batch's inputs within 128 kB, and thus its layers in the cache."""
    fitting = max(1, _NUMBERS_A_BATCH // max(1, math.prod(shape)))
    return min(max(1 << (fitting.bit_length() - 1), _SMALLEST_BATCH), _LARGEST_BATCH)


def _apply(network: keras.Model, batch: int) -> Callable[[NDArray[np.float32]], Any]:
    if any_keras().config.backend() != "jax":
        found: Callable[[NDArray[np.float32]], Any] = network.predict_on_batch
        return found
    program, _ = _compiled(network, batch)
    arguments = choices_of(network), *_values(network)
    return lambda rows: program(*arguments, rows)


def _compiled(network: keras.Model, batch: int) -> tuple[Callable[..., Any], float]:
    import jax

    def make() -> Callable[..., Any]:
        twin = for_inference(network)

        def apply(choices: Choices, trainable: Any, other: Any, rows: Any) -> Any:
            with deciding(choices):
                return twin.stateless_call(trainable, other, rows, training=False)[0]

        rows = np.zeros((batch, *network.input_shape[1:]), np.float32)
        compiled: Callable[..., Any] = jax.jit(apply).lower(choices_of(network), *_values(network), rows).compile()
        return compiled

    # A network within another loses the seed of a dropout of rate 0 in its file, which its architecture does not show.
    return keep((architecture(network), "forward", batch, len(network.variables)), make)


def _values(network: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return the values of the trainable and of all other variables."""
    trainable = [variable.value for variable in network.trainable_variables]
    return trainable, [variable.value for variable in network.non_trainable_variables]


def _config(path: Path) -> Any:
    """Return the content of `config.json`, of a file whose parts are of sensible sizes."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist()}
            if not sizes.keys() >= _PARTS:
                missing = ", ".join(sorted(_PARTS - sizes.keys()))
                msg = f"{path} must be a Keras model in the format .keras (no {missing}); save it with Keras 3"
                raise InputError(msg)
            with archive.open("config.json") as stream:
                text = stream.read(_LARGEST_CONFIG + 1)
    except InputError:
        raise
    except Exception as error:  # zipfile raises half a dozen kinds
        raise InputError(_damaged(path, error)) from error
    if len(text) > _LARGEST_CONFIG or max(sizes.values()) > _LARGEST_MEMBER:
        msg = f"{path} must be of a sensible size (its parts hold more than any network needs); take another file"
        raise InputError(msg)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} must be a whole Keras model ({type(error).__name__}); make it again or take another copy"
