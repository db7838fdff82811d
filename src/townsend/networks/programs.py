"""Compiled programs kept within a process, so that equal networks are compiled once.

What to use when
----------------
- `architecture`: what a program depends on of a network; seeds and weights are left out.
- `keep`: the program kept under a key, else a new one, with the seconds that making it took.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import keras

__all__ = ["architecture", "keep"]

_LARGEST_NUMBER = 8  # of kept programs: a long sweep must not fill the memory with those of past fits
_SEEDS = ("seed", "build_config")
_programs: OrderedDict[Hashable, Any] = OrderedDict()

Program = TypeVar("Program")


def keep(key: Hashable, make: Callable[[], Program]) -> tuple[Program, float]:
    """Return the program kept under `key`, made now if there is none, and the seconds spent on making it."""
    if key in _programs:
        _programs.move_to_end(key)
        program: Program = _programs[key]
        return program, 0.0
    began = time.perf_counter()
    program = make()
    _programs[key] = program
    if len(_programs) > _LARGEST_NUMBER:
        _programs.popitem(last=False)
    return program, time.perf_counter() - began


def architecture(network: keras.Model) -> str:
    """Return a text that is equal for networks of equal layers, whatever their seeds and weights."""
    return json.dumps(_seedless(network.get_config()), sort_keys=True, default=str)


def _seedless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _seedless(inner) for name, inner in value.items() if name not in _SEEDS}
    if isinstance(value, list | tuple):
        return [_seedless(inner) for inner in value]
    return value
