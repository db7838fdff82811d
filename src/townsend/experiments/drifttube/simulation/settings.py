"""Everything the drift-tube simulation can be told, with units in the names.

The defaults are the set-up of M. N. Anwar (Bari-Lecce meeting, 5 July 2024): muons of 10 GeV/c, He/iC4H10 90/10,
a round cell of 0.8 cm, 45 degrees to the wire, 1 GS/s, 800 ns after the track.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from townsend.config import Closed
from townsend.errors import did_you_mean

__all__ = [
    "MIXTURES",
    "AvalancheSettings",
    "DigitizerSettings",
    "DriftSettings",
    "DriftTubeSettings",
    "ElectronicsSettings",
    "IonizationSettings",
    "NoiseSettings",
    "SignalSettings",
    "TrackSettings",
    "TubeSettings",
]


MIXTURES = ("he90_iso10", "he85_iso15", "he80_iso20")
"""Helium/isobutane in per cent of molecules; 293.15 K, 1 atm."""


_ELSEWHERE = "simulate it with Garfield++ and take its file in with `townsend read`"


def _absolute(name: str) -> str:
    """Return a file's full name, which means the same in every process that a job starts."""
    return str(Path(name).absolute())


FileName = Annotated[str, Field(min_length=1), AfterValidator(_absolute)]


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

    shape: Literal["round"] = Field("round", description="no other is simulated")
    magnetic_field_T: float = Field(0.0, description="no other is simulated")
    gas: str = Field(
        "he90_iso10",
        description="mixture (he90_iso10, he85_iso15, he80_iso20; 293.15 K, 1 atm), or a .gas file of Garfield++",
    )
    inner_radius_cm: float = Field(0.4, gt=0, description="of the tube")
    wire_radius_cm: float = Field(0.001, gt=0, description="of the sense wire")
    voltage_V: float = Field(1460.0, gt=0, description="wire, tube at ground")

    @field_validator("shape", mode="before")
    @classmethod
    def _round(cls, shape: Any) -> Any:
        if shape != "round":
            msg = f"must be round, other cells need a field map; {_ELSEWHERE}"
            raise ValueError(msg)
        return shape

    @field_validator("magnetic_field_T")
    @classmethod
    def _no_magnet(cls, field: float) -> float:
        if field != 0:
            msg = f"must be 0, drift at an angle to the electric field is not simulated; {_ELSEWHERE}"
            raise ValueError(msg)
        return field

    @field_validator("gas")
    @classmethod
    def _known_gas(cls, gas: str) -> str:
        if gas in MIXTURES:
            return gas
        if not gas.endswith(".gas"):
            msg = f"must be a shipped mixture or a file *.gas{did_you_mean(gas, MIXTURES)}"
            raise ValueError(msg)
        return _absolute(gas)

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
    """Primary clusters and the electrons in each."""

    W_eV: float | None = Field(
        None, ge=30.0, le=39.51, description="energy an electron of a cluster; 90/10 only, null: 39.51 there"
    )
    max_cluster_size: int | None = Field(None, gt=0, description="larger clusters are not made; null keeps the tail")
    delta_range: bool = Field(True, description="electrons of a large cluster lie along a delta ray, which may leave")


class DriftSettings(Closed):
    """What befalls electrons on their way; attachment in the gas table counts always."""

    electron_lifetime_ns: float | None = Field(
        None, gt=0, description="mean time before an electron is lost (impurities, recombination); null: none is"
    )


class AvalancheSettings(Closed):
    """Gas gain of single electrons."""

    mean_gain: float = Field(2.0e5, gt=0, description="mean number of electrons in an avalanche")
    polya_theta: float = Field(0.5, gt=-1, description="0 is an exponential, large is narrow")


class SignalSettings(Closed):
    """Ions of an avalanche drift with mu E / sqrt(1 + E / E_s), at most with a highest velocity."""

    ion_mobility_cm2_per_Vs: float = Field(14.9, gt=0, description="mu, at low field")
    ion_saturation_V_per_cm: float = Field(15800.0, gt=0, description="E_s")
    ion_velocity_cm_per_us: float = Field(0.652, gt=0, description="highest, near the wire")


class ElectronicsSettings(Closed):
    """Second-order low-pass amplifier: w0^2 / (s^2 + w s + w0^2).

    The defaults reproduce two medians of the 2023 test-beam traces: 3.2 ns from 10 to 90 % of the first peak, and
    a largest sample of 25 mV (6 traces with a hit). The public simulation of the Bari group has 200 MHz for both
    frequencies, which rises in 1.2 ns.
    """

    transimpedance_mV_per_uA: float = Field(3.3, gt=0, description="gain for slow signals")
    frequency_MHz: float = Field(72.0, gt=0, description="w0 / 2 pi")
    width_MHz: float = Field(72.0, gt=0, description="w / 2 pi; equal to the frequency: Q = 1")
    coupling_time_ns: float | None = Field(
        None, gt=0, description="time constant of a high-pass behind it (AC coupling, tail cancellation); null: none"
    )
    impulse_response: FileName | None = Field(
        None, description="CSV with columns time_ns, response: the measured shape instead of the filter"
    )


SPECTRA = ("measured", "white", "none")


class NoiseSettings(Closed):
    """Noise at the input of the digitiser."""

    spectrum: str = Field(
        "measured",
        description="measured (2023 test-beam channels without a hit), white, none, or a preset of `townsend noise`",
    )
    rms_mV: float | None = Field(None, gt=0, description="level; null takes that of the measured spectrum")
    wander_mV: float = Field(0.0, ge=0, description="rms of a slow wander of the baseline")
    wander_time_ns: float = Field(1000.0, gt=0, description="its correlation time")

    @field_validator("spectrum")
    @classmethod
    def _known_spectrum(cls, spectrum: str) -> str:
        if spectrum in SPECTRA:
            return spectrum
        if not spectrum.endswith((".yaml", ".yml")):
            msg = f"must be a shipped spectrum or a file *.yaml{did_you_mean(spectrum, SPECTRA)}"
            raise ValueError(msg)
        return _absolute(spectrum)

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
    trigger_jitter_ns: float = Field(0.0, ge=0, description="rms of the track's time about pretrigger_ns")
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
    drift: DriftSettings = DriftSettings()
    avalanche: AvalancheSettings = AvalancheSettings()
    signal: SignalSettings = SignalSettings()
    electronics: ElectronicsSettings = ElectronicsSettings()
    noise: NoiseSettings = NoiseSettings()
    digitizer: DigitizerSettings = DigitizerSettings()
