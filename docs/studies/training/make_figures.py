"""Make the figures of the study of trainings from its finished sweeps, and print the numbers of its page.

    python docs/studies/training/make_figures.py RUNS

RUNS holds the folders weights, dropout-few, dropout-many, batches, schedules, patience and optimizers, each made by
`townsend sweep` from the file of the same name beside this one. Figures go to docs/images.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.report.style import panels, save, styled
from townsend.sweep.records import read_curves, read_records, read_weights
from townsend.training.hyperparameters import OPTIMIZERS, SCHEDULES
from townsend.training.records import FitRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES = Path(__file__).parents[2] / "images"
COLOURS = ("#1b5e9c", "#d95f02", "#2a9d5c", "#7a5195", "0.35", "#d62728")
SMALL = 1e-3

Floats = NDArray[np.float64]


class Mean(NamedTuple):
    """Over the repeats of a configuration: mean, its error, and the standard deviation between them."""

    value: float
    error: float
    spread: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.error:.4f} (spread {self.spread:.4f})"


@dataclass(frozen=True)
class Configuration:
    """The repeats of one configuration of a sweep."""

    run: Path
    fits: list[FitRecord]

    def __getitem__(self, name: str) -> Any:
        return self.fits[0].hyperparameters[name]

    @property
    def usable(self) -> bool:
        return all(fit.outcome.usable for fit in self.fits)

    def curves(self, name: str) -> list[Floats]:
        return [read_curves(self.run, fit.trial, repeat=fit.repeat)[name].astype(np.float64) for fit in self.fits]

    def metric(self, name: str) -> Mean:
        return mean([fit.metrics[name].value for fit in self.fits])

    @property
    def core_s(self) -> float:
        """Of an epoch, from fits whose program was compiled already."""
        return float(np.median([fit.cpu_s / fit.epochs for fit in self.fits if fit.compile_s == 0]))


def keep(canvas: Figure, name: str) -> None:
    """Write a figure with 64 colours, which are enough and a third of the bytes."""
    from PIL import Image

    save(canvas, IMAGES / name)
    Image.open(IMAGES / name).convert("RGB").quantize(64).save(IMAGES / name, optimize=True)


def mean(values: Sequence[float] | Floats) -> Mean:
    spread = float(np.std(values, ddof=1))
    return Mean(float(np.mean(values)), spread / len(values) ** 0.5, spread)


def configurations(run: Path) -> list[Configuration]:
    records = read_records(run)
    trials = sorted({record.trial for record in records})
    cost = sum(record.cpu_s for record in records)
    compiled = sum(record.compile_s > 0 for record in records)
    stat = np.median([record.metrics["auc_all"].error for record in records if record.outcome.usable])
    print(f"\n## {run.name}: {len(records)} fits, {cost:.0f} core-seconds of training, {compiled} programs compiled")
    print(f"AUC's error from the waveforms of validation, the same for all: {stat:.4f}")
    return [Configuration(run, [record for record in records if record.trial == trial]) for trial in trials]


def band(axes: Any, curves: Sequence[Floats], scale: float = 1.0, **look: Any) -> None:
    """Draw the median of curves of equal length, and as a band all that lies between the lowest and the highest."""
    x = scale * np.arange(1, len(curves[0]) + 1)
    axes.fill_between(x, np.min(curves, axis=0), np.max(curves, axis=0), color=look["color"], alpha=0.15, linewidth=0)
    axes.plot(x, np.median(curves, axis=0), **look)


def losses(chosen: Configuration) -> str:
    """The monitored loss at the best and at the last epoch."""
    curves = chosen.curves("monitor_loss")
    best, last = mean([curve.min() for curve in curves]), mean([curve[-1] for curve in curves])
    return f"lowest {best.value:.4f} ± {best.error:.4f}, last {last.value:.4f} ± {last.error:.4f}"


def weights(runs: Path) -> None:
    found = configurations(runs / "weights")
    canvas, (left, right) = panels(1, 2, 10.5, 4.2)
    bins = np.geomspace(1e-8, 10, 109)
    drawn = {(0.0, 0.0): "neither", (3e-4, 0.0): "L1", (0.0, 1e-3): "L2", (3e-4, 1e-3): "both"}
    found.sort(key=lambda each: (each["l1"] > 0, each["l2"], each["l1"]))
    for each in found:
        kernels = [first_kernel(each.run, fit) for fit in each.fits]
        small = mean([float(np.mean(kernel < SMALL)) for kernel in kernels])
        size = mean([float(np.sqrt(np.mean(kernel**2))) for kernel in kernels])
        epochs = sorted(fit.best_epoch for fit in each.fits)
        line = f"below {SMALL:g}: {100 * small.value:.1f} ± {100 * small.error:.1f} %, rms {size.value:.3f}"
        print(f"l1 {each['l1']:g} l2 {each['l2']:g}: AUC {each.metric('auc_all')}, {line}, best epochs {epochs}")
        print(f"    loss {losses(each)}")
        name = drawn.get((each["l1"], each["l2"]))
        if name:
            colour = COLOURS[list(drawn.values()).index(name)]
            counts = np.mean([np.histogram(kernel, bins)[0] / kernel.size for kernel in kernels], axis=0)
            left.stairs(100 * counts, bins, color=colour, label=name, lw=1.5)
    left.axvline(SMALL, color="0.5", linestyle=":")
    left.set(xscale="log", xlim=(1e-8, 2), xlabel="size of a weight of the first layer", ylabel="weights a bin [%]")
    left.set_ylim(0, 1.1 * left.get_ylim()[1])
    left.legend(loc="upper left")
    levels = sorted({each["l2"] for each in found})
    steps = sorted({each["l1"] for each in found})
    for index, level in enumerate(levels):
        of_level = sorted((each for each in found if each["l2"] == level), key=lambda each: each["l1"])
        values = [each.metric("auc_all") for each in of_level]
        places = np.arange(len(steps)) + 0.08 * (index - 1)
        right.errorbar(
            places,
            [value.value for value in values],
            [value.error for value in values],
            color=COLOURS[index],
            marker="o",
            label=f"{level:g}",
        )
    right.set_xticks(range(len(steps)), [f"{step:.5f}".rstrip("0").rstrip(".") for step in steps])
    right.set(xlabel="l1", ylabel="AUC on validation")
    right.tick_params(axis="x", which="minor", bottom=False, top=False)
    right.legend(title="l2")
    keep(canvas, "training-weights.png")


def first_kernel(run: Path, fit: FitRecord) -> Floats:
    """Return the sizes of the weights of the first layer."""
    kernels = (array for array in read_weights(run, fit.trial, repeat=fit.repeat) if array.ndim == 2)
    return np.abs(next(kernels).astype(np.float64))


def dropout(runs: Path) -> None:
    canvas, both = panels(1, 2, 10.5, 4.2, sharey=True)
    titles = {"dropout-few": "500 training windows", "dropout-many": "8,000 training windows"}
    for axes, (name, title) in zip(both, titles.items(), strict=True):
        for colour, each in zip(COLOURS, _sorted(configurations(runs / name), "dropout"), strict=False):
            band(axes, each.curves("monitor_loss"), color=colour, label=f"{each['dropout']:g}")
            band(axes, each.curves("loss"), color=colour, linestyle="--")
            last = mean([curve[-1] for curve in each.curves("loss")])
            auc, f1 = each.metric("auc_all"), each.metric("resolvable.f1")
            print(f"dropout {each['dropout']:g}: AUC {auc}, F1 {f1}, loss {losses(each)}, train last {last.value:.4f}")
        axes.set(xlabel="epoch", title=title, ylim=(0.0, 0.4))
    both[0].set_ylabel("loss")
    both[1].plot([], [], color="0.4", linestyle="--", label="training windows")
    both[1].plot([], [], color="0.4", label="monitoring windows")
    both[1].legend(title="dropout", ncols=2)
    keep(canvas, "training-dropout.png")


def batches(runs: Path) -> None:
    found = configurations(runs / "batches")
    found.sort(key=lambda each: (each["batch_size"] == "all", each["batch_size"], each["learning_rate"]))
    for each in found:
        ends = [fit.outcome.value for fit in each.fits if not fit.outcome.usable]
        told = f"AUC {each.metric('auc_all')}" if each.usable else f"{len(ends)} of {len(each.fits)} {ends[0]}"
        line = f"{1e3 * each.core_s:.2f} core-ms an epoch, loss {losses(each)}"
        print(f"batch {each['batch_size']} rate {each['learning_rate']:g}: {told}, {line}")
    canvas, both = panels(1, 2, 10.5, 4.2, sharey=True)
    sizes = list(dict.fromkeys(each["batch_size"] for each in found))
    for colour, size in zip(COLOURS, sizes, strict=False):
        of_size = [each for each in found if each["batch_size"] == size and each.usable]
        best = max(of_size, key=lambda each: each.metric("auc_all").value)
        curves = best.curves("monitor_loss")
        lowest = int(np.median([fit.best_epoch for fit in best.fits]))
        print(f"batch {size}: best rate {best['learning_rate']:g}, lowest in epoch {lowest}, ", end="")
        print(f"after {lowest * best.core_s:.2f} core-seconds")
        label = f"batch {size}, rate {best['learning_rate']:g}"
        for axes, scale in zip(both, (1.0, best.core_s), strict=True):
            band(axes, curves, scale, color=colour, label=label, linewidth=1.2)
    both[0].set(xlabel="epoch", ylabel="loss on monitoring windows", xscale="log", ylim=(0.14, 0.5))
    both[1].set(xlabel="core-seconds of training", xscale="log")
    both[1].legend(loc="lower left")
    keep(canvas, "training-batches.png")


def schedules(runs: Path) -> None:
    found = configurations(runs / "schedules")
    found.sort(key=lambda each: (each["learning_rate"], SCHEDULES.index(each["schedule"])))
    canvas, both = panels(1, 2, 10.5, 4.2)
    drawn = max(each["learning_rate"] for each in found)
    for each in found:
        auc, f1, epochs = each.metric("auc_all"), each.metric("resolvable.f1"), [fit.best_epoch for fit in each.fits]
        print(
            f"rate {each['learning_rate']:g} {each['schedule']}: AUC {auc}, F1 {f1}, loss {losses(each)}, best {epochs}"
        )
    chosen = [each for each in found if each["learning_rate"] == drawn]
    for colour, each in zip(COLOURS, chosen, strict=False):
        for number, curve in enumerate(each.curves("learning_rate")):
            label = each["schedule"] if number == 0 else None
            both[0].plot(np.arange(1, len(curve) + 1), curve, color=colour, label=label, alpha=0.8, linewidth=1.2)
        band(both[1], each.curves("monitor_loss"), color=colour)
    both[0].set(xlabel="epoch", ylabel="learning rate", yscale="log", ylim=(drawn / 300, 1.5 * drawn))
    both[1].set(xlabel="epoch", ylabel="loss on monitoring windows", ylim=(0.1, 0.16))
    both[0].legend(loc="lower left")
    keep(canvas, "training-schedules.png")


def patience(runs: Path) -> None:
    found = _sorted(configurations(runs / "patience"), "patience")
    canvas, (left, right) = panels(1, 2, 10.5, 4.2)
    free = found[-1]
    for curve in free.curves("monitor_loss"):
        left.plot(np.arange(1, len(curve) + 1), curve, color="0.75", linewidth=0.6)
    band(left, free.curves("loss"), color="0.4", linestyle="--", label="training windows")
    band(left, free.curves("monitor_loss"), color="0.4", label="monitoring windows, never stopped")
    for colour, each in zip(COLOURS, found, strict=False):
        name = f"patience {each['patience']}" if each is not free else "never stopped"
        auc, spent = each.metric("auc_all"), mean([fit.epochs for fit in each.fits])
        best = sorted(fit.best_epoch for fit in each.fits)
        print(
            f"{name}: AUC {auc}, F1 {each.metric('resolvable.f1')}, epochs {spent.value:.0f} ± {spent.spread:.0f}, ",
            end="",
        )
        print(f"loss {losses(each)}, best epochs {best}")
        if each is not free:
            ends = [(fit.epochs, curve[-1]) for fit, curve in zip(each.fits, each.curves("monitor_loss"), strict=True)]
            left.plot(*zip(*ends, strict=True), "o", color=colour, markersize=4, label=f"stopped by {name}")
        right.errorbar(spent.value, auc.value, auc.error, spent.spread, fmt="o", color=colour, label=name)
    every = [(fit.epochs, fit.metrics["auc_all"].value) for each in found for fit in each.fits]
    right.plot(*zip(*every, strict=True), "o", color="0.7", markersize=3, zorder=0)
    accuracies = [
        (curve[fit.best_epoch - 1], curve[-1])
        for fit, curve in zip(free.fits, free.curves("monitor_accuracy"), strict=True)
    ]
    gain = mean([at_best - last for at_best, last in accuracies])
    at = [mean(column).value for column in zip(*accuracies, strict=True)]
    print(f"never stopped: accuracy at the best epoch {at[0]:.4f}, at the last {at[1]:.4f}, gain {gain}")
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, 0.45))
    right.set(xlabel="epochs spent", ylabel="AUC on validation, best weights")
    left.legend(loc="upper center", ncols=1, fontsize=9)
    right.legend(loc="lower right")
    keep(canvas, "training-patience.png")


def optimizers(runs: Path) -> None:
    found = configurations(runs / "optimizers")
    canvas, both = panels(1, 2, 11.5, 4.4)
    for index, (colour, name) in enumerate(zip(COLOURS, OPTIMIZERS, strict=True)):
        of_name = _sorted([each for each in found if each["optimizer"] == name], "learning_rate")
        rates = [1.09 ** (index - 2.5) * each["learning_rate"] for each in of_name]
        for each in of_name:
            bad = [fit.outcome.value for fit in each.fits if not fit.outcome.usable]
            told = f"{len(bad)} of {len(each.fits)} {bad[0]}" if bad else f"AUC {each.metric('auc_all')}"
            print(f"{name} {each['learning_rate']:g}: {told}, loss {losses(each)}")
        for axes in both:
            axes.plot(rates, [np.median(missed(each)) for each in of_name], color=colour, linewidth=1)
            for rate, each in zip(rates, of_name, strict=True):
                for fit, value in zip(each.fits, missed(each), strict=True):
                    axes.plot(rate, value, "o" if fit.outcome.usable else "x", color=colour, markersize=4.5)
        both[1].plot([], [], "o-", color=colour, linewidth=1, markersize=4.5, label=name)
    both[1].plot([], [], "x", color="0.4", label="degenerate")
    for axes in both:
        axes.set(xlabel="learning rate", xscale="log")
    both[0].set(ylabel="1 - AUC on validation (lower is better)", yscale="log", title="all fits")
    both[1].set(xlim=(5e-4, 2), ylim=(0.024, 0.036), title="the best of them, not logarithmic")
    canvas.legend(loc="outside right upper")
    keep(canvas, "training-optimizers.png")


def missed(chosen: Configuration) -> list[float]:
    return [1 - fit.metrics["auc_all"].value for fit in chosen.fits]


def _sorted(found: Sequence[Configuration], name: str) -> list[Configuration]:
    return sorted(found, key=lambda each: each[name])


FIGURES: tuple[Callable[[Path], None], ...] = (weights, dropout, batches, schedules, patience, optimizers)


def main(runs: Path) -> None:
    for draw in FIGURES:
        styled(draw)(runs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
