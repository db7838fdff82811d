"""Whose backend wins: each case in a fresh interpreter, since Keras chooses once a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from townsend.errors import InputError
from townsend.networks.backend import check_environment


def answers(code: str, **environment: str) -> str:
    """Last line of stdout of a fresh interpreter with KERAS_BACKEND only if given."""
    given = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**given, **environment}, check=False
    )
    return (run.stdout.strip() or run.stderr.strip()).splitlines()[-1]


def test_importing_the_rooms_loads_no_keras() -> None:
    rooms = "townsend.networks.family, townsend.training.bracket, townsend.sweep.coordinator"
    code = f"import sys, {rooms}\nprint('keras' in sys.modules)"
    assert answers(code) == "False"


@pytest.mark.slow
def test_unset_backend_becomes_jax_for_this_process_only() -> None:
    code = (
        "import os\nfrom townsend.networks.backend import jax_keras\n"
        "print(jax_keras().config.backend(), os.environ.get('KERAS_BACKEND'))"
    )
    assert answers(code) == "jax None"


@pytest.mark.slow
def test_backend_already_imported_is_left_alone_and_refused_for_training() -> None:
    code = (
        "import keras\nfrom townsend.networks.backend import any_keras, jax_keras\n"
        "print(any_keras().config.backend(), end=' ')\n"
        "try:\n    jax_keras()\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    answer = answers(code, KERAS_BACKEND="numpy")
    assert answer.startswith(
        'numpy InputError training needs Keras on JAX (got the backend "numpy"); unset KERAS_BACKEND'
    )


def test_backend_asked_for_but_not_loaded_is_refused_for_training() -> None:
    code = "from townsend.networks.backend import jax_keras\njax_keras()"
    assert 'InputError: training needs Keras on JAX (got the backend "torch")' in answers(code, KERAS_BACKEND="torch")


def test_environment_of_workers_is_checked_without_loading_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(InputError, match=r'"tensorflow".*unset KERAS_BACKEND'):
        check_environment()
    monkeypatch.delenv("KERAS_BACKEND")
    check_environment()
