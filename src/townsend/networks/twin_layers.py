"""Layers of twins: stock Keras layers with another `call`; `townsend.networks.twin` says which stand where, and why.

What to use when
----------------
- `remade`: a layer made anew with one of the calls of this file.
- `call_switched`, `call_dropped`, `normalise`: as in Keras, with what `townsend.networks.choices` decides.
- `convolve`, `pool`, `remember`: computed in another way.
- `switched`, `dropped`: an activation by its number, dropout at a traced rate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from townsend.networks.choices import decisions
from townsend.networks.traced import MONOTONE, functions

__all__ = [
    "call_dropped",
    "call_switched",
    "convolve",
    "dropped",
    "normalise",
    "pool",
    "remade",
    "remember",
    "switched",
]


def remade(layer: Any, call: Callable[..., Any], place: int | None, own: Any, **changed: Any) -> Any:
    """Return a layer of the same configuration, but for what is changed, in a subclass with another `call`.

    Arguments:
        layer: stock layer.
        call: of the subclass.
        place: which of the traced choices is the layer's; None: it has none.
        own: activation or dropout rate outside of `deciding`.
        changed: parts of its configuration.
    """
    made = _class(layer.__class__, call).from_config({**layer.get_config(), **changed})
    made.place, made.own = place, own
    return made


@cache
def _class(stock: Any, call: Callable[..., Any]) -> Any:
    return type(f"Twin{stock.__name__}", (stock,), {"call": call, "stock": stock})


def switched(place: Any, x: Any) -> Any:
    """Return the activation of number `place`, traced, of x.

    A tensor of rank 3 is one that a pooling has left: its activation is one of the monotone.
    """
    return _switch(len(functions()) if x.ndim == 2 else len(MONOTONE))(place, x)


@cache
def _switch(count: int) -> Any:
    """Return the switch over the first functions.

    Its gradient needs one array, the slope, which the same branch computes; JAX's own gradient of a switch would store
    what each of the branches needs.
    """
    import jax

    def with_slope(function: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
        return lambda x: jax.jvp(function, (x,), (jax.numpy.ones_like(x),))

    slopes = [with_slope(function) for function in functions()[:count]]

    @jax.custom_jvp
    def switch(place: Any, x: Any) -> Any:
        return jax.lax.switch(place, functions()[:count], x)

    @switch.defjvp
    def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
        y, slope = jax.lax.switch(primals[0], slopes, primals[1])
        return y, slope * tangents[1]

    return switch


def dropped(rate: Any, x: Any, seeds: Any) -> Any:
    """Return x with a share switched off and the rest scaled up, with the numbers of Keras' own layer.

    Arguments:
        rate: share in [0, 1), traced; at zero no random numbers are drawn, and x is returned bit for bit.
        x: of any shape.
        seeds: Keras' seed generator; its next seed is taken at every rate.
    """
    import jax

    seed, kept = seeds.next(), 1 - rate
    mask = jax.lax.cond(
        rate > 0,
        lambda: jax.random.bernoulli(seed, p=kept, shape=x.shape),
        lambda: jax.numpy.ones(x.shape, bool),
    )
    return jax.lax.select(mask, x / kept, jax.numpy.zeros_like(x))


def _activated(layer: Any, x: Any) -> Any:
    decided = decisions()
    if decided is None or layer.place is None:
        return layer.own(x)
    return switched(decided.choices.activations[layer.place], x)


def call_switched(layer: Any, inputs: Any) -> Any:
    """Any layer without an activation of its own, and then the activation decided."""
    return _activated(layer, layer.stock.call(layer, inputs))


def call_dropped(layer: Any, inputs: Any, training: bool = False) -> Any:
    """Dropout at the rate decided."""
    if not training:
        return inputs
    decided = decisions()
    return dropped(layer.own if decided is None else decided.choices.dropout[layer.place], inputs, layer.seed_generator)


def normalise(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """Batch normalization whose statistics are those of the examples of a weight that is not zero."""
    import jax.numpy as jnp

    decided = decisions()
    if decided is None or decided.weight is None or not (training and layer.trainable):
        return layer.stock.call(layer, inputs, training=training, mask=mask)
    axes = tuple(range(inputs.ndim - 1))
    real = (decided.weight != 0).reshape(-1, *[1] * (inputs.ndim - 1))
    count = real.sum() * (inputs[0].size // inputs.shape[-1])
    mean = jnp.where(real, inputs, 0).sum(axes) / count
    variance = jnp.where(real, (inputs - mean) ** 2, 0).sum(axes) / count
    for moving, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving.value * layer.momentum + new * (1 - layer.momentum))
    scale = (variance + layer.epsilon) ** -0.5 * (jnp.asarray(layer.gamma) if layer.scale else 1)
    return (inputs - mean) * scale + (jnp.asarray(layer.beta) if layer.center else 0)


def convolve(layer: Any, inputs: Any) -> Any:
    """Convolution as shifted slices side by side and one matrix product."""
    import jax.numpy as jnp

    taps, length = layer.kernel_size[0], inputs.shape[1] - layer.kernel_size[0] + 1
    side_by_side = jnp.concatenate([inputs[:, first : first + length] for first in range(taps)], axis=-1)
    kernel = jnp.asarray(layer.kernel).reshape(-1, layer.filters)
    # One long matrix: a product for each example takes a fifth longer.
    found = (side_by_side.reshape(-1, kernel.shape[0]) @ kernel).reshape(inputs.shape[0], length, layer.filters)
    return _activated(layer, found + jnp.asarray(layer.bias) if layer.use_bias else found)


def pool(layer: Any, inputs: Any) -> Any:
    """Maxima of neighbours that a reshape has set side by side; of equal ones the first has the gradient, as in XLA."""
    import jax.numpy as jnp

    batch, length, channels = inputs.shape
    size = layer.pool_size[0]
    folded = inputs[:, : length // size * size].reshape(batch, length // size, size, channels)
    largest = folded[:, :, 0]
    for place in range(1, size):  # the reduction of XLA, and its gradient, take several times as long
        largest = jnp.where(largest >= folded[:, :, place], largest, folded[:, :, place])
    return _activated(layer, largest)


def remember(layer: Any, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
    """LSTM without a loop: its few steps one after the other, from zeros."""
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
