"""Pictures as bytes, to be part of a page.

What to use when
----------------
- `drawn`: a figure of `townsend.report`, as PNG or SVG.
- `read_png`: a picture drawn before.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from townsend.errors import InputError

__all__ = ["Picture", "drawn", "read_png"]

_DPI = 110
_PIXELS_A_POINT = 4 / 3


@dataclass(frozen=True)
class Picture:
    """An image: its bytes, media type, and size on the page in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


def drawn(draw: Callable[[Path], None], kind: Literal["png", "svg"] = "png") -> Picture:
    """Return what `draw` writes to the path it is given; SVG is sharper, but large where there are many points."""
    from matplotlib import rc_context

    with tempfile.TemporaryDirectory() as folder, rc_context({"savefig.dpi": _DPI}):
        path = Path(folder) / f"figure.{kind}"
        draw(path)
        if kind == "svg":
            data = path.read_bytes()
            return Picture(data, "image/svg+xml", *_svg_size(data))
        found = read_png(path)
        # As large on the page as an SVG would be: a CSS pixel is 1/96 inch.
        return replace(found, width=round(found.width * 96 / _DPI), height=round(found.height * 96 / _DPI))


def _svg_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels from the first element, as matplotlib writes it."""
    opening = data[data.index(b"<svg") :].partition(b">")[0]
    sizes = dict(re.findall(rb'\b(width|height)="([\d.]+)pt"', opening))
    if len(sizes) != 2:
        msg = "a figure must say its size in points; draw it with townsend.report.style"
        raise InputError(msg)
    return round(float(sizes[b"width"]) * _PIXELS_A_POINT), round(float(sizes[b"height"]) * _PIXELS_A_POINT)


def read_png(path: Path) -> Picture:
    """Return a PNG file as a picture.

    Raises InputError when it cannot be read or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path} must be a readable picture ({error.strerror}); make its folder again"
        raise InputError(msg) from None
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        msg = f"{path} must be a PNG picture (its first bytes are not); make its folder again"
        raise InputError(msg)
    width, height = struct.unpack(">II", data[16:24])
    return Picture(data, "image/png", int(width), int(height))
