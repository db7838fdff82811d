"""Pictures of results: one function a figure."""

from __future__ import annotations
