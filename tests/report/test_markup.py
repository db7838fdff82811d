"""Pages that cannot be broken by what they show, and that load nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.evaluate.verdict import Verdict
from townsend.report.embed import Picture, drawn, read_png
from townsend.report.markup import (
    Markup,
    bullets,
    code_block,
    data_table,
    details,
    join,
    paragraph,
    picture,
    tag,
    verdict_list,
)
from townsend.report.page import MARKER, Section, check_page, page, write_page
from townsend.report.regression_figures import residual_figure
from townsend.report.style import figure, save

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'single' <img src=x onerror=alert(1)>"


class Read(HTMLParser):
    """Elements and text of a page, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(name)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_text_comes_back_as_it_was_and_makes_no_element(text: str) -> None:
    shown = "".join(c for c in text if c.isprintable())
    read = Read(tag("p", shown, title=shown).text)
    assert read.tags == ["p"]
    assert read.text == shown
    assert read.attributes == [("title", shown)]


def test_every_part_escapes_what_it_is_given() -> None:
    parts = (
        paragraph(HOSTILE),
        bullets([HOSTILE]),
        details(HOSTILE, HOSTILE),
        code_block(HOSTILE, HOSTILE),
        verdict_list([Verdict(False, HOSTILE)]),
        data_table([HOSTILE], [[HOSTILE]], HOSTILE, groups={0: HOSTILE}),
        picture(Picture(b"x", "image/png", 1, 1), HOSTILE, HOSTILE),
    )
    read = Read(page(HOSTILE, HOSTILE, [Section("a", HOSTILE, join(*parts))], HOSTILE))
    assert read.tags.count("script") == 1  # the page's own
    assert read.tags.count("img") == 1  # the picture
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert read.text.count(HOSTILE) >= 10


def test_control_characters_are_shown_not_obeyed() -> None:
    assert tag("p", "a\x1b[2J\u202eb\nc").text == "<p>a\\x1b[2J\\u202eb\nc</p>"


def test_attributes_are_left_out_stand_alone_or_lose_their_underscores() -> None:
    assert tag("a", "x", class_=None, hidden=True, open=False, aria_label="y").text == '<a hidden aria-label="y">x</a>'


def test_verdicts_have_their_marks() -> None:
    read = Read(verdict_list([Verdict(True, "fine"), Verdict(False, "care")]).text)
    assert read.text == "ok finenote care"
    assert [value for name, value in read.attributes if name == "class"] == ["verdicts", "ok", "mark", "note", "mark"]


def test_a_table_sets_numbers_to_the_right_and_marks_rows() -> None:
    rows = [["a", "1"], ["b", "2"], ["c", "3"]]
    text = data_table(["name", "n"], rows, "numbers", marked=[0], faint=[2], groups={1: "more"}).text
    assert text.count('class="number"') == 4
    assert '<tr class="best"><th scope="row">a' in text
    assert '<tr class="faint"><th scope="row">c' in text
    assert text.index("more") < text.index(">b<")


# ---- the page as a whole


def whole() -> str:
    return page("title", "lead", [Section("one", "One", paragraph("text"))], "end")


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    text = whole()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].replace("&#x27;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for name in ("style", "script"):
        inner = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
        assert inner is not None
        digest = base64.b64encode(hashlib.sha256(inner[1].encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"


def test_the_page_names_no_other_resource() -> None:
    read = Read(whole())
    assert [value for name, value in read.attributes if name in ("src", "href", "data", "srcset")] == ["#one"]
    assert "url(" not in whole()
    assert "@import" not in whole()
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(read.tags)


def test_headings_are_in_order_and_links_lead_to_sections() -> None:
    read = Read(whole())
    assert [name for name in read.tags if re.fullmatch("h[1-6]", name)] == ["h1", "h2", "h2"]
    assert ("id", "one") in read.attributes


def test_a_page_replaces_a_page_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_page(path, whole())
    write_page(path, whole())
    assert MARKER in path.read_text()[:200]
    other = tmp_path / "thesis.html"
    other.write_text("<p>mine</p>")
    with pytest.raises(InputError, match="another file"):
        write_page(other, whole())
    assert other.read_text() == "<p>mine</p>"
    with pytest.raises(InputError, match=r"it is a folder.*report\.html"):
        check_page(tmp_path)
    with pytest.raises(InputError, match=r"thesis\.html is a file"):
        check_page(other / "below.html")
    (tmp_path / "link.html").symlink_to(path)
    with pytest.raises(InputError, match="another file"):
        check_page(tmp_path / "link.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.html", "new", "thesis.html"]


# ---- pictures


def test_a_figure_is_as_large_as_png_as_it_is_as_svg() -> None:
    def draw(path: Path) -> None:
        canvas, axes = figure(4.0, 3.0)
        axes.plot([1, 2], [3, 4])
        save(canvas, path)

    png, svg = drawn(draw), drawn(draw, "svg")
    assert (png.media_type, svg.media_type) == ("image/png", "image/svg+xml")
    assert (png.width, png.height) == (svg.width, svg.height) == (384, 288)
    assert png.data.startswith(b"\x89PNG")
    assert drawn(draw, "svg").data == svg.data  # no date, no random names


def test_a_picture_is_part_of_the_page() -> None:
    values = np.random.default_rng(2).normal(size=100)
    made = picture(drawn(partial(residual_figure, values, 0 * values, "t"), "svg"), "what it shows", "below")
    source = dict(Read(made.text).attributes)["src"]
    assert source is not None
    kind, _, data = source.partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert b"<svg" in base64.b64decode(data)
    assert dict(Read(made.text).attributes)["alt"] == "what it shows"


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"GIF89a" + bytes(30))
    with pytest.raises(InputError, match="must be a PNG"):
        read_png(tmp_path / "x.png")
    with pytest.raises(InputError, match="readable"):
        read_png(tmp_path / "none.png")


def test_markup_enters_a_page_as_it_is() -> None:
    assert tag("p", Markup("<b>x</b>"), "<b>").text == "<p><b>x</b>&lt;b&gt;</p>"
