"""What commands say and show on a terminal, and how far they are.

What to use when
----------------
- `say`: a line. `show`: a table.
- `bar`, `total_bar`, `named_bar`: progress, on a terminal alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from townsend.errors import printable

__all__ = ["bar", "named_bar", "say", "show", "total_bar"]


def say(line: str) -> None:
    """Print a line; a name in it may come from anywhere and must not steer the terminal."""
    typer.echo(printable(line))


def show(renderable: Any) -> None:
    """Print a table, or what else rich can draw."""
    from rich.console import Console

    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console.width = 160
    console.print(renderable)


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to be called with how much more is done."""
    with _progress() as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def total_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to be called with how much is done, and of how much."""
    with _progress() as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def named_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield a function to be called with what is being done, how much of it, and of how much."""
    with _progress() as progress:
        task = progress.add_task("", total=None)
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)
