"""PyTorch modules that a user's `build(hp)` returns: their weights as plain arrays, and their scores.

What to use when
----------------
- `TorchNetwork`: a module with the shape of its inputs; `scores` are the same bits for an example whatever its
  neighbours.
- `arrays_of`, `put_arrays`: the state of a module as arrays, names first, and back. No `torch.load`, no pickle.
- `one_thread`: around all that computes, so that the same arguments give the same bits.

What computes is the user's own code, so a module is only ever opened together with the file that builds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.networks.scaling import Scaling, standardised

__all__ = ["TorchNetwork", "arrays_of", "one_thread", "put_arrays", "torch_and_skorch"]

_BATCH = 1024  # examples a call, always as many: the bits of a matrix product depend on the number of rows


@dataclass(frozen=True)
class TorchNetwork:
    """A module that maps (n, ...) inputs to (n, 1) numbers.

    Arguments:
        module: a `torch.nn.Module`.
        shape: of one example, without the batch axis.
        scaling: what inputs go through before the module sees them; None: nothing.
    """

    module: Any
    shape: tuple[int, ...]
    scaling: Scaling | None = None

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Return the shape of its inputs as Keras writes it: (None, ...)."""
        return (None, *self.shape)

    def scores(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (n,) outputs for (n, ...) inputs, dropout switched off."""
        import torch

        found = np.empty(len(x), np.float32)
        training = self.module.training
        self.module.eval()
        with one_thread(), torch.inference_mode():
            for start in range(0, len(x), _BATCH):
                rows = np.asarray(standardised(x[start : start + _BATCH], self.scaling), np.float32)
                filled = np.zeros((_BATCH, *self.shape), np.float32)
                filled[: len(rows)] = rows
                found[start : start + len(rows)] = self.module(torch.from_numpy(filled)).numpy()[: len(rows), 0]
        self.module.train(training)
        return found


def arrays_of(module: Any) -> list[NDArray[Any]]:
    """Return the state of a module: its names as JSON in one array of bytes, then one array a name."""
    state = {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}
    return [np.frombuffer(json.dumps(list(state)).encode(), np.uint8), *state.values()]


def put_arrays(module: Any, arrays: Sequence[NDArray[Any]]) -> None:
    """Give a module the state that `arrays_of` returned.

    Raises InputError when names or shapes are others.
    """
    import torch

    try:
        names = json.loads(np.asarray(arrays[0], np.uint8).tobytes())
        state = {name: torch.from_numpy(np.array(array)) for name, array in zip(names, arrays[1:], strict=True)}
        module.load_state_dict(state, strict=True)
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        told = " ".join(str(error).split())[:200]
        msg = f"kept weights must fit the module that --build makes ({told}); name the file of the sweep"
        raise InputError(msg) from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread and algorithms that repeat, and leave its random numbers as they were."""
    import torch

    threads, repeats = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(repeats)
            torch.set_num_threads(threads)


def torch_and_skorch() -> tuple[Any, Any]:
    """Return the modules `torch` and `skorch`.

    Raises InputError when they are not installed.
    """
    try:
        import skorch
        import torch
    except ImportError as error:
        msg = f'modules of PyTorch need the extra "torch" (no {error.name}); pip install "townsend[torch]"'
        raise InputError(msg) from None
    return torch, skorch
