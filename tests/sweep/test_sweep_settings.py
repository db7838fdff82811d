"""Settings of a sweep: closed, with what the command line asks for on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from townsend.config import dump_yaml, load_yaml, parse
from townsend.errors import ConfigError
from townsend.sweep.settings import Range, SweepSettings, load_sweep

TEXT = """\
task: bump
sample: mc
task_settings: {examples: 10, other: 1}
space:
  topology: [8 16 1]
  learning_rate: {low: 1e-4, high: 1, log: true}
sampler: random
trials: 3
"""


def written(tmp_path: Path, text: str = TEXT) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return path


def test_file_and_overrides(tmp_path: Path) -> None:
    settings = load_sweep(written(tmp_path), {"trials": 5, "task_settings": {"examples": 20}})
    assert settings.trials == 5
    assert settings.task_settings == {"examples": 20, "other": 1}
    assert settings.space["learning_rate"] == Range(low=1e-4, high=1, log=True)
    assert (settings.network, settings.epochs, settings.patience, settings.lag) == ("lstm", 100, 30, 8)


def test_resolved_settings_come_back_from_yaml(tmp_path: Path) -> None:
    settings = load_sweep(written(tmp_path))
    dump_yaml(settings, tmp_path / "resolved.yaml")
    assert parse(SweepSettings, load_yaml(tmp_path / "resolved.yaml")) == settings


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("trials: 3", "trails: 3", r'trails: unknown key \(.*line 8\); did you mean "trials"'),
        ("trials: 3", "epochs: 3", "the sampler random needs the number of trials"),
        ("sampler: random", "sampler: grid", "a grid needs lists"),
        ("sampler: random", "sampler: tpee", "sampler: "),
        ("low: 1e-4", "low: 2", "low must be below high"),
        ("low: 1e-4", "low: -1", "low must be above 0 when log"),
        ("[8 16 1]", "[]", "at least 1"),
        ("trials: 3", "trials: 0", "trials: must be greater than or equal to 1"),
        ("sample: mc\n", "", "sample: must be given"),
    ],
)
def test_bad_setting_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_sweep(written(tmp_path, TEXT.replace(old, new)))


@pytest.mark.parametrize("overrides", [{"epochs": 0}, {"seed": -1}])
def test_bad_override_is_refused(tmp_path: Path, overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(overrides))):
        load_sweep(written(tmp_path), overrides)
