"""Keras on the right backend, without changing one that the user chose.

What to use when
----------------
- `jax_keras()`: to train; townsend's compiled epochs need Keras on JAX.
- `check_environment()`: before starting processes that will train; loads nothing.
- `any_keras()`: to apply or save a network; takes the backend the user chose, else JAX.

A backend counts as chosen when KERAS_BACKEND is set or Keras is already imported. The file `~/.keras/keras.json` does
not count: Keras itself writes it, with its own default, on every machine.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

from townsend.errors import InputError

__all__ = ["BACKEND_VARIABLE", "any_keras", "check_environment", "chosen_backend", "jax_keras"]

BACKEND_VARIABLE = "KERAS_BACKEND"


def chosen_backend() -> str:
    """Return the Keras backend in use or asked for in this process, or "" when nobody has chosen yet."""
    loaded = sys.modules.get("keras")
    if loaded is not None:
        return str(loaded.config.backend())
    return os.environ.get(BACKEND_VARIABLE, "")


def jax_keras() -> ModuleType:
    """Return the module `keras` on JAX.

    Raises InputError when another backend was chosen.
    """
    _check(chosen_backend())
    return any_keras()


def check_environment() -> None:
    """Raise InputError when processes started from here would find another backend than JAX chosen for them."""
    _check(os.environ.get(BACKEND_VARIABLE, ""))


def any_keras() -> ModuleType:
    """Return the module `keras` on the backend the user chose, else on JAX for this process only."""
    if chosen_backend():
        return import_module("keras")
    os.environ[BACKEND_VARIABLE] = "jax"
    try:
        return import_module("keras")
    finally:
        del os.environ[BACKEND_VARIABLE]  # read once, at import; programs started from here choose for themselves


def _check(backend: str) -> None:
    if backend not in ("", "jax"):
        remedy = f'unset {BACKEND_VARIABLE} or set it to "jax" before Keras is first imported'
        msg = f'training needs Keras on JAX (got the backend "{backend}"); {remedy}'
        raise InputError(msg)
