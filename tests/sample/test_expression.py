from __future__ import annotations

import math
import operator
from contextlib import suppress

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.errors import ConfigError, InputError
from townsend.sample.expression import mask, numbers, parse_expression, with_aliases

COLUMNS = {
    "x": np.array([1.0, 2.0, 3.0], np.float32),
    "n": np.array([1, 2, 3], np.int8),
    "flag": np.array([True, False, True]),
    "event": np.array([2**53, 2**53 + 1, 5]),
    "huge": np.array([2**64 - 1, 2**64 - 2, 1], np.uint64),
    "gap": np.array([1.0, math.nan, 3.0]),
    "v": ak.Array([[1.0, 3.0, 2.0], [], [5.0]]),
    "passed": ak.Array([[True, False, True], [], [False]]),
    "class": np.array([0, 1, 0]),
    "jet.pt": np.array([7.0, 8.0, 9.0]),
    "a b": np.array([4, 5, 6]),
    "µ": np.array([1.0, 2.0, 3.0]),
    "_column_0": np.array([10.0, 20.0, 30.0]),
    "pi": np.array([0.0, 0.0, 0.0]),
}


def value(text):
    found = parse_expression(text).evaluate(COLUMNS)
    return found.tolist() if isinstance(found, np.ndarray | np.generic | ak.Array) else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + n * 2 - 1", [2, 5, 8]),
        ("-x ** 2 / 4", [-0.25, -1, -2.25]),
        ("7 // 2 + 7 % 2 + x", [5, 6, 7]),
        ("n * 100", [100, 200, 300]),  # an int8 would overflow
        ("+x", [1, 2, 3]),
        ("flag + 1", [2, 1, 2]),
        ("pi * x / pi", [1, 2, 3]),
        ("`pi` + x", [1, 2, 3]),
        ("1 < x < 3", [False, True, False]),
        ("x > 1 and n < 3 or not flag", [False, True, False]),
        ("(x > 1) & (n < 3) | ~flag", [False, True, False]),
        ("flag == 1", [True, False, True]),
        ("where(flag, x, -1)", [1, -1, 3]),
        ("where(flag, x > 2, true)", [False, True, True]),
        ("class == 0", [True, False, True]),
        ("`jet.pt` - 7", [0, 1, 2]),
        ("`a b` > 4 &&\n x < 3", [False, True, False]),
        ("µ + `µ`", [2, 4, 6]),
        ("`jet.pt` + _column_0", [17, 28, 39]),
        ("0x10 + 1_000 + .5 + 1e3", 2016.5),
        ("true", True),
        ("v[0]", [1, math.nan, 5]),
        ("v[v > 1]", [[3, 2], [], [5]]),
        ("sum(v[passed] * x)", [3, 0, 0]),
        ("leading(v, default=0) + subleading(v, -1)", [5, -1, 4]),
        ("x / 0", [math.inf] * 3),
        ("0 / 0 * x", [math.nan] * 3),
        ("log(-x)", [math.nan] * 3),
    ],
)
def test_expressions_have_the_values_they_say(text, expected):
    np.testing.assert_equal(value(text), expected)


@pytest.mark.parametrize(
    ("cpp", "python"),
    [
        ("x>1&&n<3", "x > 1 and n < 3"),
        ("x > 1 || n == 1 && !flag", "x > 1 or n == 1 and not flag"),
        ("!flag == false", "(not flag) == false"),
        ("!(x > 1)", "not (x > 1)"),
        ("x != 2 && !!flag", "x != 2 and flag"),
        ("`jet.pt`>7&&flag", "`jet.pt` > 7 and flag"),
    ],
)
def test_the_spelling_of_cpp_is_taken(cpp, python):
    assert value(cpp) == value(python)


def test_what_cpp_writes_stays_a_name_in_backticks():
    assert parse_expression("`a && b` > 1").names == {"a && b"}


@pytest.mark.parametrize(
    "text", ["x > 1 & n < 3", "x > 1 | flag", "(x) & (n) == 1", "sum(v) > (x) & n", "1 < (x & n | n) & n"]
)
def test_a_bitwise_operator_that_binds_before_a_comparison_is_refused(text):
    with pytest.raises(ConfigError, match=r'must stand in parentheses .* say "and" or "or"'):
        parse_expression(text)


def test_conditions_in_parentheses_may_be_compared():
    assert value("(flag & (x > 1)) == flag") == [False, True, True]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must not be empty"),
        ("  \n", "must not be empty"),
        ("x +", "must be formulas"),
        ("(x", "never closed"),
        ("a) + (b", "must be formulas"),
        ("x = 1", r"at `= 1`"),
        ("x; n", r"at `; n`"),
        ("sqr(x)", 'got `sqr`; did you mean "sqrt"'),
        ("pi(2)", "functions must be known"),
        ("`abs`(x)", "must be formulas"),
        ("f(x)(n)", "must be formulas"),
        ("__import__('os')", "must not contain"),
        ("eval(x)", "functions must be known"),
        ("jet.pt", "backticks: `jet.pt`"),
        ("x.__class__", "backticks"),
        ("class.y", "backticks: `class.y`"),
        ("lambda y: y", "must be formulas"),
        ("[y for y in x]", "must be formulas"),
        ("(x, n)", "must be formulas"),
        ("{1: 2}", "must be formulas"),
        ("(y := 2)", "must be formulas"),
        ("*x", "must be formulas"),
        ("hypot(*x)", r"must be called as hypot\(a, b\)"),
        ("hypot(x, *x)", "must be formulas"),
        ("first(v, **x)", "must be given its values once each"),
        ("x if flag else n", r"say where\(condition, a, b\)"),
        ("flag ? x : n", r"say where\(condition, a, b\)"),
        ("channel == 'ee'", "texts cannot be compared"),
        ('channel == "ee"', "texts cannot be compared"),
        ("x # comment", "leave comments"),
        ("x^2", r"say \*\* for a power"),
        ("x @ n", "operators must be"),
        ("n << 2", "operators must be"),
        ("x in v", "comparisons must be by"),
        ("x is n", "comparisons must be by"),
        ("v[1:2]", "brackets must hold"),
        ("v[0, 1]", "brackets must hold"),
        ("None", "constants must be"),
        ("1j", "constants must be"),
        ("...", "constants must be"),
        ("1if flag else 2", "must be formulas"),
        ("`x", "close the backtick"),
        ("``", "close the backtick"),
        ("x × n", "must not contain '×'"),
        ("x \0", "must not contain"),
        ("x \\ n", "must not contain"),
        ("hypot(x)", r"called as hypot\(a, b\) \(got `hypot\(x\)`"),
        ("nth(v)", r"called as nth\(x, i\[, default\]\[, by\]\)"),
        ("leading(v, 0, default=1)", "got `default`"),
        ("leading(v, bye=x)", "got `bye` .* default, by"),
        ("leading(v, by=x, by=x)", "once each .got `by`"),
        ("clip(x=x, low=1, high=2)", r"must be called as clip\(x, low, high\)"),
        ("1" * 400, "must be below 1.8e308"),
        ("1" * 5000, "must be formulas"),
    ],
)
def test_what_is_not_in_the_language_is_refused(text, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        parse_expression(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("not x", r'"not" must be given a condition \(got numbers: `x`\)'),
        ("flag and x", r'"and" must be given a condition \(got numbers: `x`\)'),
        ("(n & 4) > 0", '"and" must be given a condition'),
        ("where(x, 1, 2)", '"where" must be given a condition'),
        ("v + v[v > 1]", r"equally long in every event .*`v` and `v\[v > 1\]`"),
        ("v[passed][passed]", "equally long in every event"),
        ("max(x, n)", r"say maximum\(a, b\)"),
        ("sum(x)", '"sum" must be given lists'),
        ("x[0]", '"nth" must be given lists'),
        ("x[x > 1]", r'"\[ \]" must be given lists'),
        ("v[-1]", r"a condition on each entry, or the number of one, 0 or more \(got `v\[-1\]`"),
        ("v[flag]", "a condition on each entry"),
        ("v[v]", "a condition on each entry"),
        ("v[n]", "a condition on each entry"),
        ("nth(v, n)", "a whole number, 0 or more"),
        ("nth(v, 1.5)", "a whole number, 0 or more"),
        ("nth(v, true)", "a whole number, 0 or more"),
        ("v[true]", "a condition on each entry"),
        ("count(passed)", r"say sum\(\) for how many"),
        ("any(v)", "lists of conditions"),
        ("first(passed)", "must be true or false"),
        ("first(passed, 0)", "must be true or false"),
        ("first(v, v)", "one number an event"),
        ("leading(v, by=x)", '"leading" must be given lists'),
        ("zz + 1", "columns that exist .got `zz`"),
        ("jet_pt", 'did you mean "jet.pt"'),
    ],
)
def test_operands_that_do_not_fit_are_refused_with_their_text(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_expression(text).evaluate(COLUMNS)


def test_messages_are_one_line_for_texts_of_several():
    with pytest.raises(ConfigError, match="got `x > 1 1`"):
        parse_expression("x >\n1\t1")
    with pytest.raises(InputError, match=r"got numbers: `x \+ 1`"):
        parse_expression("not (x +\n1)").evaluate(COLUMNS)
    with pytest.raises(InputError, match="got lists: `v > 1`"):
        mask(parse_expression("v\n> 1"), COLUMNS, 3)


def test_columns_that_are_no_numbers_are_refused():
    for column in (np.array(["a"]), np.array([[1.0]]), ak.Array([[[1]]]), ak.Array([["a"]]), ak.Array([{"a": 1}]), [1]):
        with pytest.raises(InputError, match="column `c` must hold numbers or lists of numbers"):
            parse_expression("c + 1").evaluate({"c": column})


def test_hostile_expressions_end_at_once():
    assert value("9**9**9**9") == math.inf
    assert value("0 < (0 < " * 30 + "x" + " < 1) < 1" * 30) == [False] * 3  # a chain evaluates its middle once
    for text in ("-" * 9000 + "1", "+".join(["x"] * 3000), "(" * 500 + "1" + ")" * 500, "abs(" * 101 + "x" + ")" * 101):
        with pytest.raises(ConfigError):
            parse_expression(text)
    with pytest.raises(ConfigError, match="at most 10000 characters"):
        parse_expression("x + " * 3000 + "x")
    assert value("+".join(["x"] * 100)) == [100, 200, 300]
    assert value(" and ".join(["flag"] * 1000)) == [True, False, True]


def test_whole_numbers_are_compared_and_divided_exactly():
    assert value("event == 9007199254740993") == [False, True, False]
    assert value("event % 2 == 1") == [False, True, True]
    assert value("event // 10 % 10 == 9") == [True, True, False]
    assert value("event + 0 == 9007199254740992") == [True, True, False]  # arithmetic is float64
    assert value("huge == 18446744073709551615") == [True, False, False]
    assert value("huge % 10") == [5, 4, 1]
    assert value("n < 300") == [True] * 3
    assert value("-9223372036854775808 < event") == [True] * 3
    assert value("n % -2") == [-1, 0, -1]
    assert parse_expression("event").evaluate(COLUMNS).dtype == np.int64


def test_constants_are_not_rounded_to_the_precision_of_a_column():
    tenth = {"x": np.array([0.1], np.float32)}
    assert parse_expression("x > 0.1").evaluate(tenth).tolist() == [float(np.float32(0.1)) > 0.1] == [True]


def test_comparisons_with_nan_are_false():
    for sign in ("<", "<=", ">", ">=", "==", "!="):
        assert not value(f"gap {sign} 1")[1]
        assert not value(f"nan {sign} x")[0]
    assert value("gap != 1") == [False, False, True]
    assert value("0 < gap < 5") == [True, False, True]


def test_numbers_are_one_an_event():
    assert numbers(parse_expression("n"), COLUMNS, 3).dtype == np.float64
    assert numbers(parse_expression("2"), COLUMNS, 3).tolist() == [2, 2, 2]
    assert numbers(parse_expression("x > 1"), COLUMNS, 3).tolist() == [0, 1, 1]
    with pytest.raises(InputError, match=r"got lists: `v`\); say leading\(v, 0\), sum\(v\) or count\(v\)"):
        numbers(parse_expression("v"), COLUMNS, 3)


def test_masks_are_conditions():
    assert mask(parse_expression("x > 1"), COLUMNS, 3).tolist() == [False, True, True]
    assert mask(parse_expression("true"), COLUMNS, 3).tolist() == [True] * 3
    for text in ("x", "1", "n * 0"):
        with pytest.raises(InputError, match=r"must be true or false \(got numbers"):
            mask(parse_expression(text), COLUMNS, 3)
    with pytest.raises(InputError, match=r"say any\(v > 1\) or all\(v > 1\)"):
        mask(parse_expression("v > 1"), COLUMNS, 3)


def test_the_result_is_a_copy_that_may_be_changed():
    found = numbers(parse_expression("gap"), COLUMNS, 3)
    found[0] = 99
    assert COLUMNS["gap"][0] == 1


def test_no_events_are_no_trouble():
    empty = {"x": np.empty(0), "v": ak.Array([[1.0]])[:0]}
    for text in ("x + 1", "sum(v)", "leading(v, 0)", "subleading(v)", "max(v[v > 1], x)", "count(v)", "v[0]", "1"):
        assert numbers(parse_expression(text), empty, 0).shape == (0,)
    for text in ("x > 1", "any(v > 1)", "all(v > x)", "first(v > 1, false)"):
        assert mask(parse_expression(text), empty, 0).shape == (0,)


def aliased(text, **aliases):
    return with_aliases(parse_expression(text), {name: parse_expression(text) for name, text in aliases.items()})


def test_aliases_stand_for_what_they_are():
    found = aliased("double + x", double="2 * triple", triple="3 * n", unused="nowhere")
    assert found.names == {"x", "n"}
    assert found.text == "double + x"
    assert found.evaluate(COLUMNS).tolist() == [7, 14, 21]
    assert aliased("x", x="n * 10").evaluate(COLUMNS).tolist() == [10, 20, 30]  # hides a column
    assert aliased("x", x="n").names == {"n"}
    assert aliased("lists[0] + leading(v, by=lists)", lists="-v", v="v2").names == {"v2"}
    with pytest.raises(InputError, match="got numbers: `a`"):
        aliased("not a", a="x").evaluate(COLUMNS)


def test_aliases_that_need_themselves_are_refused():
    with pytest.raises(ConfigError, match=r"must not need themselves \(got (a -> b|b -> a)"):
        aliased("x", a="b + 1", b="a")
    with pytest.raises(ConfigError, match=r"got x -> x"):
        aliased("n", x="x / 1000")


def test_aliases_of_aliases_are_computed_once():
    chain = {f"a{i}": f"a{i - 1} + a{i - 1}" for i in range(1, 40)}
    found = aliased("a39", a0="x", **chain)
    assert found.names == {"x"}
    assert found.evaluate(COLUMNS)[0] == 2**39
    with pytest.raises(ConfigError, match="at most 100 deep with their aliases"):
        aliased("a60", a0="x", **{f"a{i}": f"a{i - 1} + 1" for i in range(1, 61)})


# ---- any formula is worth what its tree is

SIGNS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    ">=": operator.ge,
    "==": operator.eq,
}

leaves = st.sampled_from(["x", "n", "2", "0.5"]).map(
    lambda name: (name, COLUMNS[name].astype(np.float64) if name in COLUMNS else np.full(3, float(name)))
)
formulas = st.recursive(
    leaves,
    lambda inner: st.tuples(st.sampled_from(["+", "-", "*"]), inner, inner).map(
        lambda parts: (f"({parts[1][0]} {parts[0]} {parts[2][0]})", SIGNS[parts[0]](parts[1][1], parts[2][1]))
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(formulas, st.sampled_from(["<", ">=", "=="]), formulas)
def test_any_formula_is_worth_what_its_tree_is(left, sign, right):
    np.testing.assert_array_equal(numbers(parse_expression(left[0]), COLUMNS, 3), left[1])
    found = mask(parse_expression(f"!({left[0]} {sign} {right[0]}) || {left[0]} < 1"), COLUMNS, 3)
    np.testing.assert_array_equal(found, ~SIGNS[sign](left[1], right[1]) | (left[1] < 1))


@settings(max_examples=300)
@given(st.text(alphabet="xnv1.+-*/%()[]<>=!&|~,` \n\"'\\#µabspi:{}", max_size=25))
def test_any_text_is_evaluated_or_refused(text):
    with suppress(ConfigError, InputError):
        parse_expression(text).evaluate(COLUMNS)
