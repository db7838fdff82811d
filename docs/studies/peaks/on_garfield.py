"""Apply a chosen finder to induced currents of real Garfield++ and to townsend's own, on the same kind of tracks.

    python docs/studies/peaks/on_garfield.py MODEL

Both get the amplifier, noise and ADC of the default simulation; tracks cross the tube at uniform impact parameter.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import awkward as ak
import numpy as np

from townsend.evaluate.bootstrap import bootstrap_figures
from townsend.experiments.drifttube.peaks.figures_of_merit import PEAK_FIGURES, FoundPeaks, TruthList, count_matches
from townsend.experiments.drifttube.peaks.finder import Finder, load_finder
from townsend.experiments.drifttube.peaks.matching import merge_arrivals
from townsend.experiments.drifttube.reading.garfield_file import read_garfield
from townsend.experiments.drifttube.reading.garfield_signals import garfield_waveforms
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, TrackSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_waveforms
from townsend.sample.waveforms import Waveforms

SHIPPED = Path(str(files("townsend"))) / "experiments" / "drifttube" / "reference"
REFERENCE = SHIPPED / "waveforms_mu10GeV_45deg_250ev.npz"
SETTINGS = DriftTubeSettings(track=TrackSettings(impact="uniform", impact_max_cm=0.399))


def garfield(reference: Path = REFERENCE) -> Waveforms:
    """The reference currents behind our amplifier, noise and ADC."""
    return garfield_waveforms(read_garfield(reference), SETTINGS)


def figures(finder: Finder, waveforms: Waveforms) -> str:
    """Figures of found peaks against resolvable arrivals, with errors by resampling waveforms."""
    truth, facts = waveforms.truth, finder.facts
    row = np.repeat(np.arange(len(waveforms)), ak.to_numpy(ak.num(truth.electron_time_ns)))
    time_ns, charge_fC = (
        ak.to_numpy(ak.flatten(column)).astype(float) for column in (truth.electron_time_ns, truth.electron_charge_fC)
    )
    visible = charge_fC > facts.visible_fC
    arrivals = merge_arrivals(row[visible], time_ns[visible], charge_fC[visible], facts.double_pulse_ns)
    found_ns, _ = finder(waveforms)
    found = FoundPeaks(
        np.repeat(np.arange(len(waveforms)), ak.to_numpy(ak.num(found_ns))), ak.to_numpy(ak.flatten(found_ns))
    )
    counts = count_matches(found, TruthList(*arrivals, len(waveforms)), facts.tolerance_ns)
    judged = bootstrap_figures(counts, PEAK_FIGURES)
    largest_mV = np.median(waveforms.millivolts().max(axis=1))
    shown = ", ".join(f"{name} {value:.3f} +- {error:.3f}" for name, (value, error) in judged.items())
    return f"{shown}; {counts[:, 2].mean():.1f} arrivals a waveform, largest sample {largest_mV:.1f} mV (median)"


def main() -> None:
    finder = load_finder(Path(sys.argv[1]))
    print("Garfield++:", figures(finder, garfield()))
    print("townsend:  ", figures(finder, simulate_waveforms(SETTINGS, 0, 2000)))


if __name__ == "__main__":
    main()
