"""Gaussian fits against closed forms, pulls with fixed seeds, and what a bias would look like."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, norm, poisson

from townsend.errors import InputError
from townsend.evaluate.gaussian import GaussianFit, fit_gaussian, mixed_poisson, poisson_comparison, unit_edges

EDGES = np.linspace(-8, 8, 65)


def asimov(mean: float, sigma: float, edges: np.ndarray, entries: int) -> np.ndarray:
    """Values whose histogram is the Gaussian itself, to one entry a bin."""
    counts = np.rint(entries * np.diff(norm.cdf(edges, mean, sigma))).astype(int)
    return np.repeat(0.5 * (edges[1:] + edges[:-1]), counts)


def test_the_histogram_of_a_gaussian_gives_it_back() -> None:
    fit = fit_gaussian(asimov(0.3, 1.2, EDGES, 1_000_000), EDGES)
    assert fit.valid
    assert fit.mean.value == pytest.approx(0.3, abs=5e-4)  # entries are whole numbers
    assert fit.sigma.value == pytest.approx(1.2, abs=5e-4)
    assert fit.chi2 < 1
    assert fit.p == pytest.approx(1)


def test_errors_are_those_of_the_closed_form_where_bins_are_narrow() -> None:
    fit = fit_gaussian(asimov(0, 1, EDGES, 100_000), EDGES)
    assert fit.mean.error == pytest.approx(1 / math.sqrt(100_000), rel=0.01)  # sigma / sqrt(n)
    assert fit.sigma.error == pytest.approx(1 / math.sqrt(200_000), rel=0.02)  # sigma / sqrt(2 n), bins cost 1 %


def test_wide_bins_do_not_widen_the_gaussian() -> None:
    """The density at the centres would give sqrt(1 + 1/12), 4 % more."""
    edges = np.arange(-6, 7) + 0.37
    assert fit_gaussian(asimov(0, 1, edges, 1_000_000), edges).sigma.value == pytest.approx(1, abs=1e-3)


def test_a_cut_histogram_gives_the_whole_gaussian() -> None:
    fit = fit_gaussian(asimov(0, 1, EDGES, 1_000_000), EDGES[(EDGES >= -1) & (EDGES <= 2)])
    assert fit.share == pytest.approx(norm.cdf(2) - norm.cdf(-1), abs=1e-3)
    assert (fit.mean.value, fit.sigma.value) == (pytest.approx(0, abs=5e-3), pytest.approx(1, abs=5e-3))


def fits(number: int, size: int, mean: float, sigma: float) -> list[GaussianFit]:
    rng = np.random.default_rng(11)
    return [fit_gaussian(rng.normal(mean, sigma, size)) for _ in range(number)]


TOYS = fits(200, 2000, 18.04, 4.2)


def test_pulls_are_standard_normal() -> None:
    for name, true in (("mean", 18.04), ("sigma", 4.2)):
        pulls = np.array([(getattr(fit, name).value - true) / getattr(fit, name).error for fit in TOYS])
        assert abs(pulls.mean()) < 4 / math.sqrt(len(TOYS))
        assert abs(pulls.std() - 1) < 4 / math.sqrt(2 * len(TOYS))


def test_p_is_even_between_zero_and_one() -> None:
    assert kstest([fit.p for fit in TOYS], "uniform").pvalue > 1e-3


def test_a_bias_of_five_per_cent_would_be_caught() -> None:
    pulls = [(fit.mean.value - 1.05 * 18.04) / fit.mean.error for fit in TOYS]
    assert max(pulls) < -4
    widths = [(fit.sigma.value - 1.05 * 4.2) / fit.sigma.error for fit in fits(20, 20_000, 18.04, 4.2)]
    assert np.mean(widths) < -4


def test_what_is_no_gaussian_has_a_small_p() -> None:
    rng = np.random.default_rng(3)
    assert fit_gaussian(rng.exponential(5, 3000)).p < 1e-10
    assert fit_gaussian(rng.poisson(4, 30_000)).p < 1e-10  # small means are skewed


def test_far_outliers_widen_the_gaussian_and_leave_its_errors_sane() -> None:
    """The share of a bin at 40 sigma is zero in double precision, its logarithm is not."""
    values = np.append(np.random.default_rng(4).normal(15, 4, 2000), [220.0, 180.0, 175.5])
    fit = fit_gaussian(values)
    assert fit.valid
    assert fit.sigma.value == pytest.approx(values.std(), rel=0.01)
    assert fit.mean.error == pytest.approx(values.std() / math.sqrt(len(values)), rel=0.02)
    assert fit.p < 1e-10


@given(st.floats(-50, 50), st.floats(0.5, 20))
def test_the_fit_moves_and_stretches_with_the_numbers(shift: float, scale: float) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0, 1, 300)
    edges = np.linspace(-6, 6, 61)
    here, there = fit_gaussian(values, edges), fit_gaussian(shift + scale * values, shift + scale * edges)
    assert there.mean.value == pytest.approx(shift + scale * here.mean.value, abs=0.01 * scale)
    assert there.sigma.value == pytest.approx(scale * here.sigma.value, rel=0.02)


def test_the_expected_histogram_has_all_entries() -> None:
    fit = fit_gaussian(asimov(0.3, 1.2, EDGES, 5000), EDGES)
    assert fit.expected(EDGES).sum() == pytest.approx(fit.entries, rel=1e-3)
    centres = 0.5 * (EDGES[1:] + EDGES[:-1])
    assert fit.density(centres) * np.diff(EDGES) == pytest.approx(fit.expected(EDGES), rel=0.01, abs=0.3)


@pytest.mark.parametrize(
    ("values", "said"),
    [([1.0] * 100, "in 1"), ([1.0, 2.0], "at least 10"), ([math.nan] * 20, "20 that are not"), ([], "finite number")],
)
def test_what_cannot_be_fitted_is_refused(values: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        fit_gaussian(values)


def test_unit_edges_enclose_every_number() -> None:
    assert unit_edges([2, 4]).tolist() == [1.5, 2.5, 3.5, 4.5]
    edges = unit_edges([-0.2, 3.49], [3.5])
    assert (edges[0], edges[-1]) == (-0.5, 4.5)
    assert np.histogram([-0.2, 3.49, 3.5], edges)[0].sum() == 3


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.integers(1, 50))
def test_unit_edges_are_few_whatever_the_numbers(values: list[float], most: int) -> None:
    edges = unit_edges(values, most=most)
    assert len(edges) <= most + 1
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert np.ptp(np.diff(edges)) == 0
    assert np.diff(edges)[0] % 1 == 0


def test_poisson_counts_are_called_so_and_others_are_not() -> None:
    rng = np.random.default_rng(7)
    assert poisson_comparison(rng.poisson(18, 10_000)).verdict.ok
    wide = poisson_comparison(rng.poisson(rng.uniform(10, 20, 10_000)))
    assert not wide.verdict.ok
    assert wide.verdict.sentence.startswith("wider than Poisson")
    assert poisson_comparison(rng.binomial(36, 0.5, 10_000)).verdict.sentence.startswith("narrower than Poisson")
    assert poisson_comparison(rng.binomial(36, 0.5, 10_000)).dispersion.value == pytest.approx(0.5, abs=0.03)


def test_the_error_of_the_dispersion_is_its_scatter() -> None:
    rng = np.random.default_rng(8)
    found = [poisson_comparison(rng.poisson(15, 2000)).dispersion for _ in range(300)]
    scatter = np.std([figure.value for figure in found])
    assert np.mean([figure.error for figure in found]) == pytest.approx(scatter, rel=4 / math.sqrt(600))
    assert scatter == pytest.approx(math.sqrt(2 / 1999), rel=0.2)  # closed form for large means


def test_known_means_take_their_own_spread_out() -> None:
    rng = np.random.default_rng(9)
    means = rng.uniform(5, 25, 20_000)
    assert poisson_comparison(rng.poisson(means), means).verdict.ok
    assert not poisson_comparison(rng.poisson(1.05 * means), means).verdict.ok  # a density 5 % too high is seen
    with pytest.raises(InputError, match="one mean"):
        poisson_comparison([1, 2], [1, 0])


def test_too_few_counts_are_refused() -> None:
    with pytest.raises(InputError, match="at least two"):
        poisson_comparison([3])


def test_mixed_poisson_is_the_sum_of_its_parts() -> None:
    edges = np.arange(-2, 40) - 0.5
    found = mixed_poisson([3.0, 12.0], edges)
    numbers = np.arange(-2, 39)
    assert found == pytest.approx(poisson.pmf(numbers, 3) + poisson.pmf(numbers, 12))
    assert mixed_poisson(np.full(5000, 4.0), edges).sum() == pytest.approx(5000)
