"""Which number means a primary, a secondary and a noise entry; truth from them; checks that the user was told right.

What to use when
----------------
- `find_meaning`: the meaning that the user named; there is no default, since public samples contradict each other.
- `Tally`: counts entries while files pass by; `Tally.check` refuses a meaning that they contradict.
- `truth_of`: electrons and clusters of tagged entries.

Assumption: the files name no cluster of a secondary, so it is given to the primary that arrived last before it, and to
the first one where none has. Diffusion mixes the electrons of neighbouring clusters, so sizes of clusters are poor; how
many there are is not touched. Charges, radii and the track are unknown (NaN).
"""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError, did_you_mean
from townsend.sample.waveforms import Truth

__all__ = ["MEANINGS", "Meaning", "Tagged", "Tally", "find_meaning", "truth_of"]

_MOST_SECONDARIES = 2  # to a primary; a single delta electron may make many in a small file
_ENOUGH = 100  # primaries after which the absence of secondaries is no chance: 8 % of the clusters in helium have some


@dataclass(frozen=True)
class Meaning:
    """What the tags 0, 1 and 2 stand for; `name` lists it in that order."""

    name: str
    primary: int
    secondary: int
    noise: int


MEANINGS = {
    "primary-secondary-noise": Meaning("primary-secondary-noise", 0, 1, 2),
    "noise-primary-secondary": Meaning("noise-primary-secondary", 1, 2, 0),
}
"""The first is that of the littlepi files as published, the second that of the ScienceDB files."""


@dataclass(frozen=True)
class Tagged:
    """Listed entries of n waveforms.

    Arguments:
        index: (n, ragged) sample of each, >= 0.
        tag: (n, ragged) 0, 1 or 2.
        clusters: (n,) number of primary clusters that the file gives, None where it gives none.
    """

    index: ak.Array
    tag: ak.Array
    clusters: NDArray[np.int64] | None


def find_meaning(name: str | None) -> Meaning:
    """Return the meaning of a name.

    Raises InputError where it is unknown, or none was given.
    """
    choice = " or ".join(f"--tags {known}" for known in MEANINGS)
    if name is None:
        rule = "what the tags 0, 1 and 2 mean must be said (got nothing), since public samples contradict each other"
        msg = f"{rule}; say {choice}"
        raise InputError(msg)
    if name not in MEANINGS:
        msg = f"tags must be one of the known meanings of 0, 1 and 2 (got {name}){did_you_mean(name, MEANINGS)}"
        raise InputError(msg)
    return MEANINGS[name]


def truth_of(tagged: Tagged, meaning: Meaning, sampling_rate_ghz: float) -> Truth:
    """Return electrons in order of arrival and their clusters; noise entries are left out."""
    number = ak.to_numpy(ak.num(tagged.index))
    row = np.repeat(np.arange(len(number)), number)
    index, tag = (ak.to_numpy(ak.flatten(column)) for column in (tagged.index, tagged.tag))
    electron = tag != meaning.noise
    row, index, secondary = row[electron], index[electron], tag[electron] == meaning.secondary
    order = np.lexsort((secondary, index, row))  # of equal times the primary comes first
    row, index, secondary = row[order], index[order], secondary[order]

    electrons = np.bincount(row, minlength=len(number))
    primaries = np.cumsum(~secondary)  # up to and with each electron, over all waveforms
    before = np.concatenate([[0], primaries])[np.cumsum(electrons) - electrons]  # those of earlier waveforms
    cluster = np.maximum(primaries - before[row] - 1, 0)

    clusters = np.bincount(row[~secondary], minlength=len(number))
    clusters = np.maximum(clusters, electrons > 0)  # secondaries alone are one cluster
    first = np.cumsum(clusters) - clusters
    sizes = np.bincount(first[row] + cluster, minlength=int(clusters.sum()))
    unknown = np.full(len(number), np.nan, np.float32)
    return Truth(
        electron_time_ns=ak.unflatten((index / sampling_rate_ghz).astype(np.float32), electrons),
        electron_cluster=ak.unflatten(cluster.astype(np.int32), electrons),
        electron_charge_fC=ak.unflatten(np.full(len(row), np.nan, np.float32), electrons),
        cluster_radius_cm=ak.unflatten(np.full(len(sizes), np.nan, np.float32), clusters),
        cluster_size=ak.unflatten(sizes.astype(np.int32), clusters),
        impact_cm=unknown,
        path_cm=unknown,
    )


@dataclass
class Tally:
    """Entries of each tag, and waveforms whose number of primaries is the one that the file gives.

    Arguments:
        entries: (3,) how many entries have tag 0, 1 and 2.
        waveforms: with a given number of clusters; agreeing: by meaning, those of them that agree.
        first: by meaning, sentence on the first waveform that does not.
    """

    entries: NDArray[np.int64]
    waveforms: int
    agreeing: dict[str, int]
    first: dict[str, str]

    @staticmethod
    def empty() -> Tally:
        """Return a tally of nothing."""
        return Tally(np.zeros(3, np.int64), 0, dict.fromkeys(MEANINGS, 0), {})

    def add(self, tagged: Tagged, place: str, start: int) -> None:
        """Count the entries of some waveforms, the first of which is number `start` of `place`."""
        self.entries += np.bincount(ak.to_numpy(ak.flatten(tagged.tag)), minlength=3)
        if tagged.clusters is None:
            return
        self.waveforms += len(tagged.clusters)
        for name, meaning in MEANINGS.items():
            found = ak.to_numpy(ak.sum(tagged.tag == meaning.primary, axis=1))
            differs = np.flatnonzero(found != tagged.clusters)
            self.agreeing[name] += len(tagged.clusters) - len(differs)
            if len(differs) and name not in self.first:
                i = int(differs[0])
                counted = f"{found[i]} entries of tag {meaning.primary} for {tagged.clusters[i]} clusters"
                self.first[name] = f"{counted} in entry {start + i} of {place}"

    def check(self, meaning: Meaning, clusters_branch: str | None) -> None:
        """Raise InputError where the entries contradict the meaning; sizes are those of clusters in helium."""
        primaries, secondaries, noise = (
            int(self.entries[kind]) for kind in (meaning.primary, meaning.secondary, meaning.noise)
        )
        said = f"with --tags {meaning.name} there are {primaries} primaries, {secondaries} secondaries, {noise} noise"
        if meaning.name in self.first:
            agreeing = f"{self.agreeing[meaning.name]} of {self.waveforms} waveforms"
            rule = f'"{clusters_branch}" must be the number of primaries'
            msg = f"{rule} ({self.first[meaning.name]}; {agreeing} agree); {self._remedy(meaning)}"
            raise InputError(msg)
        if secondaries > _MOST_SECONDARIES * primaries:
            rule = f"there must be at most {_MOST_SECONDARIES} secondaries to a primary, in helium there are 0.5"
            self._refuse(rule, said, meaning)
        if 0 < noise < primaries + secondaries:
            self._refuse("where noise is listed at all it must outnumber the electrons", said, meaning)
        if primaries >= _ENOUGH and secondaries == 0 < noise:
            self._refuse("some clusters must have secondaries", said, meaning)

    def _refuse(self, rule: str, said: str, meaning: Meaning) -> None:
        msg = f"{rule} ({said}); {self._remedy(meaning)}"
        raise InputError(msg)

    def _remedy(self, meaning: Meaning) -> str:
        (other,) = MEANINGS.keys() - {meaning.name}
        if self.waveforms and other not in self.first:
            return f"say --tags {other}, with which all of them agree"
        return f"say --tags {other} if that is meant, or set `check_tags: false` to take the file as it is"
