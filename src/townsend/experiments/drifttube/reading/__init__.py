"""Waveforms of other programs, public or one's own.

What to use when
----------------
- `read`: files of any of them to a sample folder (`townsend read`).
- `layouts`: the trees of the public samples, `littlepi` and `sciencedb`; `foreign`: their entries in memory.
- `tags`: what the tags in them mean, and the checks that the user was told right.
- `write`: our waveforms in those layouts, for the public codes.
- `garfield_file`: induced currents of Garfield++; `garfield_signals`: electronics behind them.

Nothing is imported here.
"""

from __future__ import annotations
