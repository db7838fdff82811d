"""Drift tubes filled with helium and isobutane: simulation, peak finding, cluster counting.

What to use when
----------------
- `simulation`: waveforms with truth, from the gas to the digitiser; `validation` compares them with Garfield++.
- `noise`: measure it on traces; `reading`: samples of other programs.
- `peaks`: a network that finds the arrivals of single electrons; `clusters`: one that counts primary clusters in them.
- `reconstruction`: both, calibrated, on data; `report`: one page about all of it.
"""
