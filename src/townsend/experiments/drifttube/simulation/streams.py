"""Random numbers that do not depend on how the work is cut.

Tracks are made in blocks of `BLOCK` consecutive numbers. Every step of a block draws from its own counter-based
stream (Philox), named by seed, step and block. A shard that needs part of a block makes it whole and keeps its part,
so track i of seed s is the same in every cut; and a change of one step leaves the draws of the others alone.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

__all__ = ["BLOCK", "stream"]

BLOCK = 250


def stream(seed: int, step: str, block: int) -> np.random.Generator:
    """Return the generator of one step of one block of tracks."""
    name = np.random.SeedSequence(entropy=seed, spawn_key=(crc32(step.encode()), block))
    return np.random.Generator(np.random.Philox(name))
