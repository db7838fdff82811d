"""What a job asks for: sizes as people write them, and requests that come back from a file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.engines.request import Request, size_mb

GOOD = {"cpus": 1, "memory_mb": 2000, "disk_mb": 500, "max_hours": 1.5}


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("5000MB", 5000), ("5 GB", 5000), ("5GB", 5000), ("0.5GB", 500), ("1.234GB", 1234), ("1.5MB", 2), ("007MB", 7)],
)
def test_sizes_are_in_megabytes_of_a_million_bytes(text: str, megabytes: int) -> None:
    assert size_mb(text) == megabytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5000",
        "MB",
        "0MB",
        "0.4MB",
        "-5GB",
        "+5GB",
        "5gb",
        "5 G",
        "5KB",
        "5GiB",
        "5MB\n",
        " 5MB",
        "5  MB",
        "5e3MB",
        "5,000MB",
        "5.MB",
        ".5MB",
        "1.2345GB",
        "12345678MB",
        "٣MB",
        "nanMB",
        "infMB",
        "5MB\nrequest_cpus = 99",
    ],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number with MB or GB") as refused:
        size_mb(text)
    assert f'got "{text}"' in str(refused.value)


@given(st.integers(1, 9_999_999))
def test_a_number_of_megabytes_stays_what_it_is(megabytes: int) -> None:
    assert size_mb(f"{megabytes}MB") == megabytes
    assert size_mb(f"{megabytes / 1000:.3f}GB") == megabytes


@given(st.integers(1, 512), st.integers(1, 10**7), st.integers(1, 10**7), st.floats(1e-3, 8760))
def test_a_request_comes_back_from_a_file(cpus: int, memory_mb: int, disk_mb: int, max_hours: float) -> None:
    request = Request(cpus, memory_mb, disk_mb, max_hours)
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


@pytest.mark.parametrize(
    "change",
    [{"cpus": 0}, {"cpus": 1.5}, {"cpus": "1"}, {"cpus": True}, {"memory_mb": -1}, {"memory_mb": None}, {"disk_mb": []}]
    + [{"max_hours": value} for value in (0, -1, "2", None, float("nan"), float("inf"))]
    + [{"gpus": 1}],
)
def test_what_is_no_request_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Request.from_json({**GOOD, **change})


@pytest.mark.parametrize("name", GOOD)
def test_a_request_must_be_complete(name: str) -> None:
    with pytest.raises(TypeError):
        Request.from_json({key: value for key, value in GOOD.items() if key != name})
