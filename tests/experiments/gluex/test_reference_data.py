"""The reference files hold what their provenance says."""

from __future__ import annotations

import numpy as np

from townsend.experiments.gluex.reference_cuts import passes_cuts
from townsend.experiments.gluex.reference_data import published_histogram, ten_rows
from townsend.experiments.gluex.response import INPUTS


def test_the_ten_rows_are_those_of_the_slides():
    rows = ten_rows()
    assert set(rows) == {*INPUTS, "label", *(f"{n}_{w}" for n in ("scikit", "keras") for w in ("prob_lep", "label"))}
    assert rows["label"].sum() == 5
    assert rows["p"][3] == 5.825788
    assert rows["dE_FCAL"][-1] == 0.436846
    # One has energy in one calorimeter at most: forward below 11 degrees, but for the electron in the gap.
    assert not np.any((rows["dE_FCAL"] > 0) & (rows["dE_BCAL_preshower"] > 0))
    # The cuts lose the electron in the gap and take the pion of 0.66 GeV for one; the network is right on that pion.
    np.testing.assert_array_equal(np.flatnonzero(passes_cuts(rows) != rows["label"]), [0, 5])


def test_published_histograms_have_an_edge_more_than_bins():
    for name, entries in (("fcal_ep", 194_199), ("bcal_ep", 23_226)):
        edges, counts = published_histogram(name)
        assert len(edges) == len(counts) + 1
        assert np.all(np.diff(edges) > 0)
        assert counts.sum() == entries
