"""Expected significance of a counting experiment with S signal and B background events.

What to use when
----------------
- `asimov_significance`: median expected significance of a discovery, with or without an error of the background.
- `s_over_sqrt_s_plus_b`: relative precision of a measured yield, S / error; no significance of a discovery.
- `s_over_sqrt_b`: the limit of the first for S << B and B >> 1; it promises too much where B is below about ten.

All take yields at the luminosity of the experiment, not raw numbers of simulated events. Where a yield is below zero,
or the denominator is not above zero (possible with signed weights, or where no simulated background is left), there is
no experiment to speak of: NaN, never infinity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["asimov_significance", "s_over_sqrt_b", "s_over_sqrt_s_plus_b"]

Floats = NDArray[np.float64]

_SMALL = 1e-3


def s_over_sqrt_s_plus_b(signal: ArrayLike, background: ArrayLike) -> Floats:
    """Return S / sqrt(S + B), NaN where S or B is below zero or S + B is not above zero."""
    s, b = _yields(signal, background)
    defined = (s >= 0) & (b >= 0) & (s + b > 0)
    return np.asarray(s / np.sqrt(np.where(defined, s + b, np.nan)), np.float64)


def s_over_sqrt_b(signal: ArrayLike, background: ArrayLike) -> Floats:
    """Return S / sqrt(B), NaN where S is below zero or B is not above zero."""
    s, b = _yields(signal, background)
    return np.asarray(s / np.sqrt(np.where((s >= 0) & (b > 0), b, np.nan)), np.float64)


def asimov_significance(signal: ArrayLike, background: ArrayLike, background_error: ArrayLike = 0.0) -> Floats:
    """Return the median expected discovery significance of S on top of B, NaN where S < 0 or B <= 0.

    With a known background, sqrt(2 ((S + B) ln(1 + S / B) - S)): Cowan, Cranmer, Gross and Vitells, Eur. Phys. J. C 71
    (2011) 1554, doi:10.1140/epjc/s10052-011-1554-0, eq. 97. With a background of error sigma, the profile likelihood
    ratio of n ~ Poisson(S + B) and a control count m ~ Poisson(tau B) with tau = B / sigma^2, both at their expected
    values: Cowan, "Discovery sensitivity for a counting experiment with background uncertainty" (2012), eq. 20; also
    Li and Ma, Astrophys. J. 272 (1983) 317, eq. 17. For S << B the two are S / sqrt(B) and S / sqrt(B + sigma^2).

    Both are asymptotic: a few per cent off where S + B is above about five, and far too large where B is below about
    one.

    Arguments:
        signal, background: expected yields, any shape.
        background_error: sigma >= 0 of the expected background, of the same shape or one number.
    """
    s, b = _yields(signal, background)
    b = np.where((s >= 0) & (b > 0), b, np.nan)
    inverse_tau = np.asarray(background_error, np.float64) ** 2 / b
    # Both counts against the background fitted without signal; written in relative excesses, which do not cancel.
    fitted = b + s * inverse_tau / (1 + inverse_tau)
    excess = s / ((1 + inverse_tau) * fitted)
    control = np.divide(_gain(-excess * inverse_tau), inverse_tau, out=np.zeros_like(s + b), where=inverse_tau > 0)
    return np.asarray(np.sqrt(2 * fitted * (_gain(excess) + control)), np.float64)


def _gain(x: Floats) -> Floats:
    """Return (1 + x) ln(1 + x) - x, by its series for small x."""
    series = x**2 * (1 / 2 - x * (1 / 6 - x * (1 / 12 - x * (1 / 20 - x / 30))))
    small = np.abs(x) < _SMALL
    far = np.where(small, 1.0, x)
    return np.asarray(np.where(small, series, (1 + far) * np.log1p(far) - far), np.float64)


def _yields(signal: ArrayLike, background: ArrayLike) -> tuple[Floats, Floats]:
    s, b = np.broadcast_arrays(np.asarray(signal, np.float64), np.asarray(background, np.float64))
    return s, b
