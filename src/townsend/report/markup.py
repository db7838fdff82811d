"""HTML that cannot be broken by what it shows: text becomes markup in one place only, and is escaped there.

What to use when
----------------
- `tag`: an element around text and other elements; `join`: several of them.
- `section`, `paragraph`, `bullets`, `verdict_list`, `data_table`, `code_block`, `details`, `picture`: parts of a page.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from townsend.errors import printable
from townsend.evaluate.verdict import Verdict
from townsend.report.embed import Picture

__all__ = [
    "Content",
    "Markup",
    "bullets",
    "code_block",
    "data_table",
    "details",
    "join",
    "paragraph",
    "picture",
    "section",
    "tag",
    "verdict_list",
]

_EMPTY = frozenset({"br", "img", "meta"})
_WIDE = 800  # pixels beyond which a picture would be illegible on a phone; it scrolls in its own frame there


@dataclass(frozen=True)
class Markup:
    """HTML made by `tag`; any other text is escaped when it enters a page."""

    text: str


Content = str | Markup


def join(*parts: Content) -> Markup:
    """Return all parts one after the other."""
    return Markup("".join(part.text if isinstance(part, Markup) else escape(part) for part in parts))


def escape(text: str) -> str:
    """Return text without markup; control characters but line ends and tabs are shown as escapes."""
    shown = "".join(c if c in "\n\t" else printable(c) for c in text)
    return html.escape(shown, quote=True)


def tag(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """Return an element.

    Arguments:
        name: of the element, written in the code, never taken from a file.
        content: text, which is escaped, and elements.
        attributes: `_` stands for `-`, a trailing one is dropped (`class_`); None and False leave the attribute out.
    """
    written = []
    for attribute, value in attributes.items():
        label = attribute.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {label}")
        elif value is not None and value is not False:
            written.append(f' {label}="{escape(str(value))}"')
    opening = f"<{name}{''.join(written)}>"
    return Markup(opening if name in _EMPTY else f"{opening}{join(*content).text}</{name}>")


def paragraph(*content: Content, class_: str | None = None) -> Markup:
    """Return a paragraph."""
    return tag("p", *content, class_=class_)


def bullets(items: Iterable[Content]) -> Markup:
    """Return a list."""
    return tag("ul", *[tag("li", item) for item in items])


def section(identifier: str, title: str, *content: Content) -> Markup:
    """Return a section with its heading; `identifier` is what the list of contents points to."""
    return tag("section", tag("h2", title), *content, id=identifier)


def details(summary: str, *content: Content) -> Markup:
    """Return what is folded away under one line."""
    return tag("details", tag("summary", summary), *content)


def verdict_list(verdicts: Iterable[Verdict]) -> Markup:
    """Return verdicts with a mark in front of each: ok, or note where the numbers need care."""
    rows = []
    for verdict in verdicts:
        kind = "ok" if verdict.ok else "note"
        rows.append(tag("li", tag("b", kind, class_="mark"), " ", tag("span", verdict.sentence), class_=kind))
    return tag("ul", *rows, class_="verdicts")


def data_table(
    header: Sequence[str],
    rows: Iterable[Sequence[Content]],
    caption: str,
    *,
    text_columns: Iterable[int] = (0,),
    marked: Iterable[int] = (),
    faint: Iterable[int] = (),
    groups: Mapping[int, str] | None = None,
) -> Markup:
    """Return a table that scrolls in its own frame where it is wider than the page.

    Arguments:
        header: names of the columns; rows: cells; caption: what the table shows.
        text_columns: columns set to the left; all others are numbers.
        marked, faint: rows that stand out, rows that count less.
        groups: number of a row -> heading of it and those that follow.
    """
    left, strong, weak, headings = set(text_columns), set(marked), set(faint), groups or {}

    def cell(name: str, column: int, content: Content) -> Markup:
        scope = "row" if name == "th" else None
        return tag(name, content, class_=None if column in left else "number", scope=scope)

    body = []
    for index, row in enumerate(rows):
        if index in headings:
            heading = tag("th", headings[index], colspan=len(header), scope="rowgroup")
            body.append(tag("tr", heading, class_="group"))
        cells = [cell("th" if column == 0 else "td", column, content) for column, content in enumerate(row)]
        body.append(tag("tr", *cells, class_="best" if index in strong else "faint" if index in weak else None))
    heads = [tag("th", name, scope="col", class_=None if i in left else "number") for i, name in enumerate(header)]
    named = "named" if header[0] == "" else None  # its first column says in words what the rows are
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_=named, aria_label=caption)
    frame = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return tag("figure", tag("figcaption", caption), frame, class_="data")


def code_block(text: str, title: str = "") -> Markup:
    """Return text as it is, in its own scrolling frame."""
    block = tag("pre", tag("code", text), tabindex=0, aria_label=title or "text")
    return join(tag("p", title, class_="file"), block) if title else block


def picture(image: Picture, alternative: str, caption: Content) -> Markup:
    """Return a figure whose image is part of the page.

    Arguments:
        image: the picture; alternative: what it shows, for those who do not see it; caption: text below it.
    """
    data = base64.b64encode(image.data).decode()
    source = f"data:{image.media_type};base64,{data}"
    element = tag("img", src=source, width=image.width, height=image.height, alt=alternative)
    frame = "scroll wide" if image.width > _WIDE else "scroll"
    return tag("figure", tag("div", element, class_=frame, tabindex=0), tag("figcaption", caption))
