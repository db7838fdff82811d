"""Whether numbers are distributed as a Gaussian, or as Poisson says, and with which mean and width.

What to use when
----------------
- `fit_gaussian`: mean and width with errors, and how well a Gaussian describes the histogram.
- `unit_edges`: bins of width one around the whole numbers, for counts and for predictions of counts.
- `poisson_comparison`: whether counts spread as much as independent events of one mean do.
- `mixed_poisson`: the counts expected where the mean differs from example to example (tracks of other lengths).

The fit is binned, by maximum likelihood, and compares each bin with the *integral* of the Gaussian over it. A chi2 fit
would drop or bias the bins with few entries (S. Baker and R. D. Cousins, NIM 221 (1984) 437), and the density at the
centre of a bin would widen counts by 1/12 of the squared bin width. Chi2 is computed afterwards, to test the fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.verdict import Verdict
from townsend.tasks.base import Metric

__all__ = [
    "GaussianFit",
    "PoissonComparison",
    "fit_gaussian",
    "mixed_poisson",
    "poisson_comparison",
    "unit_edges",
]

Floats = NDArray[np.float64]

_FEWEST = 10
_LEAST_EXPECTED = 5.0  # entries of a bin below which chi2 is a poor approximation; such bins are merged
_STANDARD_DEVIATIONS = 3.0
_TINY = 1e-300  # in place of a share that is nothing


@dataclass(frozen=True)
class GaussianFit:
    """A Gaussian fitted to a histogram.

    Arguments:
        mean, sigma: with errors of one standard deviation from the likelihood's curvature.
        chi2, ndf: Pearson's, bins merged until each expects 5 entries; ndf is 0 where too few bins remain.
        p: chance of a chi2 as large or larger; NaN where ndf is 0.
        entries: numbers inside the bins; share: of the whole Gaussian that they are, 1 where none was left out.
        valid: whether the minimum was found and its errors may be believed.
    """

    mean: Metric
    sigma: Metric
    chi2: float
    ndf: int
    p: float
    entries: int
    share: float
    valid: bool

    def density(self, x: ArrayLike) -> Floats:
        """Return entries per unit at `x`."""
        pull = (np.asarray(x, np.float64) - self.mean.value) / self.sigma.value
        height = self.entries / (self.share * self.sigma.value * math.sqrt(2 * math.pi))
        return np.asarray(height * np.exp(-0.5 * pull**2))

    def expected(self, edges: ArrayLike) -> Floats:
        """Return the (bins,) entries that the Gaussian predicts between `edges`."""
        shares = np.diff(_cumulative(edges, self.mean.value, self.sigma.value))
        return np.asarray(self.entries / self.share * shares)


def unit_edges(*columns: ArrayLike, most: int = 500) -> Floats:
    """Return edges at half numbers that enclose all finite values of the columns.

    Bins are of width one, or of a larger whole width where they would be more than `most`. Raises InputError when there
    is no finite value.
    """
    values = np.concatenate([np.asarray(column, np.float64).reshape(-1) for column in columns])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        msg = "values must hold at least one finite number (got none); give some"
        raise InputError(msg)
    low, high = math.floor(values.min() + 0.5), math.floor(values.max() + 0.5)
    width = -(-(high - low + 1) // most)
    return np.asarray(low - 0.5 + width * np.arange(-(-(high - low + 1) // width) + 1), np.float64)


def fit_gaussian(values: ArrayLike, edges: ArrayLike | None = None) -> GaussianFit:
    """Fit a Gaussian to the histogram of `values`.

    Arguments:
        values: (n,) finite numbers, at least ten inside the edges, not all in one bin.
        edges: (bins + 1,) ascending; None for bins of width one around the whole numbers. Numbers outside are left out,
            and the Gaussian is then taken as cut off at the edges; where none is outside it is not.

    Raises InputError when there are too few numbers, one is not finite, or all lie in one bin.
    """
    given = np.asarray(values, np.float64).reshape(-1)
    if not np.isfinite(given).all():
        msg = f"values must be finite (got {np.count_nonzero(~np.isfinite(given))} that are not); leave those out"
        raise InputError(msg)
    borders = unit_edges(given) if edges is None else np.asarray(edges, np.float64)
    counts, _ = np.histogram(given, borders)
    entries = int(counts.sum())
    if entries < _FEWEST or np.count_nonzero(counts) < 2:
        rule = f"a Gaussian needs at least {_FEWEST} numbers in two bins or more"
        msg = f"{rule} (got {entries} in {np.count_nonzero(counts)}); give more or narrower bins"
        raise InputError(msg)
    cut = entries < len(given)
    mean, sigma, valid = _maximum_likelihood(counts, borders, cut)
    low, high = _cumulative(borders[[0, -1]], mean.value, sigma.value)
    share = max(float(high - low), _TINY) if cut else 1.0
    fit = GaussianFit(mean, sigma, math.nan, 0, math.nan, entries, share, valid)
    chi2, ndf = _pearson(counts, fit.expected(borders))
    return replace(fit, chi2=chi2, ndf=ndf, p=_chance(chi2, ndf))


def _maximum_likelihood(counts: NDArray[np.intp], edges: Floats, cut: bool) -> tuple[Metric, Metric, bool]:
    from iminuit import Minuit  # type: ignore[import-untyped]

    centres, narrowest = 0.5 * (edges[1:] + edges[:-1]), float(np.diff(edges).min())
    start = float(np.average(centres, weights=counts))
    width = float(np.sqrt(np.average((centres - start) ** 2, weights=counts)))
    filled = counts > 0

    def twice_minus_log_likelihood(mean: float, sigma: float) -> float:
        shares = _log_shares(edges, mean, sigma)
        whole = np.logaddexp.reduce(shares) if cut else 0.0
        return float(-2 * (counts[filled] @ (shares[filled] - whole)))

    fit = Minuit(twice_minus_log_likelihood, mean=start, sigma=max(width, 0.1 * narrowest))
    fit.errordef = 1.0
    fit.limits["sigma"] = (1e-3 * narrowest, None)
    fit.strategy = 2
    fit.migrad()
    fit.hesse()
    errors = dict(zip(fit.parameters, fit.errors, strict=True))
    values = dict(zip(fit.parameters, fit.values, strict=True))
    valid = bool(fit.valid and fit.accurate)
    return Metric(values["mean"], errors["mean"]), Metric(values["sigma"], errors["sigma"]), valid


def _log_shares(edges: Floats, mean: float, sigma: float) -> Floats:
    """Return the logarithm of the Gaussian's share of each bin, exact also where the share itself would be zero."""
    from scipy.special import log_ndtr

    pull = (edges - mean) / sigma
    upper = pull[:-1] + pull[1:] > 0  # the upper tail is the lower one of the mirrored Gaussian
    far, near = np.where(upper, -pull[1:], pull[:-1]), np.where(upper, -pull[:-1], pull[1:])
    return np.asarray(log_ndtr(near) + np.log1p(-np.exp(log_ndtr(far) - log_ndtr(near))))


def _cumulative(x: ArrayLike, mean: float, sigma: float) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr((np.asarray(x, np.float64) - mean) / sigma), np.float64)


def _pearson(counts: NDArray[np.intp], expected: Floats) -> tuple[float, int]:
    """Return chi2 and degrees of freedom, neighbouring bins merged until each expects enough."""
    seen, awaited = [0.0], [0.0]
    for number, mean in zip(counts, expected, strict=True):
        if awaited[-1] >= _LEAST_EXPECTED:
            seen.append(0.0)
            awaited.append(0.0)
        seen[-1] += float(number)
        awaited[-1] += float(mean)
    if len(awaited) > 1 and awaited[-1] < _LEAST_EXPECTED:
        last_seen, last_awaited = seen.pop(), awaited.pop()
        seen[-1] += last_seen
        awaited[-1] += last_awaited
    observed, model = np.array(seen), np.array(awaited)
    return float(np.sum((observed - model) ** 2 / np.maximum(model, _TINY))), max(len(model) - 3, 0)


def _chance(chi2: float, ndf: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(ndf, chi2)) if ndf else math.nan


@dataclass(frozen=True)
class PoissonComparison:
    """How the spread of counts compares with Poisson's.

    Arguments:
        dispersion: variance / mean, 1 for Poisson counts of one mean.
        verdict: ok where the two agree within three standard deviations.
    """

    dispersion: Metric
    verdict: Verdict


def poisson_comparison(counts: ArrayLike, expected: ArrayLike | None = None) -> PoissonComparison:
    """Compare the variance of counts with their mean.

    Arguments:
        counts: (n,) numbers, at least two, of mean above zero.
        expected: (n,) mean of each, where it differs from example to example (known path lengths): the spread is then
            the mean of (count - expected)^2 / expected. None where all have one mean.

    The error comes from the examples' own scatter and holds for any distribution with a fourth moment, for n of some
    hundreds or more. Raises InputError when there are too few counts or a mean is not above zero.
    """
    numbers = np.asarray(counts, np.float64).reshape(-1)
    if len(numbers) < 2 or not np.isfinite(numbers).all() or not numbers.mean() > 0:
        rule = "a comparison with Poisson needs at least two finite counts of mean above zero"
        msg = f"{rule} (got {len(numbers)}); give more"
        raise InputError(msg)
    size = len(numbers)
    if expected is None:
        mean, variance = float(numbers.mean()), float(numbers.var(ddof=1))
        value = variance / mean
        # How much each example moves variance / mean: the derivative of the ratio at the empirical distribution.
        influence = ((numbers - mean) ** 2 - variance) / mean - variance * (numbers - mean) / mean**2
    else:
        means = np.asarray(expected, np.float64).reshape(-1)
        if means.shape != numbers.shape or not (means > 0).all():
            msg = "expected must hold one mean above zero for each count; leave out examples without one"
            raise InputError(msg)
        influence = (numbers - means) ** 2 / means
        value = float(influence.mean())
    error = float(np.std(influence, ddof=1) / math.sqrt(size))
    return PoissonComparison(Metric(value, error), _poisson_verdict(value, error))


def _poisson_verdict(value: float, error: float) -> Verdict:
    figures = f"variance / mean is {value:.3f} ± {error:.3f}"
    if abs(value - 1) <= _STANDARD_DEVIATIONS * error:
        return Verdict(True, f"spread as Poisson's: {figures}")
    kind = "wider" if value > 1 else "narrower"
    away = abs(value - 1) / error if error > 0 else math.inf
    return Verdict(False, f"{kind} than Poisson: {figures}, {away:.1f} standard deviations from 1")


def mixed_poisson(means: ArrayLike, edges: ArrayLike) -> Floats:
    """Return the (bins,) entries expected between `edges` from one Poisson count for each of the (n,) `means`."""
    from scipy.special import pdtr

    borders = np.asarray(edges, np.float64)
    total = np.zeros(len(borders) - 1)
    for piece in np.array_split(np.asarray(means, np.float64).reshape(-1), max(1, np.size(means) // 2000)):
        below = np.where(borders[:, None] >= 0, pdtr(np.maximum(np.floor(borders), 0)[:, None], piece[None, :]), 0.0)
        total += np.diff(below, axis=0).sum(axis=1)
    return total
