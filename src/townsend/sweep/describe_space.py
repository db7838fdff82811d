"""What a sweep would search, counted before anything is trained.

What to use when
----------------
- `space`: number of configurations, their work, and the largest model.
- `render_space`: that as a table and sentences.

No network is built: its parameters are counted by a formula, which a test compares with Keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from townsend.errors import ConfigError, printable
from townsend.networks.family import FAMILIES, parameters, shape_names, shortest_input
from townsend.sweep.brackets import check_space
from townsend.sweep.conditions import plain, related
from townsend.sweep.halving import bracket_shapes, mean_epochs
from townsend.sweep.hyperparameter import Choice, Range, Tied, Values, listed
from townsend.sweep.settings import SweepSettings
from townsend.sweep.space import grid_configurations, grid_size, space_size
from townsend.tasks.registry import find_task
from townsend.training.hyperparameters import shape_key
from townsend.training.losses import is_multiclass

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["SpaceSummary", "render_space", "space"]

_MOST_SHAPES = 100_000
_MOST_SHOWN = 12


@dataclass(frozen=True)
class SpaceSummary:
    """What a sweep would search.

    Arguments:
        hyperparameters: name -> its values, its range, its condition, in words.
        network: name of the family.
        sampler: how configurations are proposed.
        configurations: how many there are; None when a range makes them endless.
        trials: how many would be trained.
        fits: how many trainings that is: each on all folds, repeated with other seeds.
        epochs: passes through the training examples of all fits together, at most; what halving leaves of them.
        shapes: sets of equal array shapes among them, for each of which a process compiles one program; None when batch
            sizes come from a range.
        parameters: trainable ones of the largest model; None where the network is no family of ours.
        largest: hyperparameters that make it the largest.
        length: numbers in one input for which `parameters` hold; None when they hold for any.
        is_shortest: whether that length is the shortest possible, since none was given.
    """

    hyperparameters: Mapping[str, str]
    network: str
    sampler: str
    configurations: int | None
    trials: int
    fits: int
    epochs: int
    shapes: int | None
    parameters: int | None
    largest: Mapping[str, Any]
    length: int | None
    is_shortest: bool


def space(settings: SweepSettings, *, length: int | None = None) -> SpaceSummary:
    """Count what a sweep would search, without its sample.

    Arguments:
        settings: of the sweep.
        length: numbers in one input (samples of a window, bins), >= 1; needed for the size of a cnn, else its shortest.

    Raises ConfigError when the space cannot be trained, a grid is asked for more trials than it has configurations, or
    the network cannot take the length.
    """
    loss = find_task(settings.task).loss
    check_space(settings, loss)
    size = space_size(settings.space)
    trials = settings.trials or size or 1
    fits = trials * settings.folds * settings.repeats
    if settings.sampler == "grid" and size is not None and trials > size:
        msg = f"trials must be at most the grid's {size} configurations (got {trials}); leave `trials` out to do all"
        raise ConfigError(msg)
    of_family = settings.network in FAMILIES and not is_multiclass(loss)  # else its size is known once it is built
    shortest = shortest_input(settings.network) if of_family else None
    given = length or shortest or 1
    counted, largest = _largest(settings, given) if of_family else (None, {})
    shapes = _shapes(settings) if of_family else None
    return SpaceSummary(
        hyperparameters={name: _in_words(form) for name, form in settings.space.items()},
        network=settings.network,
        sampler=settings.sampler,
        configurations=size,
        trials=trials,
        fits=fits,
        epochs=round(_epochs(settings, trials) * settings.folds * settings.repeats),
        shapes=None if shapes is None else min(trials, shapes),
        parameters=counted,
        largest=largest,
        length=None if shortest is None else given,
        is_shortest=shortest is not None and length is None,
    )


def render_space(summary: SpaceSummary) -> RenderableType:
    """Return a table of the hyperparameters, and below it a sentence for each count."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table("hyperparameter", "values", box=None, pad_edge=False)
    for name, words in summary.hyperparameters.items():
        table.add_row(Text(printable(name)), Text(printable(words)))
    return Group(table, Text(), *(Text(printable(line)) for line in _sentences(summary)))


def _sentences(summary: SpaceSummary) -> Iterator[str]:
    size = "endless" if summary.configurations is None else f"{summary.configurations:,}"
    yield f"configurations: {size}; the sampler {summary.sampler} trains {summary.trials:,} of them"
    yield f"fits: {summary.fits:,} (trials x folds x repeats), of at most {summary.epochs:,} epochs together"
    if summary.shapes is not None:
        yield f"sets of array shapes: at most {summary.shapes:,}; a process compiles one program for each"
    which = ", ".join(f"{name} {value}" for name, value in summary.largest.items())
    inputs = "" if summary.length is None else f", for inputs of {summary.length:,} numbers"
    remedy = " (the shortest it takes; say --length for yours)" if summary.is_shortest else ""
    if summary.parameters is None:
        yield f"largest model: not known before it is built ({summary.network})"
        return
    yield f"largest model: {summary.parameters:,} parameters, {summary.network} with {which}{inputs}{remedy}"


def _largest(settings: SweepSettings, length: int) -> tuple[int, dict[str, Any]]:
    """Return the parameters of the largest model, and what makes it so; inputs have one channel."""
    shapes = grid_configurations(related(settings.space, shape_names(settings.network)), seed=0)
    sizes = [parameters(settings.network, shape, (length, 1)) for shape in shapes]
    largest = shapes[sizes.index(max(sizes))]
    return max(sizes), {name: largest[name] for name in shape_names(settings.network) if name in largest}


def _shapes(settings: SweepSettings) -> int | None:
    """Return the number of sets of array shapes; None when they come from a range or are too many to be counted."""
    names = shape_names(settings.network)
    deciding = related(settings.space, (*names, "batch_size"))
    if any(isinstance(of, Range) for of in plain(deciding).values()) or grid_size(deciding) > _MOST_SHAPES:
        return None
    return len({shape_key(configuration, names) for configuration in grid_configurations(deciding, seed=0)})


def _epochs(settings: SweepSettings, trials: int) -> float:
    """Return the passes through all training examples that one fit of each trial takes at most."""
    total = 0.0
    for shape in bracket_shapes(settings):
        size = min(shape.size, trials)
        total, trials = total + size * mean_epochs(shape, size, settings.epochs), trials - size
        if not trials:
            break
    return total


def _in_words(form: Sequence[Choice] | Range | Values | Tied) -> str:
    if isinstance(form, Tied):
        return f"same as {form.same_as}"
    values = listed(form)
    if values is not None:
        words = ", ".join(map(str, values[:_MOST_SHOWN]))
        words += f", ... ({len(values)} values)" if len(values) > _MOST_SHOWN else ""
    else:
        words = _interval(form)
    if not isinstance(form, Range | Values) or form.when is None:
        return words
    condition = " and ".join(f"{name} is {' or '.join(map(str, values))}" for name, values in form.when.items())
    otherwise = "left out" if form.otherwise is None else form.otherwise
    return f"{words} if {condition}, otherwise {otherwise}"


def _interval(form: Any) -> str:
    whole = isinstance(form.low, int) and isinstance(form.high, int)
    kind = "whole numbers " if whole else ""
    return f"{kind}{form.low:g} to {form.high:g}{', evenly in the logarithm' if form.log else ''}"
