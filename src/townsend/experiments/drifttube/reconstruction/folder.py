"""A Reconstruction: finder, clusteriser and calibration that fit each other, in one folder that needs nothing else.

What to use when
----------------
- `load_reconstruction`: open one, networks and all; what a worker does.
- `check_reconstruction`: the same checks but for the networks themselves, without Keras; what comes before any work.
- `check_parts`: whether a finder and a clusteriser belong together.
- `townsend.experiments.drifttube.reconstruction.assemble`: make one.

The folder: `card.json` (sealed), `README.md`, `finder/` and `clusteriser/` with the model, `card.json` and
`README.md` as `townsend choose` left them, `calibration.npz` (predicted, truth, first_ns, impact_cm: what was fitted).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.config import parse
from townsend.errors import ConfigError, InputError
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
from townsend.experiments.drifttube.clusters.clusteriser import Clusteriser, load_clusteriser
from townsend.experiments.drifttube.peaks.finder import Finder, load_finder
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.experiments.drifttube.reconstruction.calibration import Calibration
from townsend.experiments.drifttube.reconstruction.first_arrival import first_arrival_ns
from townsend.files import read_sealed, sha256_of
from townsend.sample.waveforms import Waveforms
from townsend.sweep.chosen import model_file

__all__ = [
    "CARD_VERSION",
    "MADE_BY",
    "PARTS",
    "Counted",
    "Reconstruction",
    "ReconstructionCard",
    "check_parts",
    "check_reconstruction",
    "load_reconstruction",
]

MADE_BY = "townsend assemble"
CARD_VERSION = 1
PARTS = ("finder", "clusteriser")

_AGAIN = f"make it again with `{MADE_BY}`"


@dataclass(frozen=True)
class Counted:
    """What a reconstruction finds in n waveforms.

    Arguments:
        time_ns, score: (n, ragged) arrivals on the waveform's clock and scores of the found peaks.
        first_ns: (n,) first arrivals since the passage of the track, NaN where no peak was found.
        predicted: (n,) clusters before calibration.
        number, error: (n,) clusters after calibration, and their standard deviations.
    """

    time_ns: ak.Array
    score: ak.Array
    first_ns: NDArray[np.float32]
    predicted: NDArray[np.float32]
    number: NDArray[np.float32]
    error: NDArray[np.float32]


@dataclass(frozen=True)
class Reconstruction:
    """Both networks and their calibration, ready to be applied; `card` is the JSON-like card."""

    finder: Finder
    clusteriser: Clusteriser
    calibration: Calibration
    card: Mapping[str, Any]

    def __call__(self, waveforms: Waveforms, t0_ns: float, scale: float = 1.0) -> Counted:
        """Count the clusters of at least one waveform; what else is given with it changes nothing.

        Arguments:
            waveforms: at the sampling rate of the model.
            t0_ns: passage of the track on the waveform's clock.
            scale: factor on the voltage.

        Raises InputError when the sampling rate is another or a window does not fit.
        """
        time_ns, score = self.finder(waveforms, scale)
        predicted = self.clusteriser(time_ns, t0_ns)
        first_ns = first_arrival_ns(time_ns, t0_ns, self.clusteriser.facts.max_drift_ns)
        return Counted(time_ns, score, first_ns, predicted, *self.calibration.apply(predicted, first_ns))


@dataclass(frozen=True)
class ReconstructionCard:
    """What is known of a reconstruction without its networks.

    Arguments:
        seal: names the folder's whole contents: its card has the hashes of both networks.
        peak, cluster: facts that data must agree with.
        calibration: parameters.
        card: all the rest, JSON-like.
    """

    seal: str
    peak: PeakFacts
    cluster: ClusterFacts
    calibration: Calibration
    card: Mapping[str, Any]


def check_reconstruction(path: Path) -> ReconstructionCard:
    """Return the card of a reconstruction whose files are those that were assembled.

    Raises InputError when the folder is none, its card or a part was edited or exchanged, or parts do not fit.
    """
    card = _card(path)
    facts: list[dict[str, Any]] = []
    for part in PARTS:
        inner = read_sealed(path / part / "card.json")
        model = model_file(path / part)
        if not model.is_file():
            msg = f"{model} must exist; {_AGAIN}"
            raise InputError(msg)
        if sha256_of([model]) != card[part]["sha256"] or inner["seal"] != card[part]["card_seal"]:
            msg = f"{path / part} must hold the {part} that was assembled (its contents are another's); {_AGAIN}"
            raise InputError(msg)
        facts.append(inner["facts"])
    try:
        peak, cluster = parse(PeakFacts, facts[0]), parse(ClusterFacts, facts[1])
    except ConfigError as error:
        msg = f"{path} must have facts that this townsend knows ({error}); {_AGAIN}"
        raise InputError(msg) from None
    check_parts(path, peak, cluster, str(card["finder"]["sha256"]), float(card["finder"]["threshold"]))
    return ReconstructionCard(card["seal"], peak, cluster, Calibration.from_json(card["calibration"]), card)


def _card(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        msg = f"{path} must be a folder made by `{MADE_BY}` (there is none); check its name"
        raise InputError(msg)
    card = read_sealed(path / "card.json")
    if card.get("made_by") != MADE_BY:
        got = card.get("made_by", "another program")
        msg = f"{path} must be a folder made by `{MADE_BY}` (it is made by `{got}`); assemble it with a clusteriser"
        raise InputError(msg)
    if card.get("card_version") != CARD_VERSION:
        msg = f"{path} must have a card of version {CARD_VERSION} (got {card.get('card_version')}); {_AGAIN}"
        raise InputError(msg)
    return card


def load_reconstruction(path: Path, threshold: float | None = None) -> Reconstruction:
    """Open a folder made by `townsend assemble`; nothing outside it is read.

    Arguments:
        path: the folder.
        threshold: score of a peak, in place of the finder's own; the calibration does not hold for another.

    Raises InputError as `check_reconstruction`, and when a network is damaged or has layers that are not stock Keras.
    """
    known = check_reconstruction(path)
    finder = load_finder(path / "finder", known.card["finder"]["threshold"] if threshold is None else threshold)
    return Reconstruction(finder, load_clusteriser(path / "clusteriser"), known.calibration, known.card)


def check_parts(place: Path, peak: PeakFacts, cluster: ClusterFacts, finder_sha256: str, threshold: float) -> None:
    """Raise InputError unless the clusteriser was trained behind this finder.

    Arguments:
        place: of the clusteriser, for messages.
        peak, cluster: facts of both.
        finder_sha256: of the finder's model file, as `sha256_of` gives it; threshold: of the finder.
    """
    remedy = "sweep and choose a clusteriser behind this finder, or take the finder that it was trained behind"
    if cluster.finder_sha256 != finder_sha256:
        got = f"trained behind {cluster.finder_sha256[:12]}, the finder is {finder_sha256[:12]}"
        msg = f"{place} must have been trained on the peaks of this finder ({got}); {remedy}"
        raise InputError(msg)
    for name, mine, its in (
        ("sampling rate", cluster.sampling_rate_ghz, peak.sampling_rate_ghz),
        ("threshold", cluster.finder_threshold, threshold),
    ):
        if mine != its:
            rule = f"{place} must have been trained at the finder's {name}"
            msg = f"{rule} (got {mine:g}, the finder's is {its:g}); {remedy}"
            raise InputError(msg)
