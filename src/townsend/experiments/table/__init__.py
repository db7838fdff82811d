"""Tables of events: the user's own columns, in ROOT, Parquet or CSV."""

from __future__ import annotations
