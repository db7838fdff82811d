"""Names of any length and any letters, and looks that are told apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from townsend.report.legible import class_colours, headline, legend_below, looks, short, wrapped
from townsend.report.style import COLOURS, panels, plain

LETTERS = st.text(st.characters(exclude_characters="$"), max_size=80)


def test_thirty_five_models_have_looks_of_their_own() -> None:
    names = [str(number) for number in range(35)]
    found = looks(names)
    assert list(found) == names
    assert len({(look.colour, look.line) for look in found.values()}) == 35
    assert looks(["a", "a", "b"]) == looks(["a", "b"])


def test_two_classes_have_the_colours_of_all_figures() -> None:
    assert class_colours(["pion", "electron"]) == (COLOURS["background"], COLOURS["signal"])
    assert len(set(class_colours(["WZ", "ZZ", "ttZ"]))) == 3


@given(LETTERS)
def test_short_names_are_as_they_are_and_long_ones_keep_both_ends(text: str) -> None:
    found, whole = short(text, 20), plain(text)
    assert found == whole if len(whole) <= 20 else len(found) == 20
    assert found[:8] == whole[:8]
    assert found[-8:] == whole[-8:]


def test_wrapped_text_is_drawn_as_it_is_in_lines_that_fit() -> None:
    assert wrapped("a $b$ c", 40) == r"a \$b\$ c"
    lines = wrapped("one two three four five six", 9).split("\n")
    assert lines == ["one two", "three", "four five", "six"]
    assert wrapped("one two three four five six", 9, 3).split("\n") == ["one two", "three", "four fiv…"]
    assert "\x1b" not in wrapped("\x1b[31mred", 40)


def test_pictures_grow_with_long_titles_and_legends() -> None:
    canvas, (axes,) = panels(1, 1, 5.0, 4.0)
    handles = axes.plot([0, 1], [[0] * 6, [1] * 6])
    legend_below(canvas, handles, ["a name of some length, of forty letters"] * 6)
    assert canvas.get_figheight() > 4.9  # six rows of one column
    before = canvas.get_figheight()
    headline(canvas, "word " * 40)
    assert canvas.get_suptitle().count("\n") >= 3
    assert canvas.get_figheight() > before + 0.5
    legend_below(canvas, [], [])
    assert len(canvas.legends) == 1
