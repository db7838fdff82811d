"""Counting primary clusters in found peaks."""

from __future__ import annotations
