"""Disjoint sets of waveforms: a set is made of whole waveforms, so no window is seen in two of them.

What to use when
----------------
- `split_groups`: named sets such as train, validation and test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError

__all__ = ["split_groups"]

_STREAM = 0x73706C69  # keeps this permutation apart from other uses of the same seed


def split_groups(groups: int | ArrayLike, fractions: Mapping[str, float], seed: int) -> dict[str, NDArray[np.int64]]:
    """Return name -> ascending groups, drawn at random without overlap.

    Arguments:
        groups: their number, for 0 ... number - 1, or their identifiers, where repeats count once.
        fractions: name -> share of the groups, each > 0, together at most 1; what is left over is in no set.
        seed: >= 0; the sets depend on it, the identifiers and the fractions, never on an order.

    Raises InputError when a fraction or the seed breaks its rule, or a set would be empty.
    """
    _check(fractions, seed)
    known = np.arange(groups) if isinstance(groups, int) else np.unique(np.asarray(groups))
    shuffled = np.random.default_rng([seed, _STREAM]).permutation(known.astype(np.int64))
    names = sorted(fractions)
    shares = np.array([math.fsum(fractions[name] for name in names[:count]) for count in range(len(names) + 1)])
    bounds = np.rint(np.minimum(shares, 1.0) * len(known)).astype(int)
    sets = {name: np.sort(shuffled[start:stop]) for name, start, stop in zip(names, bounds, bounds[1:], strict=False)}
    for name, members in sets.items():
        if len(members) == 0:
            got = f"got {len(known)} waveforms, {name} {fractions[name]:g} of them"
            msg = f'each set must get at least one waveform ({got}); read more waveforms or raise "{name}"'
            raise InputError(msg)
    return {name: sets[name] for name in fractions}


def _check(fractions: Mapping[str, float], seed: int) -> None:
    if seed < 0:
        msg = f"seed must be at least 0 (got {seed}); give another"
        raise InputError(msg)
    if not fractions:
        msg = "fractions must name at least one set (got none); name train, validation and test"
        raise InputError(msg)
    for name, share in fractions.items():
        if not 0 < share <= 1:
            msg = f"fractions must be > 0 and at most 1 (got {share} for {name}); change it or leave the set out"
            raise InputError(msg)
    total = math.fsum(fractions.values())
    if total > 1 + 1e-9:
        msg = f"fractions must add up to at most 1 (got {total:g} for {', '.join(fractions)}); lower one"
        raise InputError(msg)
