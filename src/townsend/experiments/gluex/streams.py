"""Random numbers that do not depend on how the work is cut.

Rows are made in blocks of `BLOCK` consecutive numbers. Every step of a block draws from its own counter-based stream
(Philox), named by seed, step and block. A shard that needs part of a block makes it whole and keeps its part, so row i
of seed s is the same in every cut; and a change of one step leaves the draws of the others alone.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np

__all__ = ["BLOCK", "Streams", "streams"]

BLOCK = 5000

Streams = Callable[[str], np.random.Generator]
"""Name of a step -> its generator; ask once a step."""


def streams(seed: int, sample: str, block: int) -> Streams:
    """Return the generators of one block of a sample (`gun` or `eta`)."""

    def stream(step: str) -> np.random.Generator:
        name = np.random.SeedSequence(entropy=seed, spawn_key=(crc32(f"{sample} {step}".encode()), block))
        return np.random.Generator(np.random.Philox(name))

    return stream
