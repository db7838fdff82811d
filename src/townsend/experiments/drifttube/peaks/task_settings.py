"""What the peak-finding task can be told, and what a finder trained by it must carry."""

from __future__ import annotations

from pydantic import Field

from townsend.config import Closed
from townsend.experiments.drifttube.peaks.set_fractions import SetFractions

__all__ = ["PeakFacts", "PeakSettings"]


class PeakSettings(SetFractions):
    """Candidates, windows, labels and sets of the peak-finding task."""

    windows: int = Field(30000, ge=100, description="training windows, half of them signal")
    before: int = Field(5, ge=1, description="samples of the window before the candidate")
    after: int = Field(9, ge=1, description="samples of the window after the candidate")
    tolerance_ns: float = Field(2.0, gt=0, description="largest distance between found and true arrival")
    double_pulse_ns: float = Field(2.0, ge=0, description="arrivals closer than this count as one")
    quoted_double_pulse_ns: float = Field(3.0, ge=0, description="second double-pulse time at which figures are quoted")
    visible_sigma: float = Field(1.0, ge=0, description="an electron counts when its pulse exceeds this many noise rms")
    validation_waveforms: int = Field(500, ge=20, description="waveforms judged at natural prevalence, validation")
    test_waveforms: int = Field(1000, ge=20, description="waveforms judged at natural prevalence, test")
    max_saturated_fraction: float = Field(
        0.01, ge=0, le=1, description="largest share of waveforms that may reach the end of the digitiser's range"
    )
    monitor_share: float = Field(0.3, gt=0, lt=1, description="monitor windows / (training + monitor windows)")


class PeakFacts(Closed):
    """What a finder must know to be applied to other waveforms; written into the arrays and the model card."""

    sampling_rate_ghz: float = Field(gt=0)
    before: int = Field(ge=1)
    after: int = Field(ge=1)
    scale_mV: float = Field(gt=0)
    delay_ns: float
    double_pulse_ns: float = Field(ge=0)
    quoted_double_pulse_ns: float = Field(ge=0)
    tolerance_ns: float = Field(gt=0)
    visible_fC: float = Field(ge=0)
    t0_ns: float
    max_drift_ns: float
    sample_seed: int | None
    input: str = "window of mV, signals going up, minus its mean, divided by scale_mV"
    output: str = "a score for each window, larger for the arrival of an electron"
    candidates: str = "samples with negative second difference"
    resolvable_truth: str = "visible electrons, those within double_pulse_ns merged"

    @property
    def width(self) -> int:
        """Return the samples of a window."""
        return self.before + 1 + self.after

    @property
    def separation(self) -> int:
        """Return how many samples apart two peaks must be."""
        return round(self.double_pulse_ns * self.sampling_rate_ghz)
