"""Peak memory is that of the time since the last reset."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.training.usage import peak_memory_mb, reset_peak_memory


def test_peak_sees_what_was_given_back_and_forgets_it_at_the_next_reset() -> None:
    if not reset_peak_memory():
        pytest.skip("this system does not let a process reset its peak memory")
    before = peak_memory_mb()
    block = np.ones(25_000_000)  # 200 MB, given back at once
    del block
    high = peak_memory_mb()
    assert high > before + 190
    assert reset_peak_memory()
    assert peak_memory_mb() < high - 150
