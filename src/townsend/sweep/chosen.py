"""A folder made by `townsend choose`, opened again to be applied.

What to use when
----------------
- `open_chosen`: card and network, both checked, of a folder that must hold a model of a given task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from townsend.errors import InputError
from townsend.files import read_sealed
from townsend.networks.stored import load_network
from townsend.sweep.card import MADE_BY

__all__ = ["Chosen", "open_chosen"]


@dataclass(frozen=True)
class Chosen:
    """A chosen network: the Keras model and its card."""

    network: Any
    card: Mapping[str, Any]


def open_chosen(model: Path, task: str) -> Chosen:
    """Return what `townsend choose` left in the folder `model`.

    Raises InputError when it is no such folder, its card was edited, its task is another, its network is damaged, has
    layers that are not stock Keras, or takes another input than the card says.
    """
    card = read_sealed(model / "card.json")
    if card.get("made_by") != MADE_BY:
        msg = f"{model} must be a folder made by `{MADE_BY}` (its card.json is another's); name such a folder"
        raise InputError(msg)
    if card["task"] != task:
        msg = f'{model} must hold a model of task "{task}" (got "{card["task"]}"); choose one from such a sweep'
        raise InputError(msg)
    network = load_network(model / "model.keras")
    found, said = tuple(network.input_shape[1:]), tuple(card["input_shape"])
    if found != said:
        msg = f"{model}/model.keras must take the input its card says (takes {found}, card {said}); make it again"
        raise InputError(msg)
    return Chosen(network, card)
