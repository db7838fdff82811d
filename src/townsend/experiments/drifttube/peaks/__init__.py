"""Finding the arrivals of electrons in waveforms."""

from __future__ import annotations
