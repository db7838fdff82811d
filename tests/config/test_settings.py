from __future__ import annotations

import enum
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from townsend.config import Closed, dump_yaml, load_yaml, parse, resolved
from townsend.errors import ConfigError


class Gas(enum.StrEnum):
    HELIUM = "helium"
    ARGON = "argon"


class Tube(Closed):
    inner_radius_cm: float = Field(default=0.4, gt=0, description="inner radius of the tube")
    layers: tuple[int, ...] = (96, 128)


class Simulation(Closed):
    tube: Tube = Field(default=Tube(), description="the drift tube")
    tubes: tuple[Tube, ...] = ()
    named: dict[str, Tube] = Field(default={})
    extra: Tube | None = None
    gas: Gas = Gas.HELIUM
    table: Path | None = None
    kind: Literal["lstm", "cnn"] = "lstm"
    mixed: int | list[int] = 3
    muted: bool = False
    name: str = "x"
    first: int = 0
    last: int = 1

    @model_validator(mode="after")
    def _ordered(self) -> Simulation:
        if self.first > self.last:
            msg = f"first must not pass last (got {self.first} and {self.last}); lower `first`"
            raise ValueError(msg)
        return self


class Strict(Closed):
    needed: int


@pytest.fixture
def sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def fault(text: str, model: type[Closed] = Simulation) -> str:
        Path("sim.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            parse(model, load_yaml(Path("sim.yaml")))
        return str(caught.value)

    return fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "\ntube:\n  inner_radius: 1\n",
            'tube.inner_radius: unknown key (sim.yaml line 3); did you mean "inner_radius_cm"?',
        ),
        (
            "\n\ntube:\n  inner_radius_cm: -1\n",
            "tube.inner_radius_cm: must be greater than 0 (got -1, sim.yaml line 4)",
        ),
        ("qqq: 1", "qqq: unknown key (sim.yaml line 1); known: extra, first, gas,"),
        ("tube: {inner_radius_cm: '3'}", 'tube.inner_radius_cm: must be a number (got "3", sim.yaml line 1)'),
        ("tube: {inner_radius_cm: true}", "tube.inner_radius_cm: must be a number (got true, sim.yaml line 1)"),
        ("tube: {layers: [1, 2.5]}", "tube.layers[1]: must be a whole number (got 2.5, sim.yaml line 1)"),
        ("tube: 3", "tube: must be a mapping of keys to values (got 3, sim.yaml line 1)"),
        ("tube: {layers: 3}", "tube.layers: must be a list (got 3, sim.yaml line 1)"),
        (
            "tubes:\n- {}\n- inner_radiu_cm: 1",
            'tubes[1].inner_radiu_cm: unknown key (sim.yaml line 3); did you mean "inner_',
        ),
        ("named: {a: {layer: 1}}", 'named.a.layer: unknown key (sim.yaml line 1); did you mean "layers"?'),
        ("extra: {layer: 1}", 'extra.layer: unknown key (sim.yaml line 1); did you mean "layers"?'),
        ("kind: ltsm", "kind: must be 'lstm' or 'cnn' (got \"ltsm\", sim.yaml line 1); did you mean \"lstm\"?"),
        ("gas: helum", "gas: must be 'helium' or 'argon' (got \"helum\", sim.yaml line 1); did you mean \"helium\"?"),
        ("mixed: x", 'mixed: must be a whole number or a list (got "x", sim.yaml line 1)'),
        ("muted: yes", 'muted: must be true or false (got "yes", sim.yaml line 1)'),
        ("name: 1e-3", "name: must be text (got 0.001, sim.yaml line 1)"),
        ("last: -2\nfirst: 1", "settings: first must not pass last (got 1 and -2); lower `first` (sim.yaml)"),
    ],
)
def test_a_fault_is_one_sentence_with_path_line_and_nearest(sentence, text, expected):
    assert sentence(text).startswith(expected)


def test_a_missing_key_names_the_block_that_lacks_it(sentence):
    assert sentence("{}", Strict) == "needed: must be given (sim.yaml)"


def test_an_unknown_key_is_named_before_the_missing_one_it_was_meant_to_be(sentence):
    assert sentence("neded: 3", Strict) == 'neded: unknown key (sim.yaml line 1); did you mean "needed"?'


def test_long_and_unprintable_values_are_shortened(sentence):
    assert len(sentence(f"kind: {'x' * 5000}")) < 200
    assert "\x1b" not in sentence('"\\e[31m": 1')


def test_mappings_need_no_file():
    settings = parse(Simulation, {"tube": {"inner_radius_cm": 1, "layers": [1]}, "gas": "argon", "table": "a.csv"})
    assert settings.tube == Tube(inner_radius_cm=1.0, layers=(1,))
    assert settings.gas is Gas.ARGON
    assert settings.table == Path("a.csv")
    with pytest.raises(ConfigError) as caught:
        parse(Simulation, {"tube": {"inner_radius_cm": float("nan")}})
    assert str(caught.value) == "tube.inner_radius_cm: must be a finite number (got NaN)"
    with pytest.raises(ConfigError, match="plain values"):
        parse(Simulation, {"name": object()})


def test_settings_cannot_change_and_never_coerce():
    with pytest.raises(ValidationError):
        Tube().inner_radius_cm = 3.0
    with pytest.raises(ValidationError):
        Tube(inner_radius_cm=float("inf"))
    wrong: Any = "3"
    with pytest.raises(ValidationError):
        Tube(inner_radius_cm=wrong)


_tubes = st.builds(
    Tube,
    inner_radius_cm=st.floats(min_value=1e-300, allow_nan=False, allow_infinity=False),
    layers=st.lists(st.integers(), max_size=3).map(tuple),
)


@given(
    st.builds(
        Simulation,
        tube=_tubes,
        tubes=st.lists(_tubes, max_size=2).map(tuple),
        named=st.dictionaries(st.text(max_size=5).filter(lambda key: key != "<<"), _tubes, max_size=2),
        extra=st.none() | _tubes,
        gas=st.sampled_from(Gas),
        mixed=st.integers() | st.lists(st.integers(), max_size=3),
        muted=st.booleans(),
        name=st.text(),
        last=st.integers(min_value=0),
    )
)
def test_written_settings_are_read_back(tmp_path_factory, settings):
    path = tmp_path_factory.getbasetemp() / "settings.yaml"
    dump_yaml(settings, path)
    assert parse(Simulation, load_yaml(path)) == settings
    assert parse(Simulation, resolved(settings)) == settings


def test_written_settings_carry_their_descriptions(tmp_path):
    dump_yaml(Simulation(tube=Tube(layers=())), tmp_path / "out.yaml")
    lines = (tmp_path / "out.yaml").read_text().splitlines()
    assert lines[:4] == [
        "# the drift tube",
        "tube:",
        "  inner_radius_cm: 0.4  # inner radius of the tube",
        "  layers: []",
    ]


def test_settings_without_keys_are_written_as_an_empty_mapping(tmp_path):
    class Nothing(Closed):
        pass

    dump_yaml(Nothing(), tmp_path / "out.yaml")
    assert parse(Nothing, load_yaml(tmp_path / "out.yaml")) == Nothing()


def test_importing_the_configuration_loads_nothing_heavy():
    heavy = {"numpy", "keras", "jax", "optuna", "matplotlib", "awkward", "uproot"}
    code = f"import sys, townsend.config; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
