"""Simulation of a drift tube, from the gas to the digitiser."""

from __future__ import annotations
