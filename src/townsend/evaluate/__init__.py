"""Figures of merit with their errors, and verdicts on whether to believe them."""

from __future__ import annotations
