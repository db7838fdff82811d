"""Blocks of waveform files handed out to worker processes, which are always used: also one alone has one thread.

What to use when
----------------
- `plan_blocks`: all blocks of all files, each with the name of its output.
- `missing_blocks`, `run_blocks`: those that are not done; do them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.local import usable_cores
from townsend.engines.site import Site
from townsend.errors import InputError
from townsend.experiments.drifttube.reconstruction.blocks import Block
from townsend.experiments.drifttube.reconstruction.inputs import InputFile, ReconstructSettings
from townsend.experiments.drifttube.reconstruction.output import held, shard_path
from townsend.experiments.drifttube.reconstruction.shard import ShardWork

__all__ = ["BLOCK", "missing_blocks", "plan_blocks", "run_blocks"]

BLOCK = 1000
"""Waveforms of a block at most: about 10 MB with all that is made of them on the way."""

_BLOCK_SAMPLES = 1 << 23  # long waveforms come in smaller blocks
_POLL_S = 1.0


def plan_blocks(
    reconstruction: Path, seal: str, inputs: Sequence[InputFile], settings: ReconstructSettings, output: Path
) -> dict[Path, ShardWork]:
    """Return the work behind each file that `output` will hold, in order; no block reaches over two inputs."""
    found: dict[Path, ShardWork] = {}
    for index, file in enumerate(inputs):
        rows = max(1, min(BLOCK, _BLOCK_SAMPLES // file.samples))
        for start in range(0, file.waveforms, rows):
            block = Block(
                path=file.path,
                start=start,
                stop=min(start + rows, file.waveforms),
                polarity=settings.polarity,
                saturation_run=settings.saturation_run,
                scale=settings.scale,
            )
            work = ShardWork(reconstruction.absolute(), seal, settings.threshold, index, block, file.t0_ns)
            found[shard_path(output, len(found))] = work
    return found


def missing_blocks(works: Mapping[Path, ShardWork]) -> list[Path]:
    """Return the files of `plan_blocks` that are missing or damaged."""
    return [path for path, work in works.items() if held(path) != work.waveforms]


def run_blocks(
    works: Mapping[Path, ShardWork],
    missing: Sequence[Path],
    jobs: int | None,
    progress: Callable[[int, int], None],
    check: Callable[[], None] = lambda: None,
    site: Site | None = None,
) -> None:
    """Do the missing blocks.

    Arguments:
        works: of `plan_blocks`; missing: of `missing_blocks`.
        jobs: worker processes, >= 1; one for each usable core when None. Their logs are in `logs/` beside the blocks.
        progress: called with the numbers of waveforms done and in all, at the start and after each block.
        check: called again and again; raises when the work must end.
        site: batch system that works instead of this machine.

    Raises InputError when a block cannot be done; those that are done stay.
    """
    at_work = {path.name: path for path in missing}
    total = sum(work.waveforms for work in works.values())
    done = total - sum(works[path].waveforms for path in missing)
    progress(done, total)
    if not missing:
        return
    output = missing[0].parent.absolute()
    jobs = usable_cores() if jobs is None else jobs
    with open_engine(site, output, min(jobs, len(missing))) as engine:
        for name, path in at_work.items():
            engine.submit(_unit(works[path], name, output))
        while at_work:
            check()
            for message in engine.poll(_POLL_S):
                if message.news is News.PROGRESS:
                    continue
                path = at_work.pop(message.unit)
                if message.news is not News.DONE:
                    raise InputError(_failure(message, path, works[path]))
                done += works[path].waveforms
                progress(done, total)


def _unit(work: ShardWork, name: str, output: Path) -> WorkUnit:
    arguments = {**work.to_json(), "output": name}
    inputs = (str(work.reconstruction), str(work.block.path))
    return WorkUnit(name, "reconstruct_shard", arguments, output, inputs=inputs, outputs=(name,))


def _failure(message: Message, path: Path, work: ShardWork) -> str:
    if message.news is News.REFUSED:
        return message.detail
    if message.body.get("errno") == errno.ENOSPC:
        return f"the disk of {path.parent} must have room (it is full); make some and run the same command again"
    rows = f"waveforms {work.block.start} to {work.block.stop - 1} of {work.block.path}"
    what = f"{rows} could not be reconstructed ({message.detail}); see the logs in {path.parent}"
    if message.news is News.OUT_OF_MEMORY:
        return f"{what}: the memory did not suffice, repeat with fewer --jobs or a larger --request-memory"
    return f"{what}, mend and run the same command again"
