"""DERIV: the classical finder of peaks by first and second differences, as used in the drift-tube beam tests.

What to use when
----------------
- `DERIV_PRESETS`: the cuts of each beam test; `DEFAULT_PRESET` where nothing speaks for another.
- `find_deriv_peaks`: peaks of many waveforms.
- `count_deriv_clusters`: peaks and their association in one step: the plain reference for a number of clusters.

Definition and cuts are those of the public analysis macros of the Bari and Lecce groups (FindPeak-algo.C of the
drifttubes repository and its beam-test branches). Of baseline-subtracted samples y_i, dt apart, with
f'_i = (y_(i+1) - y_(i-1)) / 2 dt and f'' the same difference of f', a sample is a peak where all four hold:

1. y_i > n1 rms
2. y_i - (y_(i-1) + y_(i+1)) / 2 > n2 rms
3. |f'_i| < 2 n3 s1, or f'_(i-1) > n3 s1, or f'_(i+1) < -n3 s1
4. f''_i < -n4 s2

and consecutive samples that pass are one peak, at the highest.

The two public versions differ in s1 and s2, the errors of f' and f''. "propagated" (drifttubes) has s1 = rms / (sqrt(2)
dt) and s2 = rms / (2 dt^2); "testbeam2023" (branch TestBeamJune2023) has 2 and 4 times that. "propagated" is the
default: it is the standard deviation of f' for independent noise (and within 20 % that of f''), so that n3 and n4
count standard deviations, as n1 does. The presets "july2022" and "2024" do not depend on it.

Poor approximations, all of the published definition: the rms of 25 samples is uncertain (by 14 % for white noise; with
the measured noise, of which much is slow, it spreads from 0.20 to 0.59 mV about 0.34 mV, 5 to 95 %); cut 2 compares
neighbouring samples, so the same cuts find fewer peaks at a higher sampling rate; the ions' slow tail lifts noise over
cut 1, so that peaks are found long after the last electron.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.clusters.association import associate, check_cut_scale

__all__ = ["DEFAULT_PRESET", "DERIV_PRESETS", "DerivSettings", "count_deriv_clusters", "find_deriv_peaks"]

_CHUNK = 256  # waveforms a piece: its arrays stay in the cache
_REACH = 2  # samples that f'' needs on either side


@dataclass(frozen=True)
class DerivSettings:
    """Cuts of DERIV and of the association after it.

    Arguments:
        cut_scale: of the association [ns^1/2], >= 0.
        n1: height, n2: bend between neighbours, in rms of the baseline; n3: slope, n4: curvature, in their errors.
        baseline_ns: start of the record that gives baseline and rms, > 0.
        errors: "propagated" or "testbeam2023", see above.

    Raises InputError for a cut that is negative or not finite, or a baseline that is not above 0.
    """

    cut_scale: float
    n1: float
    n2: float
    n3: float
    n4: float
    baseline_ns: float = 25.0
    errors: Literal["propagated", "testbeam2023"] = "propagated"

    def __post_init__(self) -> None:
        check_cut_scale(self.cut_scale)
        for name in ("n1", "n2", "n3", "n4"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                msg = f"{name} must be 0 or more (got {value:g}); 0 asks for the sign alone"
                raise InputError(msg)
        if not (np.isfinite(self.baseline_ns) and self.baseline_ns > 0):
            msg = f"baseline_ns must be above 0 (got {self.baseline_ns:g}); 25 ns is the published definition"
            raise InputError(msg)


DERIV_PRESETS: Mapping[str, DerivSettings] = MappingProxyType(
    {
        "nov2021": DerivSettings(0.26, 10, 1.0, 0.2, 0.2),
        "july2022": DerivSettings(0.20, 10, 1.2, 0.0, 0.0),
        "jan2023": DerivSettings(0.26, 8, 1.1, 0.1, 0.1),
        "hv_scan": DerivSettings(0.22, 8, 1.1, 0.05, 0.025),
        "2024": DerivSettings(0.30, 6, 1.2, 0.0, 0.0),
    }
)
"""Published cuts by beam test; "hv_scan" is that of the voltage scan, "2024" the latest script."""

DEFAULT_PRESET = "nov2021"
"""Of the five the one whose number follows the true one best on simulated tracks of the reference tube.

Correlation with the true number (12,000 tracks, uniform impact parameter), peaks of the drift interval: 0.64 (nov2021),
0.60 (jan2023), 0.59 (hv_scan), 0.58 (july2022), 0.56 (2024); in the whole record 0.53, 0.47, 0.46, 0.48 and 0.40.
"""


def find_deriv_peaks(
    millivolts: NDArray[np.floating], sampling_rate_ghz: float, settings: DerivSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return waveform and sample of every peak, ascending.

    Arguments:
        millivolts: (waveforms, samples) with signals going up, on any baseline and in any unit.
        sampling_rate_ghz: samples a ns, > 0.
        settings: the cuts.

    Raises InputError for a sampling rate that is not above 0, or a record without samples after its baseline.
    """
    baseline = _baseline_samples(millivolts.shape[1], sampling_rate_ghz, settings)
    found = [
        _find(millivolts[start : start + _CHUNK].astype(np.float64), baseline, 1 / sampling_rate_ghz, settings)
        for start in range(0, len(millivolts), _CHUNK)
    ]
    row = [piece_row + _CHUNK * number for number, (piece_row, _) in enumerate(found)]
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *row]), np.concatenate([none, *(sample for _, sample in found)])


def count_deriv_clusters(
    millivolts: NDArray[np.floating],
    sampling_rate_ghz: float,
    settings: DerivSettings,
    *,
    t0_ns: float,
    delay_ns: float,
    max_drift_ns: float = np.inf,
) -> NDArray[np.int64]:
    """Return (waveforms,) number of clusters, nothing fitted: peaks of DERIV, associated in time.

    Arguments:
        millivolts, sampling_rate_ghz, settings: as for `find_deriv_peaks`.
        t0_ns: passage of the track on the waveform's clock.
        delay_ns: time from an electron's arrival to the maximum of its pulse.
        max_drift_ns: longest drift time; later peaks are left out. No electron can arrive there, but noise on the slow
            tail of the ions passes the cuts; without a limit (infinite) it is counted, as in the public macros.

    Raises InputError as `find_deriv_peaks` does, and when t0, the delay or the longest drift is not a number.
    """
    if not np.isfinite(t0_ns + delay_ns) or np.isnan(max_drift_ns):
        rule = "t0_ns, delay_ns and max_drift_ns must be known to associate peaks"
        msg = f"{rule} (got {t0_ns:g}, {delay_ns:g} and {max_drift_ns:g}); give all three"
        raise InputError(msg)
    row, sample = find_deriv_peaks(millivolts, sampling_rate_ghz, settings)
    since_ns = sample / sampling_rate_ghz - delay_ns - t0_ns
    inside = since_ns <= max_drift_ns
    return associate(row[inside], since_ns[inside], len(millivolts), settings.cut_scale)


def _baseline_samples(samples: int, sampling_rate_ghz: float, settings: DerivSettings) -> int:
    if not (np.isfinite(sampling_rate_ghz) and sampling_rate_ghz > 0):
        msg = f"sampling_rate_ghz must be above 0 (got {sampling_rate_ghz:g}); give samples a ns"
        raise InputError(msg)
    baseline = max(2, round(settings.baseline_ns * sampling_rate_ghz))
    if samples < baseline + 2 * _REACH + 1:
        msg = (
            f"waveforms must be longer than the {settings.baseline_ns:g} ns that give their baseline (got {samples} "
            f"samples, {samples / sampling_rate_ghz:g} ns); take longer records or check the sampling rate"
        )
        raise InputError(msg)
    return baseline


def _find(
    y: NDArray[np.float64], baseline: int, dt: float, settings: DerivSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return waveform and sample of the peaks of one piece."""
    rms = y[:, :baseline].std(axis=1, keepdims=True)
    y = y - y[:, :baseline].mean(axis=1, keepdims=True)
    wider = 1.0 if settings.errors == "propagated" else 2.0
    slope_error = wider * rms / (np.sqrt(2) * dt)
    curvature_error = wider**2 * rms / (2 * dt**2)

    # Every array below starts at sample _REACH and ends as many before the last.
    centre = y[:, 2:-2]
    bend = centre - (y[:, 1:-3] + y[:, 3:-1]) / 2
    slope = (y[:, 2:] - y[:, :-2]) / (2 * dt)
    before, here, after = slope[:, :-2], slope[:, 1:-1], slope[:, 2:]
    curvature = (after - before) / (2 * dt)
    steepness = settings.n3 * slope_error

    passed = centre > settings.n1 * rms
    passed &= bend > settings.n2 * rms
    passed &= (np.abs(here) < 2 * steepness) | (before > steepness) | (after < -steepness)
    passed &= curvature < -settings.n4 * curvature_error
    row, column = np.nonzero(passed)
    highest = _highest_of_runs(row, column, centre[row, column])
    return row[highest], column[highest] + _REACH


def _highest_of_runs(
    row: NDArray[np.int64], column: NDArray[np.int64], height: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the index of the highest of each run of consecutive samples, the earliest of equals."""
    starts = (np.diff(row, prepend=-1) != 0) | (np.diff(column, prepend=-2) != 1)
    run = np.cumsum(starts)
    order = np.lexsort((-height, run))
    return np.asarray(order[np.diff(run[order], prepend=0) != 0])
