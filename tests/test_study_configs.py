"""The sweeps of the studies: their settings parse and their spaces can be trained."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from townsend.config import load_yaml
from townsend.sweep.brackets import check_space
from townsend.sweep.settings import check_task_settings, load_sweep
from townsend.tasks.registry import find_task

STUDIES = Path(__file__).parent.parent / "docs" / "studies"
TRAINING = STUDIES / "training"
SWEEPS = sorted(path for path in STUDIES.glob("*/*.yaml") if "task" in load_yaml(path).data)
FROM_THE_COMMAND_LINE = {"drifttube-clusters": {"finder": "finder"}}


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: str(path.relative_to(STUDIES)))
def test_a_sweep_of_a_study_can_be_trained(path: Path) -> None:
    document = load_yaml(path)
    given = FROM_THE_COMMAND_LINE.get(document.data["task"], {})
    settings = load_sweep(path, {"sample": "mc", "task_settings": given})
    check_task_settings(settings, document)
    check_space(settings, find_task(settings.task).loss)


@pytest.mark.parametrize("path", sorted(TRAINING.glob("*.yaml")), ids=lambda path: path.stem)
def test_trainings_are_compared_by_repeats_at_their_ends(path: Path) -> None:
    settings = load_sweep(path, {"sample": "mc"})
    assert settings.sampler == "grid"
    assert settings.repeats >= 3
    assert settings.halving is None


def test_the_page_of_trainings_runs_each_of_its_sweeps_and_shows_each_of_its_figures() -> None:
    page = (STUDIES / "training.md").read_text(encoding="utf-8")
    for path in TRAINING.glob("*.yaml"):
        assert f"townsend sweep docs/studies/training/{path.name} " in page
    for draw in runpy.run_path(str(TRAINING / "make_figures.py"))["FIGURES"]:
        assert f"images/training-{draw.__name__}.png" in page
