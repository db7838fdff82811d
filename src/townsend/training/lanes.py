"""How the members of a pack run through the compiled programs: one alone, or several side by side.

What to use when
----------------
- `Alone`: one fit; its arrays are passed as they are. Faster on a processor, also for many fits one after the other.
- `SideBySide`: several fits of equal shapes, their arrays stacked for a program made by `vmap`; meant for a GPU. On one
  core of a processor an epoch of eight LSTMs takes 3.8 (8/16 units), 1.8 (32/64), 1.5 times (96/128) as long as alone.

Both take an epoch's arguments of each member and keep the state of the best epoch of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from townsend.training.epochs import Given, State, Train, Watched

__all__ = ["Alone", "Best", "Epoch", "Lanes", "SideBySide", "Stand"]


class Epoch(NamedTuple):
    """What an epoch takes of one member: its configuration, and `epoch_order`."""

    given: Given
    order: NDArray[np.int32]
    filled: NDArray[np.float32]


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
        train: compiled for a fit that is not stacked.
        data: x and y of `train`, and weights where it has some; watched: `monitor`.
        state: where it begins.
    """

    def __init__(self, train: Train, data: tuple[Any, ...], watched: Watched, state: State) -> None:
        self._train, self._data, self._watched = train, data, watched
        self._state = state
        self._scores: Any = None
        self._best: tuple[State, Any] | None = None

    def run(self, epochs: Sequence[Epoch], batches: int) -> list[tuple[float, float, float, float]]:
        """Train one epoch; return the figures of the member."""
        ((given, order, filled),) = epochs
        self._state, loss, hits = self._train(self._state, given, *self._data, order, filled, batches)
        watched, right, self._scores = self._watched.judge(self._state, given)
        return [(float(loss), watched, float(hits), right)]

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
        train: compiled for as many members.
        data, watched: as for `Alone`; the same for all members, who are judged one after the other.
        states: where each begins.
    """

    def __init__(self, train: Train, data: tuple[Any, ...], watched: Watched, states: Sequence[State]) -> None:
        self._train, self._data, self._watched = train, data, watched
        self._state = _stacked(states)
        self._scores: Any = None
        self._best: tuple[State, Any] | None = None
        self._improved = np.zeros(len(states), bool)

    def run(self, epochs: Sequence[Epoch], batches: int) -> list[tuple[float, float, float, float]]:
        """Train one epoch; return the figures of each member."""
        given, order, filled = _stacked(epochs)
        self._state, loss, hits = self._train(self._state, given, *self._data, order, filled, batches)
        judged = [self._watched.judge(_member(self._state, i), epoch.given) for i, epoch in enumerate(epochs)]
        self._scores = np.stack([scores for _, _, scores in judged])
        trained = zip(np.asarray(loss).tolist(), np.asarray(hits).tolist(), strict=True)
        return [(one, watched, two, right) for (one, two), (watched, right, _) in zip(trained, judged, strict=True)]

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

        def best(i: int) -> Best | None:
            state, scores = _member(self._best, i)
            return Best(state, np.asarray(scores))

        return [Stand(_member(self._state, i), best(i) if new else None) for i, new in enumerate(self._improved)]


def _member(tree: Any, number: int) -> Any:
    import jax

    return jax.tree.map(lambda leaf: leaf[number], tree)


def _stacked(values: Sequence[Any]) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *values)
