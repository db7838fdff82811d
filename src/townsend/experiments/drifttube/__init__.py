"""Drift tubes filled with helium and isobutane: simulation, peak finding, cluster counting.

What to use when
----------------
- `simulate.simulate_drifttube`: make waveforms with truth.
- `task.task`: train a network that finds the peaks of single electrons in them.
- `find_peaks.find_peaks`: apply a chosen network to waveforms, simulated or measured.
"""
