"""Folds: a sample dealt to k equal parts, each of which selects once while the others train.

What to use when
----------------
- `stratified_folds`: the part of each waveform or event; every part holds the same mixture.
- `fold_sets`: the sets of one fold, or of a last training on all that is not test, from those of `split_groups`.

The test set is outside all folds: no fit of any fold sees it, and no choice among them does (a nested estimate; Varma
and Simon, BMC Bioinformatics 7 (2006) 91).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError

__all__ = ["fold_sets", "stratified_folds"]

_STREAM = 0x666F6C64  # keeps this deal apart from other uses of the same seed

Rows = NDArray[np.int64]


def stratified_folds(strata: ArrayLike, of: int, seed: int) -> Rows:
    """Return (groups,) the fold of each group, 0 ... of - 1.

    Groups are sorted by value, equals in an order drawn from the seed; each block of `of` neighbours is dealt one to a
    fold. So folds differ by at most one in their size, and by at most one in how many groups they hold up to any value:
    they have the same distribution, of a class label as of a number.

    Arguments:
        strata: (groups,) what must be distributed alike, one value a group: a class label or a number.
        of: folds, from 2 to the number of groups.
        seed: >= 0.

    Raises InputError when there are fewer groups than folds.
    """
    values = np.asarray(strata)
    if not 2 <= of <= len(values):
        rule = f"folds must be 2 at least and at most the {len(values)} waveforms that are not test"
        msg = f"{rule} (got {of}); lower `folds` or take a larger sample"
        raise InputError(msg)
    random = np.random.default_rng([seed, _STREAM])
    shuffled = random.permutation(len(values))
    ascending = shuffled[np.argsort(values[shuffled], kind="stable")]
    blocks = -(-len(values) // of)
    dealt = random.permuted(np.tile(np.arange(of), (blocks, 1)), axis=1).ravel()
    folds = np.empty(len(values), np.int64)
    folds[ascending] = dealt[: len(values)]
    return folds


def fold_sets(
    sets: Mapping[str, Rows], strata: Callable[[Rows], ArrayLike], index: int | None, of: int, seed: int
) -> dict[str, Rows]:
    """Return train, validation and test of one fold, each ascending; test is as it was.

    Arguments:
        sets: disjoint groups of train, validation and test, as `split_groups` draws them.
        strata: groups -> what must be distributed alike, one value a group.
        index: the part that selects; None: none does, and validation, as it was, is a part of train.
        of, seed: as in `stratified_folds`.

    Raises InputError when there are fewer groups than folds.
    """
    known = np.sort(np.concatenate([sets["train"], sets["validation"]]))
    if index is None:
        return {"train": known, "validation": sets["validation"], "test": sets["test"]}
    selects = stratified_folds(strata(known), of, seed) == index
    return {"train": known[~selects], "validation": known[selects], "test": sets["test"]}
