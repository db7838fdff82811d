"""Samples on disk and in memory.

What to use when
----------------
- `waveforms`: `Waveforms`, what every reader returns and every finder takes; `Truth`, what simulation adds.
- `provenance`: settings, seed and versions that made a file.
- `reader`: any traces, whatever the format: `read_waveforms` for a file, `read_sample` for a folder of shards.
- `root_io`, `npz_io`: one format each; ROOT holds everything, NPZ is read only.
- `table`: `Table`, named features, classes and weights of events.
- `columns`: the columns of ROOT, Parquet and CSV files, piece by piece; `column_writer`: such files written.
- `expression`: cuts, features and weights in a small safe language.
- `splits`: disjoint sets by waveform.
- `resample`: to another sampling rate without aliasing.

Nothing is imported here, so that a program pays only for what it uses.
"""

from __future__ import annotations
