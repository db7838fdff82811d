"""The analysis by hand that a network has to beat: one cut on energy over momentum in either part of the detector.

What to use when
----------------
- `passes_cuts`: which tracks are called electrons.
- `cuts_expression`: the same as text, for tables (`cuts`, `aliases`) whose columns are named as the six inputs.

Below 11 degrees 0.70 < E_FCAL / p < 1.25; above, E_preshower / p > 0.067. The first figure is that of GlueX
(E/p > 0.70 in the forward calorimeter, its wiki; in the barrel 0.67 of the whole energy, which is not among the
inputs). The upper edge and the threshold in the first layer are choices, made before the first simulated figure; a scan
over five and eight values on a training half came to the same. The slides do not print theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cuts_expression", "passes_cuts"]

_FORWARD_DEG, _FCAL_LOW, _FCAL_HIGH, _PRESHOWER_LOW = 11, 0.70, 1.25, 0.067


def cuts_expression(ending: str = "") -> str:
    """Return the condition in the language of `townsend.sample.expression`; `ending` is that of the columns' names."""
    p, theta, preshower, fcal = (f"{name}{ending}" for name in ("p", "theta", "dE_BCAL_preshower", "dE_FCAL"))
    forward = f"({fcal}/{p} > {_FCAL_LOW}) & ({fcal}/{p} < {_FCAL_HIGH})"
    return f"where({theta} < {_FORWARD_DEG}*pi/180, {forward}, {preshower}/{p} > {_PRESHOWER_LOW})"


def passes_cuts(inputs: Mapping[str, NDArray[Any]], ending: str = "") -> NDArray[np.bool_]:
    """Return which tracks pass.

    Arguments:
        inputs: name -> (n,) of the six inputs, momenta > 0.
        ending: of their names, for example "_plus".
    """
    p, theta, preshower, fcal = (
        np.asarray(inputs[f"{name}{ending}"], np.float64) for name in ("p", "theta", "dE_BCAL_preshower", "dE_FCAL")
    )
    forward = theta < np.deg2rad(_FORWARD_DEG)
    in_fcal = (fcal / p > _FCAL_LOW) & (fcal / p < _FCAL_HIGH)
    return np.where(forward, in_fcal, preshower / p > _PRESHOWER_LOW)
