"""Tasks: what the engine knows of an experiment.

What to use when
----------------
- `base`: the protocol and the arrays, to write a task.
- `registry.find_task`: a task by its installed name.
"""
