"""How the members of a pack run through the compiled programs: one alone, or several side by side.

What to use when
----------------
- `Alone`: one fit; its arrays are passed as they are. Faster on a processor, also for many fits one after the other.
- `SideBySide`: several fits of equal shapes, their arrays stacked for a program made by `vmap`; pays on a GPU.

Both take an epoch's arguments of each member and keep, of each member, the state of its best epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from townsend.training.epochs import Epochs, Given, State

__all__ = ["Alone", "Epoch", "Lanes", "SideBySide", "Stand"]


class Epoch(NamedTuple):
    """What an epoch takes of one member: its configuration, order and weights of the examples."""

    given: Given
    order: NDArray[np.int32]
    weight: NDArray[np.float32]


class Stand(NamedTuple):
    """Where one member stands: its state, that of its best epoch, and the latter's scores of `monitor` if it is new."""

    state: State
    best: State
    scores: NDArray[np.float32] | None


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
        state, best: where it begins.
    """

    def __init__(
        self, programs: Epochs, data: tuple[Any, Any], watched: tuple[Any, ...], state: State, best: State
    ) -> None:
        self._programs, self._data, self._watched = programs, data, watched
        self._state, self._best = state, best
        self._scores: Any = None
        self._best_scores: Any = None

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
            self._best, self._best_scores = self._state, self._scores

    def stands(self) -> list[Stand]:
        """Return where the member stands."""
        return [Stand(self._state, self._best, None if self._best_scores is None else np.asarray(self._best_scores))]


class SideBySide:
    """Members whose arrays are stacked; see `Lanes`.

    Arguments:
        programs: compiled for as many members.
        data: x and y of `train`; watched: chunks of `monitor`; the same for all members.
        states: where each begins, and its best so far.
    """

    def __init__(
        self,
        programs: Epochs,
        data: tuple[Any, Any],
        watched: tuple[Any, ...],
        states: Sequence[tuple[State, State]],
    ) -> None:
        self._programs, self._data, self._watched = programs, data, watched
        self._state, self._best = (_stacked(kind) for kind in zip(*states, strict=True))
        self._scores: Any = None
        self._best_scores: Any = None
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

        self._best = jax.tree.map(choose, self._state, self._best)
        self._best_scores = self._scores if self._best_scores is None else choose(self._scores, self._best_scores)
        self._improved |= mask

    def stands(self) -> list[Stand]:
        """Return where each member stands."""
        import jax

        def member(tree: Any, i: int) -> Any:
            return jax.tree.map(lambda leaf: leaf[i], tree)

        return [
            Stand(member(self._state, i), member(self._best, i), np.asarray(self._best_scores[i]) if new else None)
            for i, new in enumerate(self._improved)
        ]


def _stacked(values: Sequence[Any]) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *values)
