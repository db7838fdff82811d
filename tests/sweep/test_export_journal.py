"""What Optuna itself reads in a journal that was exported."""

from __future__ import annotations

import json
import os
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from written_sweep import fit, write_sweep

from townsend.errors import InputError
from townsend.sweep.export_journal import export_journal
from townsend.training.records import Outcome

RECORDS = [
    fit(0, 0.8),
    fit(1, 0.95, Outcome.STOPPED_EARLY),
    fit(2, 0.0, Outcome.PRUNED, epochs=3, figures=(0.6, 0.7)),
    fit(3, 0.0, Outcome.DIVERGED, epochs=1, detail="the loss was not finite in epoch 1"),
    fit(6, 0.9, epochs=200),
]


def load(path: Path, name: str = "run") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return load(export_journal(write_sweep(tmp_path / "run", RECORDS, trials=9), tmp_path / "journal.log"))


def test_optuna_finds_the_best_trial_under_our_number(study: optuna.Study) -> None:
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["auc"]
    assert (study.best_trial.number, study.best_value) == (1, 0.95)
    assert study.best_trial.user_attrs["f1"] == pytest.approx(0.65)
    assert study.best_trial.user_attrs["auc.error"] == 0.01
    assert study.best_trial.user_attrs["outcome"] == "stopped early"


def test_outcomes_become_states_and_what_has_not_ended_waits(study: optuna.Study) -> None:
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    complete, waiting = TrialState.COMPLETE, TrialState.WAITING
    assert states == [complete, complete, TrialState.PRUNED, TrialState.FAIL, waiting, waiting, complete]
    pruned, diverged = study.trials[2], study.trials[3]
    assert pruned.value == 0.7
    assert pruned.user_attrs["figures at rungs"] == [0.6, 0.7]
    assert diverged.value is None
    assert diverged.user_attrs["detail"].startswith("the loss was not finite")


def test_a_trial_has_the_hyperparameters_it_was_trained_with(study: optuna.Study) -> None:
    for record in RECORDS:
        trial = study.trials[record.trial]
        assert trial.params == dict(record.hyperparameters)
        assert set(trial.distributions) == set(trial.params)
    of = study.trials[0].distributions
    assert of["rate"] == optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    assert of["units"] == of["same"] == optuna.distributions.IntDistribution(4, 64)
    assert of["dropout"] == optuna.distributions.CategoricalDistribution([0.1, 0.2, 0.0])
    assert "momentum" in study.trials[0].params
    assert "momentum" not in study.trials[1].params


def test_curves_are_thinned_but_keep_their_ends(study: optuna.Study) -> None:
    long = study.trials[6].intermediate_values
    assert (min(long), max(long), len(long)) == (1, 200, 30)
    assert long[1] == pytest.approx(1.1)
    assert sorted(study.trials[0].intermediate_values) == list(range(1, 28))


def test_the_otherwise_of_a_range_outside_it_is_kept_beside(tmp_path: Path) -> None:
    space = {"a": ["x", "y"], "b": {"low": 1.0, "high": 2.0, "when": {"a": ["x"]}, "otherwise": 0.0}}
    record = fit(0, 0.8)
    record = type(record)(**{**vars(record), "hyperparameters": {"a": "y", "b": 0.0}})
    trial = load(export_journal(write_sweep(tmp_path / "run", [record], space=space), tmp_path / "j.log")).trials[0]
    assert trial.params == {"a": "y"}
    assert trial.user_attrs["b"] == 0.0


def test_two_objectives_are_two_directions(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", RECORDS, objectives=["auc", "parameters"])
    study = load(export_journal(run, tmp_path / "j.log"))
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.number for trial in study.best_trials] == [0, 1]
    assert study.trials[2].values == [0.7, 102.0]


def test_the_same_sweep_gives_the_same_bytes_and_replaces_only_our_own_file(tmp_path: Path) -> None:
    run, journal = write_sweep(tmp_path / "run", RECORDS), tmp_path / "journal.log"
    first = export_journal(run, journal).read_bytes()
    assert export_journal(run, journal).read_bytes() == first
    assert list(tmp_path.glob(".*")) == []
    load(tmp_path / "journal.log").set_user_attr("note", "mine")  # Optuna can go on writing
    foreign = tmp_path / "foreign.log"
    optuna.create_study(storage=JournalStorage(JournalFileBackend(str(foreign))))
    before = foreign.read_bytes()
    with pytest.raises(InputError, match="must be new or a journal exported before"):
        export_journal(run, foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(InputError, match="it is a folder"):
        export_journal(run, tmp_path)


def test_a_sweep_without_an_ended_trial_has_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold a trial that has ended"):
        export_journal(write_sweep(tmp_path / "run", [], trials=3), tmp_path / "j.log")
    with pytest.raises(InputError, match=r"no sweep\.json"):
        export_journal(tmp_path, tmp_path / "j.log")
    assert not (tmp_path / "j.log").exists()


def test_times_are_those_of_the_record(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", RECORDS[:1])
    os.utime(run / "records" / "0000.json", (1_000_000_000, 1_000_000_000))
    path = export_journal(run, tmp_path / "j.log")
    trial = load(path).trials[0]
    assert trial.duration is not None
    assert trial.duration.total_seconds() == 2.0
    assert all(json.loads(line)["worker_id"] == "townsend" for line in path.read_text().splitlines())
