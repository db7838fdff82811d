"""One sentence on whether a result may be believed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Verdict"]


@dataclass(frozen=True)
class Verdict:
    """A judgement that is printed before the numbers it concerns.

    Arguments:
        ok: False when the numbers need care.
        sentence: what was found, with its figures.
    """

    ok: bool
    sentence: str

    def to_json(self) -> dict[str, bool | str]:
        """Return a JSON-like copy."""
        return {"ok": self.ok, "sentence": self.sentence}
