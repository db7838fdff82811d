"""Waveforms on a page: what the script is given, and what is seen without it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from townsend.report.zoom import Trace, trace

CLOCK = np.arange(1024)
PULSE = (12.3 * np.exp(-(((CLOCK - 400) / 6) ** 2)) - 0.7).astype(np.float32)


def shown(**more: object) -> str:
    given = {"name": "event 1", "millivolts": PULSE, "step_ns": 0.5, "found_ns": np.array([200.25])}
    return trace(Trace(**{**given, **more}), "below").text  # type: ignore[arg-type]


def attribute(text: str, name: str) -> str:
    found = re.search(rf'data-{name}="([^"]*)"', text)
    assert found is not None
    return found[1]


def test_samples_keep_a_thousandth_of_the_largest() -> None:
    text = shown()
    counts = np.array(attribute(text, "samples").split(), int)
    assert counts * float(attribute(text, "unit")) == pytest.approx(PULSE, abs=12.3 / 2000)
    assert float(attribute(text, "step")) == 0.5


def test_marks_keep_a_hundredth_of_a_nanosecond() -> None:
    text = shown(true_ns=np.array([199.123, 210.0]), drift_ns=(180.0, 400.0))
    assert attribute(text, "found") == "20025"
    assert attribute(text, "true") == "19912 21000"
    assert attribute(text, "drift") == "180 400"


def test_measured_waveforms_have_no_true_marks() -> None:
    text = shown()
    assert "data-true" not in text
    assert 'class="true"' not in text


def test_without_a_script_the_whole_waveform_is_seen_with_its_marks() -> None:
    text = shown(true_ns=np.array([199.0, 210.0]))
    points = re.search(r'points="([^"]*)"', text)
    assert points is not None
    x, y = np.array([pair.split(",") for pair in points[1].split()], float).T
    assert (x[0], x[-1]) == (46, 710)
    assert int(np.argmin(y)) == 400  # upwards on a page is smaller y
    assert text.count('class="found"') == 1
    assert text.count('class="true"') == 2


def test_a_flat_waveform_and_one_without_peaks_can_be_shown() -> None:
    text = shown(millivolts=np.zeros(16, np.float32), found_ns=np.zeros(0))
    assert attribute(text, "found") == ""
    assert "nan" not in text
