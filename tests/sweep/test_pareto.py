"""The front of two objectives: as by its definition, and as Optuna finds it."""

from __future__ import annotations

import numpy as np
import optuna
from hypothesis import given
from hypothesis import strategies as st

from townsend.sweep.pareto import front

few = st.sampled_from([-1.0, 0.0, 0.5, 2.0])  # few values, so that there are ties
number = few | st.floats(-10, 10)
directions = st.tuples(st.booleans(), st.booleans())


def brute_force(points: list[tuple[float, float]], maximise: tuple[bool, bool]) -> list[bool]:
    signed = [tuple(x if up else -x for x, up in zip(point, maximise, strict=True)) for point in points]
    return [not any(b[0] >= a[0] and b[1] >= a[1] and b != a for b in signed) for a in signed]


@given(st.lists(st.tuples(number, number), max_size=30), directions)
def test_it_is_what_the_definition_says(points: list[tuple[float, float]], maximise: tuple[bool, bool]) -> None:
    found = front(np.array(points, dtype=float).reshape(-1, 2), maximise)
    assert found.tolist() == brute_force(points, maximise)


@given(st.lists(st.tuples(number, number), min_size=1, max_size=20), directions)
def test_it_is_what_optuna_finds(points: list[tuple[float, float]], maximise: tuple[bool, bool]) -> None:
    study = optuna.create_study(directions=["maximize" if up else "minimize" for up in maximise])
    study.add_trials([optuna.trial.create_trial(values=list(point)) for point in points])
    theirs = sorted(trial.number for trial in study.best_trials)
    assert np.flatnonzero(front(np.array(points), maximise)).tolist() == theirs


@given(st.lists(st.tuples(number, number), min_size=2, max_size=20), directions, st.randoms())
def test_order_and_what_has_no_figure_do_not_matter(
    points: list[tuple[float, float]], maximise: tuple[bool, bool], chance: object
) -> None:
    table = np.array(points)
    kept = front(table, maximise)
    order = np.random.default_rng(len(points)).permutation(len(points))
    np.testing.assert_array_equal(front(table[order], maximise), kept[order])
    nothing = np.array([[np.nan, 1e9], [1e9, np.nan], [np.inf, 0.0]])
    with_nothing = front(np.concatenate([nothing, table]), maximise)
    assert with_nothing.tolist() == [False] * 3 + kept.tolist()


def test_many_points_take_no_time_and_a_line_is_all_front() -> None:
    x = np.random.default_rng(1).permutation(200_000).astype(float)
    assert front(np.stack([x, -x], axis=1), (True, True)).all()
    assert front(np.stack([x, x], axis=1), (True, True)).sum() == 1
