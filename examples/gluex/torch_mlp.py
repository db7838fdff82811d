"""The slides' network for electrons and pions, 6-8-5-1, in PyTorch; what it is trained with stands in torch.yaml.

Run: townsend train torch.yaml --build torch_mlp.py --table tracks -o run
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch


def build(hp: Any) -> torch.nn.Module:
    """Return a network of 107 parameters that maps (n, 6) standardised inputs to (n, 1) scores in (0, 1)."""
    widths = [*hp.input_shape, *(int(width) for width in hp["layers"].split())]
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [_dense(inputs, outputs), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, _dense(widths[-1], 1), torch.nn.Sigmoid())


def _dense(inputs: int, outputs: int) -> torch.nn.Linear:
    """Return a layer with first weights as Keras and scikit-learn draw them; PyTorch's own are narrower."""
    layer = torch.nn.Linear(inputs, outputs)
    torch.nn.init.xavier_uniform_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return layer
