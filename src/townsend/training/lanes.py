"""How the members of a pack run through the compiled programs: one alone, or several side by side.

What to use when
----------------
- `Alone`: one fit; its arrays are passed as they are. Faster on a processor, also for many fits one after the other.
- `SideBySide`: several fits of equal shapes, their arrays stacked for a program made by `vmap`; pays on a GPU.

Both take an epoch's arguments of each member and keep the state of the best epoch of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from townsend.training.epochs import Epochs, Given, State

__all__ = ["Alone", "Best", "Epoch", "Lanes", "SideBySide", "Stand"]


class Epoch(NamedTuple):
    """What an epoch takes of one member: its configuration, order and weights of the examples."""

    given: Given
    order: NDArray[np.int32]
    weight: NDArray[np.float32]


class Best(NamedTuple):
    """The best epoch of one member: its state, and its scores of `monitor`."""

    state: State
    scores: NDArray[np.float32]


class Stand(NamedTuple):
    """Where one member stands; its best epoch is None where none of those just run was better than all before."""

    state: State
    best: Best | None


class Lanes(Protocol):
    """Members that run through epochs together."""

    def run(self, epochs: Sequence[Epoch], batches: int) -> list[tuple[float, float, float, float]]:
        """Train one epoch; return loss, monitored loss, accuracy and monitored accuracy of each member."""
        ...

    def keep(self, better: Sequence[bool]) -> None:
        """Take the states of these members for their best ones."""
        ...

    def stands(self) -> list[Stand]:
        """Return where each member stands."""
        ...


class Alone:
    """One member; see `Lanes`.

    Arguments:
        programs: compiled for a fit that is not stacked.
        data: x and y of `train`; watched: chunks of `monitor`.
        state: where it begins.
    """

    def __init__(self, programs: Epochs, data: tuple[Any, Any], watched: tuple[Any, ...], state: State) -> None:
        self._programs, self._data, self._watched = programs, data, watched
        self._state = state
        self._scores: Any = None
        self._best: tuple[State, Any] | None = None

    def run(self, epochs: Sequence[Epoch], batches: int) -> list[tuple[float, float, float, float]]:
        """Train one epoch; return the figures of the member."""
        ((given, order, weight),) = epochs
        self._state, loss, hits = self._programs.train(self._state, given, *self._data, order, weight, batches)
        state = self._state
        watched = self._programs.monitor(state.trainable, state.other, given, *self._watched)
        self._scores = watched[2]
        return [(float(loss), float(watched[0]), float(hits), float(watched[1]))]

    def keep(self, better: Sequence[bool]) -> None:
        """Take the state for the best one."""
        if better[0]:
            self._best = self._state, self._scores

    def stands(self) -> list[Stand]:
        """Return where the member stands."""
        best = None if self._best is None else Best(self._best[0], np.asarray(self._best[1]))
        return [Stand(self._state, best)]


class SideBySide:
    """Members whose arrays are stacked; see `Lanes`.

    Arguments:
        programs: compiled for as many members.
        data: x and y of `train`; watched: chunks of `monitor`; the same for all members.
        states: where each begins.
    """

    def __init__(
        self, programs: Epochs, data: tuple[Any, Any], watched: tuple[Any, ...], states: Sequence[State]
    ) -> None:
        self._programs, self._data, self._watched = programs, data, watched
        self._state = _stacked(states)
        self._scores: Any = None
        self._best: tuple[State, Any] | None = None
        self._improved = np.zeros(len(states), bool)

    def run(self, epochs: Sequence[Epoch], batches: int) -> list[tuple[float, float, float, float]]:
        """Train one epoch; return the figures of each member."""
        given, order, weight = _stacked(epochs)
        self._state, loss, hits = self._programs.train(self._state, given, *self._data, order, weight, batches)
        state = self._state
        watched, right, self._scores = self._programs.monitor(state.trainable, state.other, given, *self._watched)
        columns = [np.asarray(column).tolist() for column in (loss, watched, hits, right)]
        return list(zip(*columns, strict=True))

    def keep(self, better: Sequence[bool]) -> None:
        """Take the states of these members for their best ones."""
        import jax
        import jax.numpy as jnp

        mask = np.asarray(better, bool)
        if not mask.any():
            return

        def choose(new: Any, old: Any) -> Any:
            return jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        now = self._state, self._scores
        self._best = now if self._best is None else jax.tree.map(choose, now, self._best)
        self._improved |= mask

    def stands(self) -> list[Stand]:
        """Return where each member stands."""
        import jax

        def member(tree: Any, i: int) -> Any:
            return jax.tree.map(lambda leaf: leaf[i], tree)

        def best(i: int) -> Best | None:
            state, scores = member(self._best, i)
            return Best(state, np.asarray(scores))

        return [Stand(member(self._state, i), best(i) if new else None) for i, new in enumerate(self._improved)]


def _stacked(values: Sequence[Any]) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *values)
