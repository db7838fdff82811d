"""What a process has used: peaks since the last reset, and numbers that come back from elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.engines.usage import Usage, duration, measure_usage, peak_memory_mb, reset_peak_memory


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


def test_a_process_knows_what_it_and_its_children_have_used(tmp_path: Path) -> None:
    before = measure_usage()
    burn = "import time\nwhile time.process_time() < 0.3: pass\nb = bytearray(10**8)"
    subprocess.run([sys.executable, "-I", "-c", burn], check=True)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(bytes(3_000_000))
    after = measure_usage(tmp_path)
    assert after.wall_s is not None
    assert before.wall_s is not None
    assert after.wall_s > before.wall_s + 0.3
    assert (after.cpu_s or 0) >= (before.cpu_s or 0) + 0.3
    assert (after.memory_mb or 0) >= max(100, before.memory_mb or 0)
    assert after.disk_mb == pytest.approx(3, abs=0.1)
    assert before.disk_mb is None
    assert after.host


def test_processors_are_the_time_kept_busy() -> None:
    assert Usage(wall_s=862, cpu_s=1430.92).cpus == pytest.approx(1.66)
    assert Usage(wall_s=862).cpus is None
    assert Usage(cpu_s=3).cpus is None
    assert Usage(wall_s=0, cpu_s=3).cpus is None
    assert Usage(wall_s=5, cpu_s=0).cpus == 0


NUMBERS = st.none() | st.floats(0, 1e15)


@given(st.builds(Usage, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.text(max_size=255)))
def test_a_usage_comes_back_from_a_file(usage: Usage) -> None:
    assert Usage.from_json(json.loads(json.dumps(usage.to_json()))) == usage


@pytest.mark.parametrize(
    "value", [-1, -0.1, float("nan"), float("inf"), 1.7e308, 10**400, -(10**400), True, "7", [7], {}, None]
)
def test_what_is_no_number_is_not_known(value: Any) -> None:
    assert Usage.from_json({"wall_s": value, "cpu_s": value, "memory_mb": value, "disk_mb": 7}) == Usage(disk_mb=7)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (66, "1 min 06 s"),
        (862, "14 min 22 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (6840, "1 h 54 min"),
        (86_400, "24 h 00 min"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
