"""Site files: what is shipped, what takes the place of it, and what is kept out of submit files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from townsend.config import load_yaml, parse
from townsend.engines.request import Request, size_mb
from townsend.engines.site import Site, find_site, shipped_sites
from townsend.errors import ConfigError, InputError

NAMES = [("htcondor", "accounting_group"), ("htcondor", "time_attribute")]
NAMES += [("slurm", name) for name in ("partition", "account", "qos", "constraint")]
HOSTILE = ["", " ", "a b", "a\n+Owner=root", "a\r\nqueue 9", 'a"b', "a'b", "a=b", "a$(x)", "`id`", "a;b", "a,b", "-x"]
HOSTILE += ["--uid=0", "a\x00", "a\x1b[2J", "\\", "a\u2028b", "a\x85b", "a#b", "a\tb", "Ä", "a" * 201]


def site_file(folder: Path, text: str) -> Path:
    path = folder / "my site.yaml"
    path.write_text(text)
    return path


def refusal(act: Callable[[], Any], kind: type[Exception] = ConfigError) -> str:
    """The sentence with which something is refused."""
    with pytest.raises(kind) as refused:
        act()
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.isprintable()
    return sentence


def tried(act: Callable[[], Site | None]) -> Site | None:
    """The site that an action gives; None where it is refused, in one line."""
    try:
        return act()
    except (ConfigError, InputError) as error:
        if "\n" in str(error):
            raise
        return None


def test_every_shipped_site_is_whole_and_named_after_its_file() -> None:
    assert set(shipped_sites()) >= {"htcondor", "lxplus", "recas", "slurm"}
    for name, path in shipped_sites().items():
        site = find_site(name)
        assert site is not None
        assert site == parse(Site, load_yaml(path))
        assert site.engine == ("slurm" if name == "slurm" else "htcondor")


def test_a_site_that_says_nothing_asks_for_little() -> None:
    site = parse(Site, {"engine": "slurm"})
    assert site.request == Request(cpus=1, memory_mb=2000, disk_mb=2000, max_hours=2)
    assert site.python is None
    assert site.shared_files


def test_what_is_asked_for_takes_the_place_of_the_file(tmp_path: Path) -> None:
    path = site_file(tmp_path, "engine: slurm\nrequest_memory: 3GB\nmax_hours: 5\nslurm: {partition: long}\n")
    site = find_site(str(path), {"request_memory": "700MB", "max_jobs": 3, "max_hours": None, "request_cpus": None})
    assert site is not None
    assert site.request == Request(cpus=1, memory_mb=700, disk_mb=2000, max_hours=5)
    assert (site.max_jobs, site.slurm.partition) == (3, "long")


def test_this_machine_has_no_site() -> None:
    assert find_site("local") is None
    assert find_site("local", {"max_jobs": None}) is None


def test_a_request_of_this_machine_is_refused() -> None:
    sentence = refusal(lambda: find_site("local", {"request_cpus": None, "request_memory": "5GB"}), InputError)
    assert "--request-memory is for a batch system" in sentence
    assert "name one, such as htcondor, or leave it out" in sentence


def test_an_unknown_key_names_the_nearest_and_its_line(tmp_path: Path) -> None:
    path = site_file(tmp_path, "engine: slurm\nrequest_memmory: 5GB\n")
    sentence = refusal(lambda: find_site(str(path)))
    assert sentence == f'request_memmory: unknown key ({path} line 2); did you mean "request_memory"?'
    inner = site_file(tmp_path, "engine: slurm\nslurm:\n  partitoin: long\n")
    sentence = refusal(lambda: find_site(str(inner)))
    assert sentence == f'slurm.partitoin: unknown key ({path} line 3); did you mean "partition"?'


def test_a_bad_value_names_its_line_one_of_the_command_line_does_not(tmp_path: Path) -> None:
    path = site_file(tmp_path, "engine: slurm\nrequest_memory: 5\n")
    assert refusal(lambda: find_site(str(path))) == f"request_memory: must be text (got 5, {path} line 2)"
    path = site_file(tmp_path, "engine: slurm\nrequest_memory: 5G\n")
    rule = 'request_memory: must be a number with MB or GB, such as "5000MB"'
    assert refusal(lambda: find_site(str(path))) == f'{rule} (got "5G", {path} line 2)'
    assert refusal(lambda: find_site("recas", {"request_memory": "5G"})) == f'{rule} (got "5G")'
    sentence = refusal(lambda: find_site("recas", {"max_hours": 0.0}))
    assert sentence == "max_hours: must be greater than 0 (got 0.0)"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("htcondr", 'did you mean "htcondor"'),
        ("slrum", 'did you mean "slurm"'),
        ("locla", 'did you mean "local"'),
        ("xyz", "known: htcondor, local, lxplus"),
        ("none.yaml", "must be local, a shipped site, or"),
    ],
)
def test_an_unknown_site_names_the_nearest(name: str, said: str) -> None:
    assert said in refusal(lambda: find_site(name), InputError)


def test_a_folder_is_no_site(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").mkdir()
    refusal(lambda: find_site(str(tmp_path / "site.yaml")), InputError)


# ---- nothing but a name reaches a submit file


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(("system", "name"), NAMES)
def test_what_is_more_than_a_name_is_refused(system: str, name: str, text: str) -> None:
    sentence = refusal(lambda: parse(Site, {"engine": system, system: {name: text}}))
    assert sentence.startswith(f"{system}.{name}: must be ")


@given(st.text(max_size=30), st.sampled_from(NAMES))
def test_any_text_that_is_taken_is_one_harmless_word(text: str, place: tuple[str, str]) -> None:
    system, name = place
    site = tried(lambda: parse(Site, {"engine": system, system: {name: text}}))
    if site is None:
        return
    assert getattr(getattr(site, system), name) == text
    assert re.fullmatch(r"[A-Za-z0-9_.:@&|/-]+", text)
    assert not text.startswith("-")


@given(text=st.text(max_size=30), name=st.sampled_from(["request_memory", "request_disk", "max_memory"]))
def test_any_size_that_is_taken_is_a_number(text: str, name: str) -> None:
    site = tried(lambda: parse(Site, {"engine": "htcondor", name: text}))
    assert site is None or type(size_mb(getattr(site, name))) is int


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example writes the file anew
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_file_may_say_what_it_likes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"engine: slurm\nslurm:\n  account: {json.dumps(text)}\n", encoding="utf-8")
    site = tried(lambda: find_site(str(path)))
    assert site is None or site.slurm.account == text


@pytest.mark.parametrize("text", ["python3", "./python", "", "/usr/bin/py\nthon", "/a\x00b", "/a\x1b[2J", "/a\x7f", 7])
def test_an_interpreter_is_an_absolute_path(text: Any) -> None:
    assert refusal(lambda: parse(Site, {"engine": "slurm", "python": text})).startswith("python: must be ")


@pytest.mark.parametrize("text", ["/usr/bin/python3", '/my env/it\'s "quoted"/$HOME/bin/python', "/ü/python"])
def test_an_interpreter_may_have_any_printable_name(text: str) -> None:
    assert parse(Site, {"engine": "slurm", "python": text}).python == text


@pytest.mark.parametrize(
    "change",
    [
        {"request_cpus": 0},
        {"request_cpus": 513},
        {"request_cpus": 1.5},
        {"max_hours": 8761},
        {"max_jobs": 0},
        {"max_hours": float("inf")},
        {"engine": "pbs"},
        {"environment": "conda"},
        {"shared_files": "yes"},
        {"htcondor": {"lease_minutes": 0}},
        {"slurm": {"query_seconds": 0.5}},
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any]) -> None:
    refusal(lambda: parse(Site, {"engine": "htcondor", **change}))
