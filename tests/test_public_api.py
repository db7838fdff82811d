"""The public face of the package: its names, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import townsend
import townsend.api

HEAVY = {"awkward", "jax", "keras", "matplotlib", "numba", "numpy", "optuna", "pyarrow", "pydantic", "scipy"}
HEAVY |= {"sklearn", "uproot"}
FUNCTIONS = [
    "apply",
    "assemble",
    "board",
    "cancel",
    "check_engine",
    "choose",
    "dashboard",
    "evaluate",
    "export_journal",
    "export_tensorboard",
    "find_peaks",
    "noise",
    "read",
    "reconstruct",
    "refine",
    "report",
    "select_eta",
    "simulate_drifttube",
    "simulate_eta",
    "simulate_gluex",
    "skim",
    "space",
    "status",
    "sweep",
    "train",
    "validate_drifttube",
]


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    report = f"{code}\nimport sys\nsys.stderr.write(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", report], check=True, capture_output=True, text=True)
    return set(run.stderr.split())


def test_names_of_the_package() -> None:
    assert dir(townsend) == ["__version__", "api", "set_logging"]


def test_names_of_the_functions() -> None:
    assert dir(townsend.api) == FUNCTIONS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_the_name_it_is_known_by(name: str) -> None:
    function = getattr(townsend.api, name)
    assert callable(function)
    assert function.__name__ == name
    assert function.__doc__


def test_api_is_reached_from_the_package_without_importing_it() -> None:
    assert "townsend" in loaded_by("import townsend\nassert callable(townsend.api.sweep)\nassert townsend.api.sweep")


def test_sweep_stays_a_function_of_the_api_after_the_room_of_that_name_is_loaded() -> None:
    loaded_by("import townsend.api, townsend.sweep.coordinator\nassert townsend.api.sweep.__name__ == 'sweep'")


@pytest.mark.parametrize("module", [townsend, townsend.api])
def test_unknown_name_is_an_attribute_error(module: object) -> None:
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        module.swep  # type: ignore[attr-defined]  # noqa: B018


def test_version_is_that_of_the_installed_package() -> None:
    from importlib.metadata import version

    assert townsend.__version__ == version("townsend")


def test_import_loads_no_numerical_library() -> None:
    assert loaded_by("import townsend, townsend.api") & HEAVY == set()


def test_help_loads_no_numerical_library() -> None:
    code = (
        "import sys\nfrom townsend.cli import main\nsys.argv = ['townsend', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
    )
    found = loaded_by(code)
    assert "townsend" in found
    assert found & HEAVY == set()


def test_probe_of_loaded_modules_sees_numpy() -> None:
    assert "numpy" in loaded_by("import numpy")


def test_module_runs_like_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "townsend", "--help"], check=True, capture_output=True, text=True)
    assert "simulate" in run.stdout
