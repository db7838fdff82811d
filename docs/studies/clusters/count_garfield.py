"""Apply a Reconstruction to induced currents of real Garfield++ and to townsend's own, on the same kind of tracks.

    python docs/studies/clusters/count_garfield.py RECONSTRUCTION [WAVEFORMS.npz]

Both get the amplifier, noise and ADC of the default simulation; tracks cross the tube at uniform impact parameter.
WAVEFORMS.npz has the keys of the shipped reference file of 250 events, which is taken where none is named.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "peaks"))

from on_garfield import REFERENCE, SETTINGS, garfield

from townsend.evaluate.regression import regression_figures
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.reconstruction.folder import Reconstruction, load_reconstruction
from townsend.experiments.drifttube.simulation.simulate import simulate_waveforms
from townsend.sample.waveforms import Waveforms


def figures(reconstruction: Reconstruction, waveforms: Waveforms) -> str:
    """Figures after calibration over all waveforms and near the wire, with errors by resampling waveforms."""
    clusters = clusters_in_record(waveforms.truth, waveforms.samples.shape[1] / waveforms.sampling_rate_ghz)
    counted = reconstruction(waveforms, waveforms.t0_ns)
    impact_cm = np.abs(waveforms.truth.impact_cm)
    lines = [f"{len(clusters)} waveforms, {np.mean(clusters):.2f} clusters"]
    for name, low, high in (("all", 0, 1), ("|b| < 0.08 cm", 0, 0.08), *_thirds()):
        inside = (impact_cm >= low) & (impact_cm < high)
        judged = regression_figures(counted.number[inside], clusters[inside], np.flatnonzero(inside))
        shown = ", ".join(f"{key} {judged[key].value:.3f} +- {judged[key].error:.3f}" for key in ("mse", "r2"))
        bias = judged["relative_bias"]
        lines.append(f"  {name}: bias {100 * bias.value:+.2f} +- {100 * bias.error:.2f} %, {shown}")
    pull = (counted.number - clusters) / counted.error
    lines.append(f"  pulls: mean {pull.mean():+.3f}, width {pull.std():.3f}")
    return "\n".join(lines)


def _thirds() -> list[tuple[str, float, float]]:
    edges = np.linspace(0, 0.4, 4)
    return [(f"|b| {low:.3f} to {high:.3f} cm", low, high) for low, high in pairwise(edges)]


def main() -> None:
    reconstruction = load_reconstruction(Path(sys.argv[1]))
    reference = Path(sys.argv[2]) if len(sys.argv) > 2 else REFERENCE
    print("Garfield++:", figures(reconstruction, garfield(reference)))
    own = simulate_waveforms(SETTINGS.model_copy(update={"seed": 4242}), 0, 10000)
    print("townsend:", figures(reconstruction, own))


if __name__ == "__main__":
    main()
