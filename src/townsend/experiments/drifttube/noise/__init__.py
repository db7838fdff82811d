"""Noise measured on traces."""

from __future__ import annotations
