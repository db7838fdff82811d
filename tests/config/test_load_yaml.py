from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import load_yaml
from townsend.config.document import MAXIMUM_BYTES, MAXIMUM_DEPTH, safe_yaml
from townsend.errors import ConfigError, InputError, TownsendError


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes):
        path = tmp_path / "sim.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_yaml(path)

    return read_text


def test_every_key_and_item_knows_its_line(read):
    document = read("# comment\ntube:\n  radius_cm: 0.4\n\n  layers:\n    - 96\n    - 128\n")
    assert document.data == {"tube": {"radius_cm": 0.4, "layers": [96, 128]}}
    assert document.lines == {
        ("tube",): 2,
        ("tube", "radius_cm"): 3,
        ("tube", "layers"): 5,
        ("tube", "layers", 0): 6,
        ("tube", "layers", 1): 7,
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 1e-3),
        ("1.5E+2", 150.0),
        (".5", 0.5),
        ("-3", -3),
        ("20_000", 20000),
        ("true", True),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("010", "010"),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
    ],
)
def test_scalars_mean_what_they_look_like(read, written, value):
    found = read(f"a: {written}").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: &x [1]\nb: *x\n", "line 1: must not use anchors or aliases"),
        ("a: *x\n", 'line 1: must not use anchors or aliases (got "x")'),
        ("a: 1\nb: 2\na: 3\n", "line 3: a: given twice (first on line 1)"),
        ("t:\n  a: 1\n  a: 3\n", "line 3: t.a: given twice (first on line 2)"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1: must not use tags"),
        ("a: !custom 1\n", 'must not use tags (got "!custom")'),
        ("a:\n  <<: {b: 1}\n", "line 2: must not use merge keys"),
        ("- 1\n", "must be a mapping at the top"),
        ("3\n", "must be a mapping at the top"),
        ("", "must hold at least one key"),
        ("# nothing\n", "must hold at least one key"),
        ("a: [1\n", "line 2: must be YAML (while parsing a flow sequence"),
        ("a: 1\n---\nb: 1\n", "must be YAML (expected a single document"),
        ("a: \x01\n", "must be YAML (unacceptable character"),
        ("? [a]\n: 1\n", "keys must be text"),
        ("a:\n  b: .nan\n", "line 2: a.b: must be a finite number"),
        ("a: 1e999\n", "a: must be a finite number (got 1e999)"),
        (f"a: {'9' * 5000}\n", "a: must be a shorter number"),
        ('a: "\\ud800"\n', "a: must be Unicode text"),
    ],
)
def test_what_is_refused_is_said_in_one_sentence(read, text, sentence):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "sim.yaml line" in str(caught.value)
    str(caught.value).encode()  # can be shown anywhere


def test_aliases_that_explode_are_refused_before_they_do(read):
    levels = [f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]" for i in range(9)]
    with pytest.raises(ConfigError, match="anchors or aliases"):
        read("\n".join(["a: &a [lol]", *levels]))


def test_nesting_is_allowed_up_to_its_limit_only(read):
    def nested(depth: int) -> str:
        return "a: " + "[" * (depth - 1) + "]" * (depth - 1)

    assert read(nested(MAXIMUM_DEPTH)).data
    with pytest.raises(ConfigError, match="nest deeper than 32"):
        read(nested(MAXIMUM_DEPTH + 1))
    with pytest.raises(ConfigError, match="nest deeper than 32"):
        read("a: " + "[" * 200_000)


def test_size_is_allowed_up_to_its_limit_only(read):
    padding = "#" * (MAXIMUM_BYTES - len("a: 1\n"))
    assert read("a: 1\n" + padding).data == {"a": 1}
    with pytest.raises(InputError, match="at most 1048576 bytes"):
        read("a: 1\n" + padding + "#")


def test_text_must_be_utf8_and_a_byte_order_mark_is_no_fault(read):
    assert read("a: 1".encode("utf-8-sig")).data == {"a": 1}
    with pytest.raises(InputError, match="UTF-8 text \\(byte 3 is not\\)"):
        read(b"a: \xe9\n")


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml must be a readable configuration file"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="must be a readable configuration file"):
        load_yaml(tmp_path)


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_keys = st.text(max_size=8).filter(lambda key: key != "<<")
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(_keys, _values, min_size=1, max_size=4))
def test_whatever_is_written_is_read_back(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_bytes("\n".join(safe_yaml(data)).encode())
    assert load_yaml(path).data == data


@given(st.binary(max_size=60) | st.text(alphabet="ab:-[]{}&*!|>?%'\"# \n\t,<1.", max_size=60).map(str.encode))
def test_any_bytes_give_a_mapping_or_one_sentence(tmp_path_factory, content):
    path: Path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    try:
        outcome = load_yaml(path).data
    except TownsendError as error:
        outcome = str(error)
    assert isinstance(outcome, dict) or "\n" not in outcome
