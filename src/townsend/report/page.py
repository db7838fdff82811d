"""A page that needs nothing but itself: one HTML file, no remote resource, no network at all.

What to use when
----------------
- `page`: put sections together; `write_page`: to a file, which must be new or an earlier page of ours.
- `townsend.report.markup`: what sections are made of; `townsend.report.zoom`: waveforms that can be zoomed.

A content security policy forbids the page to load anything and to run any script but its own two files, known by hash:
were a name ever to slip through the escaping, it would still be text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from townsend.errors import InputError
from townsend.files import write_text
from townsend.report.markup import Content, Markup, join, section, tag

__all__ = ["MARKER", "Section", "check_page", "page", "write_page"]

MARKER = "<!-- townsend report -->"
"""Comment by which a file is known as a page that may be replaced."""


@dataclass(frozen=True)
class Section:
    """A part of a page: identifier of the link to it, title, content."""

    identifier: str
    title: str
    content: Markup


def page(title: str, lead: Content, sections: Sequence[Section], footer: Content) -> str:
    """Return a whole page.

    Arguments:
        title: heading; lead: what the page says in a few sentences; sections: in their order; footer: last line.
    """
    style, script = (_package_file(name) for name in ("page.css", "zoom.js"))
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        _raw("style", style),
    )
    links = [tag("li", tag("a", part.title, href=f"#{part.identifier}")) for part in sections]
    body = join(
        tag("header", tag("h1", title), lead),
        tag("nav", tag("h2", "On this page"), tag("ol", *links), aria_label="On this page"),
        tag(
            "main",
            *[section(part.identifier, part.title, part.content) for part in sections],
            tag("footer", footer),
        ),
        _raw("script", script),
    )
    return f"<!DOCTYPE html>\n{MARKER}\n{tag('html', tag('head', head), tag('body', body), lang='en').text}\n"


def _package_file(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _raw(name: str, text: str) -> Markup:
    """Return style or script of this package: in these two elements text is not escaped."""
    if f"</{name}" in text:
        msg = f"a {name} must not hold its own closing tag"
        raise ValueError(msg)
    return Markup(f"<{name}>{text}</{name}>")


def check_page(path: Path) -> None:
    """Raise InputError unless `path` is new or a page written before, in a folder or where one can be made."""
    if path.is_dir():
        msg = f"{path} must be a file (it is a folder); add a name, for example {path / 'report.html'}"
        raise InputError(msg)
    if path.is_symlink() or (path.exists() and not _is_ours(path)):
        msg = f"{path} must be new or a report made before (it is another file); choose another name"
        raise InputError(msg)
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        msg = f"{path} must lie in a folder ({parent} is a file); choose another name"
        raise InputError(msg)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return MARKER.encode() in stream.read(200)
    except OSError:
        return False


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises InputError when the file is another's or cannot be written.
    """
    check_page(path)
    try:
        write_text(path, text)
    except OSError as error:
        msg = f"{path} must be writable ({error.strerror}); choose another place"
        raise InputError(msg) from None
