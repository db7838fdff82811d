"""Samples that several tests share; not to be changed."""

from __future__ import annotations

import pytest

from townsend.experiments.gluex.columns import Columns, eta_decays, gun_tracks
from townsend.experiments.gluex.settings import EtaSettings, GluexSettings


@pytest.fixture(scope="session")
def nominal() -> Columns:
    """Two hundred thousand single tracks."""
    return gun_tracks(GluexSettings(seed=11), 0, 200_000)


@pytest.fixture(scope="session")
def tuned() -> Columns:
    """The same of the tuned setting."""
    return gun_tracks(GluexSettings(seed=11, setting="tuned"), 0, 200_000)


@pytest.fixture(scope="session")
def decays() -> Columns:
    """Thirty thousand decays, as many to electrons as to pions."""
    return eta_decays(GluexSettings(seed=12, eta=EtaSettings(pions_per_electron_pair=1.0)), 0, 30_000)
