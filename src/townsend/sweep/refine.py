"""From coarse to fine: a sweep whose space is narrowed around the best configurations of a finished one.

What to use when
----------------
- `refine`: write the YAML of the finer sweep.
- `narrowed`: the narrowed space alone.

The finer sweep keeps the seed, hence the sets of waveforms: its test set is one that neither sweep has seen. Another
seed would train and choose on waveforms that are test now, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from townsend.config import parse
from townsend.config.document import safe_yaml
from townsend.errors import InputError
from townsend.files import write_text
from townsend.sweep.board import Board, board
from townsend.sweep.board_verdicts import shown
from townsend.sweep.conditions import holds, in_order
from townsend.sweep.hyperparameter import Choice, Hyperparameter, Range, Space, Tied, Values, listed
from townsend.sweep.records import run_info
from townsend.sweep.samplers import check_sampler
from townsend.sweep.settings import SweepSettings
from townsend.sweep.space import grid_size
from townsend.training.records import FitRecord

__all__ = ["narrowed", "refine"]

_MARK = "# Narrowed by `townsend refine`"


def refine(run: Path, output: Path, top: int = 5) -> Path:
    """Write a sweep around the best `top` configurations of the sweep in `run` to the YAML file `output`; return it.

    Ranges go from the smallest to the largest value of the leaders, wider by one typical gap between the values tried,
    within their old ends. Lists keep the values of the leaders, and those whose best configuration is not told apart
    from the leader within one error. All other settings stay, the seed too.

    Arguments:
        run: folder of a sweep.
        output: new, or a file made by `refine` before, which is replaced.
        top: leaders, at least 1; fewer where fewer may be chosen.

    Raises InputError when no configuration may be chosen or the file is another's, ConfigError when the narrowed space
    cannot be swept as the old one was.
    """
    if top < 1:
        msg = f"top must be at least 1 (got {top}); 5 is usual"
        raise InputError(msg)
    _check_output(output)
    info, ranking = run_info(run), board(run)
    leaders = ranking.ranked[:top]
    leaders += tuple(row for row in ranking.front if row not in leaders)
    if not leaders:
        rule = f"one configuration of {run} at least must be usable"
        msg = f"{rule} (got {len(ranking.rows)} rows, none is); widen its space"
        raise InputError(msg)
    old = parse(SweepSettings, info.settings)
    values = {**info.settings, "space": _plain(narrowed(old.space, ranking, leaders))}
    if old.sampler == "grid" and old.trials is not None:
        values["trials"] = min(old.trials, grid_size(parse(SweepSettings, values).space))
    new = parse(SweepSettings, values)
    check_sampler(new)
    content = {name: value for name, value in new.model_dump(mode="json").items() if value is not None}
    content["space"] = values["space"]
    lines = [*_comments(run, ranking, leaders), *safe_yaml(content)]
    write_text(output, "\n".join(lines) + "\n")
    return output


def narrowed(space: Space, ranking: Board, leaders: Sequence[FitRecord]) -> dict[str, Hyperparameter]:
    """Return the space narrowed around the leaders; conditions and ties are kept.

    A condition keeps the values that the other hyperparameter still has. Where it can hold no more, the hyperparameter
    has the value `otherwise`, or goes with all that are tied to it.

    Arguments:
        space: of the sweep.
        ranking: board of the sweep.
        leaders: rows that decide, best first.
    """
    found: dict[str, Hyperparameter] = {}
    for name in in_order(space):
        form = space[name]
        if isinstance(form, Tied):
            if form.same_as in found:
                found[name] = form
            continue
        when = _left_of(form, found)
        if when is None:
            otherwise = getattr(form, "otherwise", None)
            if otherwise is not None:
                found[name] = [otherwise]
            continue
        drawn = [row for row in ranking.ranked if name in row.hyperparameters and holds(form, row.hyperparameters)]
        leading = [row for row in leaders if row in drawn]
        as_it_was = form if isinstance(form, Range | Values) else list(form)
        narrow = _narrow(name, form, drawn, leading, ranking) if leading else as_it_was
        found[name] = (
            narrow.model_copy(update={"when": when}) if isinstance(narrow, Range | Values) and when else narrow
        )
    return {name: found[name] for name in space if name in found}


def _left_of(form: Sequence[Choice] | Range | Values, found: Mapping[str, Hyperparameter]) -> dict[str, Any] | None:
    """Return the condition of a hyperparameter with the values that are left, {} for none; None: it cannot hold."""
    when = form.when if isinstance(form, Range | Values) else None
    left = {}
    for other, values in (when or {}).items():
        there = found.get(other)
        if there is None or isinstance(there, Tied):
            return None
        possible = [*(listed(there) or ()), getattr(there, "otherwise", None)]
        left[other] = [value for value in values if value in possible]
        if not left[other]:
            return None
    return left


def _narrow(
    name: str,
    form: Sequence[Choice] | Range | Values,
    drawn: Sequence[FitRecord],
    leading: Sequence[FitRecord],
    ranking: Board,
) -> Hyperparameter:
    values = listed(form)
    of_leaders = [row.hyperparameters[name] for row in leading]
    if values is None and isinstance(form, Range):
        low, high = _ends(form, of_leaders, [row.hyperparameters[name] for row in drawn])
        return form.model_copy(update={"low": low, "high": high})
    kept = [value for value in values or () if value in of_leaders or _may_be_as_good(name, value, drawn, ranking)]
    if isinstance(form, Range | Values) and form.when:
        return Values(values=kept, when=form.when, otherwise=form.otherwise)
    return kept


def _ends(form: Range, of_leaders: Sequence[float], tried: Sequence[float]) -> tuple[float, float]:
    """Return the ends around the leaders, wider by the mean gap between the values tried, in the logarithm for log."""
    to, back = (math.log, math.exp) if form.log else (float, float)
    gap = (to(form.high) - to(form.low)) / max(len(set(tried)), 1)
    low, high = back(to(min(of_leaders)) - gap), back(to(max(of_leaders)) + gap)
    if isinstance(form.low, int) and isinstance(form.high, int):
        low, high = math.floor(low), math.ceil(high)
    else:
        low, high = (float(f"{end:.6g}") for end in (low, high))
    return max(low, form.low), min(high, form.high)


def _may_be_as_good(name: str, value: Choice, drawn: Sequence[FitRecord], ranking: Board) -> bool:
    """Whether the best configuration with a value is not told apart from the leader, within the leader's error."""
    best = next((row for row in drawn if row.hyperparameters[name] == value), None)
    if best is None:
        return False
    leader = ranking.figure(ranking.ranked[0])
    return bool(abs(ranking.figure(best).value - leader.value) <= np.nan_to_num(leader.error))


def _plain(space: Mapping[str, Hyperparameter]) -> dict[str, Any]:
    """Return a space as a person writes it, without what is left at its default."""
    return {
        name: list(form) if isinstance(form, list) else form.model_dump(mode="json", exclude_defaults=True)
        for name, form in space.items()
    }


def _comments(run: Path, ranking: Board, leaders: Sequence[FitRecord]) -> list[str]:
    figures = ", ".join(f"trial {row.trial} {shown(ranking.figure(row))}" for row in leaders)
    return [
        f"{_MARK} from {run.resolve().name} ({len(ranking.rows)} of {ranking.planned} configurations).",
        f"# Around what leads in {ranking.objective.metric}: {figures}.",
        "# The seed is as it was, so that the test set is one that neither sweep has seen.",
    ]


def _check_output(output: Path) -> None:
    """Raise InputError unless the file is new or made by `refine`."""
    if output.is_dir():
        msg = f"{output} must be a file (it is a folder); name a YAML file"
        raise InputError(msg)
    if output.exists() and not output.read_bytes().startswith(_MARK.encode()):
        msg = f"{output} must be new or made by `townsend refine` (it holds something else); choose another name"
        raise InputError(msg)
