"""Finding a task by name without importing every experiment."""

from __future__ import annotations

from importlib.metadata import entry_points

from townsend.errors import InputError, did_you_mean
from townsend.tasks.base import Task

__all__ = ["GROUP", "find_task"]

GROUP = "townsend.tasks"


def find_task(name: str) -> Task:
    """Return the task registered under `name`.

    Raises InputError, naming the nearest known task, when there is none.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        msg = f'task must be an installed one (got "{name}"){did_you_mean(name, known)}'
        raise InputError(msg)
    task: Task = known[name].load()
    return task
