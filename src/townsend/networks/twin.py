"""Twins: a network again, with some of its layers computed in another way that XLA runs faster on a processor.

What to use when
----------------
- `for_training`: to train inside one compiled loop.
- `for_inference`: to apply a trained network, one compiled call a batch.

A twin has the variables of its network: the same number, order, shapes and values, seeds of dropout included. It is
never saved; a `.keras` file holds stock layers only.

Why, with times of one core: inside a loop of a compiled program XLA's convolution is slow, and its gradient far slower
(an epoch of 1,500 examples of 1,024 bins, batch 150: 64 s, against 2 s as slices and one matrix product). Outside of a
loop it is the faster one, so that applying a network keeps it. Keras' loop over the steps of an LSTM is slow when it
only goes forward (96 units: 40,000 windows of 15 samples a second, against 105,000 when the steps are written out), yet
not when it is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from townsend.networks.backend import jax_keras

if TYPE_CHECKING:
    import keras

__all__ = ["for_inference", "for_training"]

_LONGEST_WRITTEN_OUT = 64  # steps; compiling takes about 0.1 s a step
_MONOTONE = frozenset(
    {"elu", "hard_sigmoid", "leaky_relu", "linear", "relu", "relu6", "selu", "sigmoid", "softplus", "softsign", "tanh"}
)
_Make = Callable[[Any], Any]


def for_training(network: keras.Model) -> keras.Model:
    """Return a twin whose Conv1D and MaxPooling1D layers are quick to train; the network itself where it has none.

    Arguments:
        network: on the JAX backend. Convolutions stay as they are unless they are "valid", of stride and dilation 1,
            undivided and channels last; so do poolings unless they are "valid", without overlap and channels last.

    An activation between a convolution and its pooling is applied after the pooling where it is monotone, which halves
    its cost and changes no maximum.
    """
    convolutions = {layer.name for layer in network.layers if _is_plain_convolution(layer)}
    poolings = {layer.name for layer in network.layers if _is_plain_pooling(layer)}
    moved = _moved_activations(network, convolutions, poolings)
    linear = jax_keras().activations.linear
    late = {pooling: network.get_layer(convolution).activation for convolution, pooling in moved.items()}

    def convolution(layer: Any) -> Any:
        changed = {"activation": "linear"} if layer.name in moved else {}
        return _class("Conv1D", "SlicedConv1D", _convolve).from_config({**layer.get_config(), **changed})

    def pooling(layer: Any) -> Any:
        made = _class("MaxPooling1D", "FoldedMaxPooling1D", _pool).from_config(layer.get_config())
        made.late = late.get(layer.name, linear)
        return made

    return _twin(network, dict.fromkeys(convolutions, convolution) | dict.fromkeys(poolings, pooling))


def for_inference(network: keras.Model) -> keras.Model:
    """Return a twin whose LSTM layers are quick to apply; the network itself where it has none.

    Arguments:
        network: on the JAX backend. An LSTM stays as it is unless it reads few steps, forward, and gives its last
            state alone.
    """

    def lstm(layer: Any) -> Any:
        return _class("LSTM", "WrittenOutLSTM", _remember).from_config(layer.get_config())

    return _twin(network, {layer.name: lstm for layer in network.layers if _is_plain_lstm(layer)})


def _twin(network: keras.Model, replaced: Mapping[str, _Make]) -> keras.Model:
    """Return a copy of the network in which layers of these names are made anew."""
    if not replaced:
        return network

    def copy(layer: Any) -> Any:
        return replaced.get(layer.name, lambda same: same.__class__.from_config(same.get_config()))(layer)

    twin = jax_keras().models.clone_model(network, clone_function=copy)
    for one, other in zip(twin.variables, network.variables, strict=True):
        one.assign(other.value)
    return twin


def _is_plain_convolution(layer: Any) -> bool:
    return (
        type(layer) is jax_keras().layers.Conv1D
        and (layer.padding, layer.data_format, layer.groups) == ("valid", "channels_last", 1)
        and tuple(layer.strides) == tuple(layer.dilation_rate) == (1,)
        and layer.dtype_policy.name == "float32"
    )


def _is_plain_pooling(layer: Any) -> bool:
    return (
        type(layer) is jax_keras().layers.MaxPooling1D
        and (layer.padding, layer.data_format) == ("valid", "channels_last")
        and tuple(layer.strides) == tuple(layer.pool_size)
    )


def _is_plain_lstm(layer: Any) -> bool:
    if type(layer) is not jax_keras().layers.LSTM or layer.dtype_policy.name != "float32":
        return False
    unusual = layer.return_sequences or layer.return_state or layer.go_backwards or layer.stateful
    reads_more = isinstance(layer.input, list)  # a mask, or a first state
    if unusual or reads_more or layer.dropout or layer.recurrent_dropout:
        return False
    steps = layer.input.shape[1]
    return steps is not None and steps <= _LONGEST_WRITTEN_OUT


def _moved_activations(network: keras.Model, convolutions: set[str], poolings: set[str]) -> dict[str, str]:
    """Return convolution -> pooling, of those whose activation may as well come after the pooling."""
    fed: dict[int, list[str]] = {id(tensor): ["output of the network"] for tensor in network.outputs}
    for layer in network.layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                fed.setdefault(id(tensor), []).append(layer.name)
    found = {}
    for name in convolutions:
        layer = network.get_layer(name)
        readers = fed.get(id(layer.output), []) if len(layer._inbound_nodes) == 1 else []
        if len(readers) == 1 and readers[0] in poolings and layer.activation.__name__ in _MONOTONE:
            found[name] = readers[0]
    return found


@cache
def _class(stock: str, name: str, call: Callable[..., Any]) -> Any:
    """Return a subclass of a stock layer with another `call`; Keras must be loaded before there can be one."""
    return type(name, (getattr(jax_keras().layers, stock),), {"call": call})


def _convolve(layer: Any, inputs: Any) -> Any:
    """Convolution as shifted slices side by side and one matrix product."""
    import jax.numpy as jnp

    taps, length = layer.kernel_size[0], inputs.shape[1] - layer.kernel_size[0] + 1
    side_by_side = jnp.concatenate([inputs[:, first : first + length] for first in range(taps)], axis=-1)
    kernel = jnp.asarray(layer.kernel).reshape(-1, layer.filters)
    # One long matrix: a product for each example takes a fifth longer.
    found = (side_by_side.reshape(-1, kernel.shape[0]) @ kernel).reshape(inputs.shape[0], length, layer.filters)
    return layer.activation(found + jnp.asarray(layer.bias) if layer.use_bias else found)


def _pool(layer: Any, inputs: Any) -> Any:
    """Maxima of neighbours that a reshape has set side by side; of equal ones the first has the gradient, as in XLA."""
    import jax.numpy as jnp

    batch, length, channels = inputs.shape
    size = layer.pool_size[0]
    folded = inputs[:, : length // size * size].reshape(batch, length // size, size, channels)
    largest = folded[:, :, 0]
    for place in range(1, size):  # the reduction of XLA, and its gradient, take several times as long
        largest = jnp.where(largest >= folded[:, :, place], largest, folded[:, :, place])
    return layer.late(largest)


def _remember(layer: Any, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
    """LSTM without a loop: its few steps one after the other, from zeros; `_is_plain_lstm` sees to the rest."""
    import jax.numpy as jnp

    cell = layer.cell
    kernel, recurrent = jnp.asarray(cell.kernel), jnp.asarray(cell.recurrent_kernel)
    hidden = state = None
    for step in range(sequences.shape[1]):
        gates = sequences[:, step] @ kernel + (jnp.asarray(cell.bias) if cell.use_bias else 0)
        if hidden is not None:
            gates = gates + hidden @ recurrent
        let_in, keep, new, let_out = jnp.split(gates, 4, axis=1)
        added = cell.recurrent_activation(let_in) * cell.activation(new)
        state = added if state is None else cell.recurrent_activation(keep) * state + added
        hidden = cell.recurrent_activation(let_out) * cell.activation(state)
    return hidden
