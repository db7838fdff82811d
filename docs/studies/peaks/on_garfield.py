"""Apply a chosen finder to induced currents of real Garfield++ and to townsend's own, on the same kind of tracks.

    python docs/studies/peaks/on_garfield.py MODEL

Both get the amplifier, noise and ADC of the default simulation; tracks cross the tube at uniform impact parameter.
"""

from __future__ import annotations

import sys
from pathlib import Path

import awkward as ak
import numpy as np

from townsend.evaluate.bootstrap import bootstrap_figures
from townsend.experiments.drifttube.figures_of_merit import PEAK_FIGURES, FoundPeaks, TruthList, count_matches
from townsend.experiments.drifttube.finder import Finder, load_finder
from townsend.experiments.drifttube.matching import merge_arrivals
from townsend.experiments.drifttube.noise import amplitude_spectrum, draw_noise
from townsend.experiments.drifttube.settings import DriftTubeSettings, TrackSettings
from townsend.experiments.drifttube.signal import ELEMENTARY_CHARGE_FC, low_pass
from townsend.experiments.drifttube.simulate import digitize, simulate_waveforms
from townsend.sample.waveforms import Truth, Waveforms

REFERENCE = Path(__file__).parents[3] / "tests" / "data" / "waveforms_mu10GeV_45deg_250ev.npz"
SETTINGS = DriftTubeSettings(track=TrackSettings(impact="uniform", impact_max_cm=0.399))
FINE = 50  # steps a sample, to integrate the amplifier over the 1 ns bins of the currents


def garfield(reference: Path = REFERENCE) -> Waveforms:
    """The reference currents behind our amplifier, noise and ADC."""
    digitizer, pretrigger = SETTINGS.digitizer, int(SETTINGS.digitizer.pretrigger_ns)
    with np.load(reference) as file:
        current_uA = -file["total_fC_per_ns"].astype(float)
        event, arrival = file["el_event"], file["el_arrival_ns"].astype(float)
        charge = file["el_avalanche"].astype(float) * ELEMENTARY_CHARGE_FC
        impact_cm, path_cm = file["impact_cm"], file["path_cm"]
    steps = np.arange(digitizer.samples * FINE) / FINE
    kernel = low_pass(steps + 0.5 / FINE, SETTINGS.electronics).reshape(-1, FINE).mean(axis=1)
    signal_mV = np.zeros((len(current_uA), digitizer.samples))
    for k, weight in enumerate(kernel):
        signal_mV[:, k + 1 :] += weight * current_uA[:, : digitizer.samples - k - 1]
    signal_mV *= SETTINGS.electronics.transimpedance_mV_per_uA
    delayed_mV = np.zeros_like(signal_mV)
    delayed_mV[:, pretrigger:] = signal_mV[:, :-pretrigger]
    amplitude = amplitude_spectrum(SETTINGS.noise, digitizer)
    noise_mV = draw_noise(amplitude, len(delayed_mV), digitizer.samples, np.random.default_rng(1))

    order = np.lexsort((arrival, event))
    number = np.bincount(event, minlength=len(delayed_mV))
    nothing = ak.unflatten(np.zeros(0, np.float32), np.zeros(len(delayed_mV), int))
    like = simulate_waveforms(SETTINGS, 0, len(delayed_mV))
    truth = Truth(
        electron_time_ns=ak.unflatten(arrival[order] + pretrigger, number),
        electron_cluster=nothing,
        electron_charge_fC=ak.unflatten(charge[order], number),
        cluster_radius_cm=nothing,
        cluster_size=nothing,
        impact_cm=impact_cm,
        path_cm=path_cm,
    )
    fields = {name: value for name, value in vars(like).items() if name not in ("samples", "truth")}
    return Waveforms(samples=digitize(delayed_mV + noise_mV, digitizer), truth=truth, **fields)


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
