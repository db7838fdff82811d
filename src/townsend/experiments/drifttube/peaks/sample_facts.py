"""What a network must know of the sample it is trained on: its pulses and its clock, whoever made the sample.

What to use when
----------------
- `pulse_facts`: delay and height of a single electron's pulse, from the settings of a simulated sample or from what
  `townsend read` found in files of another program.
- `check_clock`: refuses a sample that does not say when the track passed and how long electrons drift.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from townsend.config import parse
from townsend.errors import ConfigError, InputError
from townsend.experiments.drifttube.simulation.noise import noise_rms_mV
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import single_electron_response
from townsend.sample.provenance import Provenance
from townsend.sample.waveforms import Waveforms

__all__ = ["PulseFacts", "check_clock", "pulse_facts"]

_OF_OTHERS = ("read littlepi", "read sciencedb")


class PulseFacts(NamedTuple):
    """A single electron's pulse.

    Attributes:
        delay_ns: from the arrival to the top.
        sigma_fC: charge whose pulse is as high as the noise's rms; 0 where charges are unknown.
        bits: of the digitiser, None where unknown.
    """

    delay_ns: float
    sigma_fC: float
    bits: int | None


def pulse_facts(provenance: Provenance, sample: Path) -> PulseFacts:
    """Return what is known of a single electron's pulse.

    Arguments:
        provenance: of the sample; sample: its folder, for messages.

    Raises InputError when the sample does not say enough of it.
    """
    settings = provenance.settings
    if provenance.kind in _OF_OTHERS:
        delay_ns = settings.get("delay_ns")
        if not isinstance(delay_ns, float | int):
            msg = f"{sample} must say how late pulses are (it has delay_ns {delay_ns}); read its files again"
            raise InputError(msg)
        return PulseFacts(float(delay_ns), 0.0, None)
    try:
        simulation = parse(DriftTubeSettings, settings)
    except ConfigError as error:
        rule = f"{sample} must have been made by `townsend simulate` or `townsend read` of this version"
        msg = f'{rule} (got "{provenance.kind}": {error}); make it again'
        raise InputError(msg) from None
    response = single_electron_response(simulation)
    noise_mV = noise_rms_mV(simulation.noise, simulation.digitizer)
    return PulseFacts(response.delay_ns, noise_mV / float(response.table_mV.max()), simulation.digitizer.bits)


def check_clock(waveforms: Waveforms, sample: Path) -> None:
    """Raise InputError unless the sample says when the track passed and how long electrons drift at most."""
    for name, value in (("t0_ns", waveforms.t0_ns), ("max_drift_ns", waveforms.max_drift_ns)):
        if not np.isfinite(value):
            rule = f"{sample} must say {name} to train on (it does not)"
            msg = f"{rule}; set `{name}` in the --config file of `townsend read` and read its files into a new folder"
            raise InputError(msg)
