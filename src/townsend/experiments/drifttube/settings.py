"""Everything the drift-tube simulation can be told, with units in the names.

The defaults are the set-up of M. N. Anwar (Bari-Lecce meeting, 5 July 2024): muons of 10 GeV/c, He/iC4H10 90/10,
a round cell of 0.8 cm, 45 degrees to the wire, 1 GS/s, 800 ns after the track.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from townsend.config import Closed

__all__ = [
    "AvalancheSettings",
    "DigitizerSettings",
    "DriftTubeSettings",
    "ElectronicsSettings",
    "IonizationSettings",
    "NoiseSettings",
    "SignalSettings",
    "TrackSettings",
    "TubeSettings",
]


class TrackSettings(Closed):
    """The particle and where it crosses the tube."""

    particle: Literal["electron", "muon", "pion", "kaon", "proton"] = Field("muon", description="charge one")
    momentum_GeV: float = Field(10.0, gt=0, description="momentum [GeV/c]")
    angle_to_wire_deg: float = Field(45.0, gt=0, le=90, description="angle between track and wire")
    impact: Literal["central", "uniform"] = Field(
        "central", description="central: |b| <= impact_max_cm; uniform: over the tube"
    )
    impact_max_cm: float = Field(0.08, gt=0, description="largest |b| of the central beam")


class TubeSettings(Closed):
    """A round tube with the wire in its middle, no magnetic field."""

    gas: Literal["he90_iso10", "he80_iso20"] = Field("he90_iso10", description="mixture, 293 K, 1 atm")
    inner_radius_cm: float = Field(0.4, gt=0, description="of the tube")
    wire_radius_cm: float = Field(0.001, gt=0, description="of the sense wire")
    voltage_V: float = Field(1460.0, gt=0, description="wire, tube at ground")

    @model_validator(mode="after")
    def _wire_fits(self) -> Self:
        if self.wire_radius_cm >= self.inner_radius_cm:
            msg = (
                f"wire_radius_cm must be smaller than inner_radius_cm (got {self.wire_radius_cm} and "
                f"{self.inner_radius_cm}); both are radii in cm"
            )
            raise ValueError(msg)
        return self


class IonizationSettings(Closed):
    """Primary clusters and the electrons in each.

    A cluster of 300 electrons is a delta electron of 12 keV, which travels further than the tube is wide. Heed's
    sizes up to 300 have a mean of 1.394; Heed with delta electrons transported inside the tube gives 1.391 (1.529
    without a cut in a box that contains them).
    """

    max_cluster_size: int | None = Field(300, gt=0, description="larger clusters leave the tube; null keeps the tail")


class AvalancheSettings(Closed):
    """Gas gain of single electrons."""

    mean_gain: float = Field(2.0e5, gt=0, description="mean number of electrons in an avalanche")
    polya_theta: float = Field(0.5, gt=-1, description="0 is an exponential, large is narrow")


class SignalSettings(Closed):
    """Current induced on the wire by one avalanche."""

    electron_fraction: float = Field(0.041, ge=0, lt=1, description="share of the charge induced by electrons")
    ion_mobility_cm2_per_Vs: float = Field(13.1, gt=0, description="at low field")
    ion_saturation_V_per_cm: float = Field(6.8e4, gt=0, description="field at which the mobility has halved")


class ElectronicsSettings(Closed):
    """Second-order low-pass amplifier: w0^2 / (s^2 + w s + w0^2).

    The defaults reproduce two medians of the 2023 test-beam traces: 3.2 ns from 10 to 90 % of the first peak, and
    a largest sample of 25 mV (6 traces with a hit). The public simulation of the Bari group has 200 MHz for both
    frequencies, which rises in 1.2 ns.
    """

    transimpedance_mV_per_uA: float = Field(3.3, gt=0, description="gain for slow signals")
    frequency_MHz: float = Field(72.0, gt=0, description="w0 / 2 pi")
    width_MHz: float = Field(72.0, gt=0, description="w / 2 pi; equal to the frequency: Q = 1")


class NoiseSettings(Closed):
    """Noise at the input of the digitiser."""

    spectrum: Literal["measured", "white", "none"] = Field(
        "measured", description="measured: shape and level of 2023 test-beam channels without a hit"
    )
    rms_mV: float | None = Field(None, gt=0, description="level; null takes that of the measured spectrum")

    @model_validator(mode="after")
    def _white_needs_a_level(self) -> Self:
        if self.spectrum == "white" and self.rms_mV is None:
            msg = "rms_mV must be given for white noise (got null); 0.54 is the measured full-band level"
            raise ValueError(msg)
        return self


class DigitizerSettings(Closed):
    """Sampling and conversion."""

    sampling_rate_GHz: float = Field(1.0, ge=0.5, le=5.0, description="samples a ns")
    samples: int = Field(1024, ge=16, le=65536, description="samples a waveform")
    pretrigger_ns: float = Field(224.0, ge=0, description="baseline before the track")
    full_scale_V: float = Field(1.0, gt=0, description="range, centred on 0 V")
    bits: int = Field(16, ge=4, le=16, description="of the converter")
    offset_mV: float = Field(0.0, description="baseline of the digitiser")
    polarity: Literal[1, -1] = Field(1, description="+1: signals go up")


class DriftTubeSettings(Closed):
    """The whole simulation; `seed` names the random streams."""

    seed: int = Field(1, ge=0, lt=1 << 31, description="names the sample")
    track: TrackSettings = TrackSettings()
    tube: TubeSettings = TubeSettings()
    ionization: IonizationSettings = IonizationSettings()
    avalanche: AvalancheSettings = AvalancheSettings()
    signal: SignalSettings = SignalSettings()
    electronics: ElectronicsSettings = ElectronicsSettings()
    noise: NoiseSettings = NoiseSettings()
    digitizer: DigitizerSettings = DigitizerSettings()
