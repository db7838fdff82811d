"""Waveforms at another sampling rate, without aliasing.

What to use when
----------------
- `resample`: traces taken at one rate for a network trained at another.

A linear-phase low-pass (Kaiser window, 60 dB; J. F. Kaiser, 1974) ends at the lower of the two Nyquist frequencies, so
nothing folds back, and passes up to 0.89 of it. Noise close to the new Nyquist frequency is therefore weaker than that
of a digitiser without such a filter. Signals shorter than a step of the new rate ring for some steps.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.sample.fixed_point import to_fixed_point
from townsend.sample.provenance import Provenance
from townsend.sample.waveforms import Waveforms

__all__ = ["resample"]

LARGEST_TERM = 256  # of the ratio of rates: the filter has 64 times as many coefficients
MAXIMUM_LENGTH = 1 << 20  # samples in a waveform
_RATIO_TOLERANCE = 1e-6  # 1 ns in a millisecond
_ATTENUATION_DB = 60.0
_HALF_LENGTH = 32  # of the filter, in steps of the lower rate
_CHUNK = 256  # waveforms in double precision at a time


def resample(waveforms: Waveforms, rate_ghz: float) -> Waveforms:
    """Return the waveforms at `rate_ghz` [samples per ns]; times in ns, truth and identifiers stay as they are.

    The first sample keeps its time; a constant baseline stays constant; the last sample continues beyond the end.

    Arguments:
        waveforms: at any rate.
        rate_ghz: > 0, its ratio to the present rate a fraction with terms up to 256.

    Raises InputError when the rate is not such, or the result would have more than 2**20 samples a waveform.
    """
    if not 0 < rate_ghz < math.inf:
        msg = f"rate_ghz must be a finite number > 0 (got {rate_ghz}); give samples per ns"
        raise InputError(msg)
    if rate_ghz == waveforms.sampling_rate_ghz:
        return waveforms
    ratio = _ratio(rate_ghz, waveforms.sampling_rate_ghz)
    length = math.ceil(waveforms.samples.shape[1] * ratio)
    if length > MAXIMUM_LENGTH:
        msg = f"resampled waveforms must have at most {MAXIMUM_LENGTH} samples (got {length}); lower rate_ghz"
        raise InputError(msg)
    volts = np.empty((len(waveforms), length), np.float32)
    for start in range(0, len(waveforms), _CHUNK):
        rows = slice(start, start + _CHUNK)
        volts[rows] = _filtered(waveforms.samples[rows], ratio) * waveforms.volts_per_count
    samples, volts_per_count = to_fixed_point(volts)
    old = waveforms.provenance
    settings = {"from_ghz": waveforms.sampling_rate_ghz, "to_ghz": rate_ghz, "source": old.to_json()}
    return replace(
        waveforms,
        samples=samples,
        volts_per_count=volts_per_count,
        sampling_rate_ghz=rate_ghz,
        provenance=Provenance("resample", settings, old.seed, old.sources),
    )


def _ratio(new_ghz: float, old_ghz: float) -> Fraction:
    exact = new_ghz / old_ghz
    nearest = Fraction(exact).limit_denominator(LARGEST_TERM)
    off = abs(float(nearest) / exact - 1)
    if nearest.numerator > LARGEST_TERM or off > _RATIO_TOLERANCE:
        msg = (
            f"rate_ghz must be a fraction of the present rate with terms up to {LARGEST_TERM} (got {new_ghz:g} / "
            f"{old_ghz:g}, nearest {nearest}); choose a rate near {float(nearest) * old_ghz:.9g}"
        )
        raise InputError(msg)
    return nearest


def _filtered(samples: NDArray[np.int16], ratio: Fraction) -> NDArray[Any]:
    counts = samples.astype(np.float64)
    # The filter's phases differ by 1e-3 in their sums; taking the baseline off first keeps a constant exactly.
    baseline = np.median(counts, axis=1, keepdims=True)
    up, down = ratio.numerator, ratio.denominator
    from scipy.signal import resample_poly  # half a second, and few files need it

    filtered = resample_poly(counts - baseline, up, down, axis=1, window=_low_pass(max(up, down)), padtype="edge")
    return np.asarray(filtered + baseline)


@cache
def _low_pass(term: int) -> NDArray[np.float64]:
    """Return coefficients whose stop band begins at 1/term of the Nyquist frequency of the common rate."""
    taps = 2 * _HALF_LENGTH * term + 1
    # Kaiser's width of the transition, in units of the Nyquist frequency, from its attenuation and length.
    width = (_ATTENUATION_DB - 7.95) / (2.285 * math.pi * (taps - 1))
    from scipy.signal import firwin, kaiser_beta

    return np.asarray(firwin(taps, 1 / term - width / 2, window=("kaiser", kaiser_beta(_ATTENUATION_DB))))
