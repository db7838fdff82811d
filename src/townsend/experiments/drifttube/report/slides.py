"""Figures of the talk that this experiment repeats, to be laid beside ours; none of them is measured here.

M. N. Anwar, "Simulation based on Garfield++ and Hyperparameter Optimization for Deep Learning Model Using High
Performance Computing", Bari-Lecce meeting, 5 July 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SLIDES", "Cost", "Slides"]


@dataclass(frozen=True)
class Cost:
    """Usage of one batch job: CPUs, highest memory [MB], wall clock [s]."""

    cpus: float
    memory_MB: float
    wall_s: float


@dataclass(frozen=True)
class Slides:
    """What the talk quotes: mean numbers a waveform, figures of merit of the best networks, what a job used."""

    true_clusters: float = 18.04
    predicted_clusters: float = 14.89
    detected_peaks: float = 15.33
    electrons_per_cluster: float = 1.085
    auc: float = 0.9699088
    mse: float = 3.72629
    finder_job: Cost = Cost(1.66, 826, 14 * 60 + 22)
    clusteriser_job: Cost = Cost(1, 135, 60 + 6)

    @property
    def relative_bias(self) -> float:
        """Return (predicted - true) / true."""
        return self.predicted_clusters / self.true_clusters - 1


SLIDES = Slides()
