"""What is cited is what was used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from townsend.experiments.drifttube.report.citations import Used, bibtex, citations

EVERYTHING = Used(
    simulated=True,
    networks=frozenset({"lstm", "cnn"}),
    samplers=frozenset({"tpe"}),
    optimizers=frozenset({"adam", "rmsprop", "sgd"}),
    activations=frozenset({"selu", "relu"}),
    dropout=True,
    references=True,
    fitted=True,
)


def keys(used: Used) -> set[str]:
    return {entry.key for entry in citations(used)}


def test_nothing_used_cites_townsend_and_the_talk() -> None:
    assert keys(Used()) == {"townsend", "Anwar2024"}
    assert keys(Used(slides=False)) == {"townsend"}


@pytest.mark.parametrize(
    ("used", "cited"),
    [
        (Used(simulated=True), {"Smirnov2005", "Biagi1999", "Shockley1938", "Ramo1939", "uproot", "awkward"}),
        (Used(networks=frozenset({"lstm"})), {"Hochreiter1997", "Chollet2015", "JAX2018"}),
        (Used(networks=frozenset({"cnn"})), {"LeCun1998", "Chollet2015", "JAX2018"}),
        (Used(optimizers=frozenset({"adam"})), {"Kingma2015"}),
        (Used(optimizers=frozenset({"rmsprop"})), {"Tieleman2012"}),
        (Used(optimizers=frozenset({"sgd"})), set()),
        (Used(activations=frozenset({"selu"})), {"Klambauer2017"}),
        (Used(activations=frozenset({"relu", "sigmoid"})), set()),
        (Used(dropout=True), {"Srivastava2014"}),
        (Used(samplers=frozenset({"grid"})), set()),
        (Used(samplers=frozenset({"random"})), {"Akiba2019"}),
        (Used(references=True), {"Pedregosa2011"}),
        (Used(fitted=True), {"James1975", "iminuit"}),
    ],
)
def test_each_thing_used_adds_its_own(used: Used, cited: set[str]) -> None:
    assert keys(used) - {"townsend", "Anwar2024"} == cited


def test_the_entries_are_whole() -> None:
    found = citations(EVERYTHING)
    assert len(found) == len(keys(EVERYTHING)) == 20
    for entry in found:
        assert {"author", "title"} <= entry.fields.keys()
        assert entry.because
        if entry.kind == "article":
            assert {"journal", "volume", "pages", "year"} <= entry.fields.keys(), entry.key
        if "doi" in entry.fields:
            assert re.fullmatch(r"10\.\d{4,5}/\S+", entry.fields["doi"])


def test_the_sources_named_in_the_simulation_are_those_cited() -> None:
    entries = {entry.key: entry.fields for entry in citations(EVERYTHING)}
    assert (entries["Smirnov2005"]["volume"], entries["Smirnov2005"]["pages"]) == ("554", "474--493")
    assert (entries["Biagi1999"]["volume"], entries["Biagi1999"]["pages"]) == ("421", "234--240")


def test_the_text_is_bibtex() -> None:
    text = bibtex(citations(EVERYTHING))
    assert text.count("{") == text.count("}")
    assert len(re.findall(r"^@\w+\{\w+,$", text, re.MULTILINE)) == 20
    assert all(re.fullmatch(r"(%.*|@\w+\{\w+,|  \w+ = \{.*\},|\}|)", line) for line in text.splitlines())


def test_townsend_is_cited_as_its_citation_file_says() -> None:
    path = next(p for p in Path(__file__).parents if (p / "CITATION.cff").is_file()) / "CITATION.cff"
    said = yaml.safe_load(path.read_text())
    fields = citations(Used())[-1].fields
    assert fields["version"] == str(said["version"])
    assert said["authors"][0]["name"] in fields["author"]
    assert said["license"] in fields["note"]
