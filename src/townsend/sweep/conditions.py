"""In which order the hyperparameters of a space are settled, and which of them are there.

What to use when
----------------
- `in_order`: names, each behind those it depends on; refuses names, values and cycles that make no sense.
- `is_conditional`: does any hyperparameter depend on another?
- `decisive`: the names on whose values a condition depends.
- `holds`: is a hyperparameter's condition met?
- `configure`: one configuration, asking for a value only where one is needed.
- `plain`: all that may be drawn, as lists and ranges without conditions, for a sampler that knows no more.
- `related`: the part of a space that decides some of its hyperparameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from townsend.errors import ConfigError, did_you_mean
from townsend.sweep.hyperparameter import Choice, Range, Space, Tied, Values, listed

__all__ = ["Drawn", "configure", "decisive", "holds", "in_order", "is_conditional", "plain", "related"]

Drawn = Sequence[Choice] | Range
"""What a value is drawn from."""


def in_order(space: Space) -> list[str]:
    """Return the names, each behind those it depends on, otherwise in the order of the space.

    Raises ConfigError when a hyperparameter depends on an unknown name or on itself, when a condition is on a range or
    a tied one, or asks for a value that the other one never has.
    """
    for name in space:
        _check(name, space)
    order: list[str] = []
    left = list(space)
    while left:
        free = next((name for name in left if all(other in order for other in _needs(space[name]))), None)
        if free is None:
            circle = _circle(space, left)
            msg = f"space.{circle[0]} must not depend on itself (got a circle of {', '.join(circle)}); cut it somewhere"
            raise ConfigError(msg)
        order.append(free)
        left.remove(free)
    return order


def is_conditional(space: Space) -> bool:
    """Whether any hyperparameter depends on another."""
    return any(_needs(form) for form in space.values())


def decisive(space: Space) -> set[str]:
    """Return the names on whose values a condition depends."""
    return {other for form in space.values() if not isinstance(form, Tied) for other in _needs(form)}


def configure(space: Space, choose: Callable[[str, Drawn], Any]) -> dict[str, Any]:
    """Return one configuration, its names in the order of the space.

    Arguments:
        space: checked by `in_order`.
        choose: (name, what it is drawn from) -> value; asked in the order of `in_order`, and only for a hyperparameter
            whose condition holds and that is not tied.
    """
    if not is_conditional(space):
        return {name: choose(name, of) for name, of in plain(space).items()}
    found: dict[str, Any] = {}
    for name in in_order(space):
        form = space[name]
        if isinstance(form, Tied):
            if form.same_as in found:
                found[name] = found[form.same_as]
        elif holds(form, found):
            found[name] = choose(name, _drawn(form))
        elif isinstance(form, Range | Values) and form.otherwise is not None:
            found[name] = form.otherwise
    return {name: found[name] for name in space if name in found}


def plain(space: Space) -> dict[str, Drawn]:
    """Return all that may be drawn, in the order of the space: what `configure` may ask for, conditions left aside."""
    return {name: _drawn(form) for name, form in space.items() if not isinstance(form, Tied)}


def holds(form: Sequence[Choice] | Range | Values, found: Mapping[str, Any]) -> bool:
    """Whether the condition of a hyperparameter holds in a configuration; a name that is left out has no value."""
    when = form.when if isinstance(form, Range | Values) else None
    return all(name in found and found[name] in values for name, values in (when or {}).items())


def related(space: Space, names: Iterable[str]) -> Space:
    """Return the part of the space that holds `names` and all they depend on; names it does not hold are left aside."""
    wanted: set[str] = set()
    new = {name for name in names if name in space}
    while new:
        wanted |= new
        new = {other for name in new for other in _needs(space[name])} - wanted
    return {name: form for name, form in space.items() if name in wanted}


def _circle(space: Space, left: Sequence[str]) -> list[str]:
    """Return names that depend on one another in a circle; each of `left` depends on another one of them."""
    way = [left[0]]
    while len(set(way)) == len(way):
        way.append(next(other for other in _needs(space[way[-1]]) if other in left))
    return way[way.index(way[-1]) : -1]


def _drawn(form: Sequence[Choice] | Range | Values) -> Drawn:
    values = listed(form)
    if values is not None:
        return values
    return Range(low=form.low, high=form.high, log=form.log) if isinstance(form, Range) else []


def _needs(form: Sequence[Choice] | Range | Values | Tied) -> tuple[str, ...]:
    if isinstance(form, Tied):
        return (form.same_as,)
    return tuple(form.when or ()) if isinstance(form, Range | Values) else ()


def _check(name: str, space: Space) -> None:
    form = space[name]
    for other in _needs(form):
        if other not in space:
            known = [each for each in space if each != name]
            msg = f'space.{name} must depend on a name of the space (got "{other}"){did_you_mean(other, known)}'
            raise ConfigError(msg)
        if other == name:
            msg = f'space.{name} must not depend on itself (got "{other}"); name another hyperparameter'
            raise ConfigError(msg)
    if isinstance(form, Range | Values):
        for other, values in (form.when or {}).items():
            _check_condition(name, other, values, space[other])


def _check_condition(
    name: str, other: str, values: Sequence[Choice], form: Sequence[Choice] | Range | Values | Tied
) -> None:
    where = f"space.{name}.when.{other}"
    if isinstance(form, Tied):
        msg = f'{where} must be on the original (got a name tied to "{form.same_as}"); name that one'
        raise ConfigError(msg)
    possible = listed(form)
    if possible is None:
        msg = f"{where} must be on a list of values (got a range); list the values of {other} or give it a step"
        raise ConfigError(msg)
    otherwise = form.otherwise if isinstance(form, Range | Values) else None
    for value in values:
        if value not in possible and (otherwise is None or value != otherwise):
            shown = ", ".join(str(each) for each in possible[:10])
            msg = f"{where} must list values that {other} has (got {value!r}); it has {shown}"
            raise ConfigError(msg)
