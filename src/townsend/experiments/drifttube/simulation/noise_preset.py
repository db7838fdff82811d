"""What is known of a set-up's noise, in two small files: YAML with everything, CSV with the smooth spectrum.

What to use when
----------------
- `read_preset`: a preset that `townsend noise` or a person wrote, checked against its own hash.
- `write_preset`: both files, the CSV first, each whole or absent.
- `shipped_preset`: the one that comes with townsend; `tables/PROVENANCE.md` says what it was measured on.

A preset written by hand needs `sampling_rate_GHz`, `spectrum.csv` and a CSV with the columns `frequency_MHz` and
`floor_uV2_per_MHz`; everything else may be left out.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from townsend.config import Closed, dump_yaml, load_yaml, parse
from townsend.errors import InputError, TownsendError, did_you_mean
from townsend.files import write_text

__all__ = [
    "MADE_BY",
    "Channel",
    "Judgement",
    "Line",
    "NoisePreset",
    "Preset",
    "Source",
    "SpectrumFile",
    "Wander",
    "is_preset",
    "preset_files",
    "read_preset",
    "shipped_preset",
    "write_preset",
]

MADE_BY = "townsend noise"
FREQUENCY, TOTAL, FLOOR = "frequency_MHz", "density_uV2_per_MHz", "floor_uV2_per_MHz"
_LONGEST_CSV = 64 << 20  # bytes


class Judgement(Closed):
    """Whether one thing about the measurement may be believed."""

    ok: bool
    sentence: str


class Line(Closed):
    """One pick-up line."""

    frequency_MHz: float = Field(gt=0)
    rms_mV: float = Field(gt=0)
    rms_error_mV: float | None = Field(None, ge=0)
    width_MHz: float = Field(0.0, ge=0)


class SpectrumFile(Closed):
    """Where the smooth part of the spectrum is."""

    csv: str = Field(min_length=1, description="file beside this one")
    sha256: str | None = Field(None, description="of its bytes; null: not checked")
    resolution_MHz: float | None = Field(None, gt=0, description="lines closer than twice this are one")
    averages: float | None = Field(None, gt=0, description="relative error of a density: 1 / sqrt(averages)")


class Wander(Closed):
    """Slow drift of the baseline, which the spectrum does not hold."""

    rms_mV: float = Field(0.0, ge=0, description="0: none was found; goes to noise.wander_mV")
    rms_error_mV: float | None = Field(None, ge=0)
    time_ns: float | None = Field(None, gt=0, description="correlation time; null: none, or longer than the record")


class Channel(Closed):
    """One channel of the digitiser."""

    channel: int
    waveforms: int = Field(ge=0)
    rms_mV: float = Field(ge=0)
    baseline_mV: float
    baseline_error_mV: float | None = Field(None, ge=0)


class Source(Closed):
    """What the preset was measured on, and how."""

    files: dict[str, str] = Field({}, description="name -> SHA-256")
    waveforms: int = Field(0, ge=0, description="read")
    with_hit: int = Field(0, ge=0, description="of them, in which a pulse was found")
    quiet_us: float = Field(0.0, ge=0, description="time measured")
    cut_fraction: float = Field(0.0, ge=0, le=1, description="of all samples, left out as hits or too short")
    settings: dict[str, float | int | None] = Field({}, description="of the measurement")
    versions: dict[str, str] = Field({}, description="of what measured it")


class NoisePreset(Closed):
    """Noise of a set-up as measured; see `Preset` for the smooth spectrum that goes with it."""

    made_by: str = ""
    sampling_rate_GHz: float = Field(gt=0, description="of the traces; nothing is known above half of it")
    rms_mV: float | None = Field(None, gt=0, description="full band, about each waveform's own baseline")
    rms_error_mV: float | None = Field(None, ge=0, description="from the scatter between waveforms")
    step_uV: float | None = Field(None, gt=0, description="smallest common difference of samples; null: none seen")
    level_spacing_uV: float | None = Field(None, gt=0, description="median distance of the levels that occur")
    spectrum: SpectrumFile
    wander: Wander = Wander()
    lines: tuple[Line, ...] = Field((), description="width: full at half maximum, 0 where narrower than seen")
    channels: tuple[Channel, ...] = Field((), description="baselines as the digitiser stores them")
    source: Source = Source()
    verdicts: tuple[Judgement, ...] = ()


@dataclass(frozen=True, eq=False)
class Preset:
    """A preset with its spectrum.

    Arguments:
        facts: what the YAML says.
        frequency_GHz: (bins,) ascending, at most half the sampling rate.
        floor_mV2_per_GHz: (bins,) one-sided power density without the lines, >= 0.
        total_mV2_per_GHz: (bins,) the same with lines, as measured; for figures.
    """

    facts: NoisePreset
    frequency_GHz: NDArray[np.float64]
    floor_mV2_per_GHz: NDArray[np.float64]
    total_mV2_per_GHz: NDArray[np.float64]


def shipped_preset() -> Path:
    """Return the YAML of the preset measured on traces of the 2023 test beam."""
    return Path(str(files(__package__))) / "tables" / "noise_testbeam2023.yaml"


def preset_files(path: Path) -> tuple[Path, Path]:
    """Return the YAML and the CSV of a preset.

    Raises InputError or ConfigError when the YAML cannot be used.
    """
    return path, path.parent / _facts(path, _stamp(path)).spectrum.csv


def read_preset(path: Path) -> Preset:
    """Return the preset whose YAML is `path`.

    Raises InputError or ConfigError, one sentence, when a file is missing or damaged, they do not belong together, or a
    value breaks a rule.
    """
    _, table = preset_files(path)
    stamp = _stamp(table)
    if stamp is None:
        msg = f"{table} must be a readable file, since {path} names it (there is none); keep both files together"
        raise InputError(msg)
    return _read(path, _stamp(path), stamp)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is written anew, so that a preset is read once; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)
def _read(path: Path, stamp: tuple[int, int] | None, table_stamp: tuple[int, int]) -> Preset:
    facts = _facts(path, stamp)
    table = path.parent / facts.spectrum.csv
    columns = _columns(table, _text(table, facts, path))
    frequency, floor = columns[FREQUENCY], columns[FLOOR]
    nyquist_MHz = 500 * facts.sampling_rate_GHz
    if len(frequency) < 2 or np.any(np.diff(frequency) <= 0) or frequency[0] < 0:
        msg = f"{table} must have at least two {FREQUENCY}, not negative and ascending; sort the rows"
        raise InputError(msg)
    if frequency[-1] > nyquist_MHz * (1 + 1e-6):
        rule = f"{table} must end at half the sampling rate of {path.name}, {nyquist_MHz:g} MHz"
        msg = f"{rule} (got {frequency[-1]:g} MHz); mend sampling_rate_GHz or leave those rows out"
        raise InputError(msg)
    for name, density in columns.items():
        if np.any(density < 0):
            row = int(np.argmax(density < 0))
            msg = f"{table} must have no negative {name} (got {density[row]:g} in row {row + 1}); measure it again"
            raise InputError(msg)
    total = columns.get(TOTAL, floor)
    return Preset(facts, frequency * 1e-3, floor * 1e-3, total * 1e-3)


@lru_cache(maxsize=16)
def _facts(path: Path, stamp: tuple[int, int] | None) -> NoisePreset:
    facts = parse(NoisePreset, load_yaml(path))
    name = facts.spectrum.csv
    if Path(name).name != name:
        msg = f"{path} must name a CSV beside itself as spectrum.csv (got {name}); give its plain name"
        raise InputError(msg)
    return facts


def _text(table: Path, facts: NoisePreset, path: Path) -> str:
    with table.open("rb") as stream:
        content = stream.read(_LONGEST_CSV + 1)
    if len(content) > _LONGEST_CSV:
        msg = f"{table} must have at most {_LONGEST_CSV} bytes to be a spectrum; check that it is the right file"
        raise InputError(msg)
    wanted = facts.spectrum.sha256
    found = hashlib.sha256(content).hexdigest()
    if wanted is not None and found != wanted:
        rule = f"{table} must be the file that {path.name} was written with"
        msg = f"{rule} (its SHA-256 begins {found[:12]}, not {wanted[:12]}); restore it or measure again"
        raise InputError(msg)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{table} must be UTF-8 text (byte {error.start} is not); save it as CSV"
        raise InputError(msg) from None


def _columns(table: Path, text: str) -> dict[str, NDArray[np.float64]]:
    try:
        rows = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
    except csv.Error as error:
        msg = f"{table} must be CSV ({error}); measure the noise again"
        raise InputError(msg) from None
    names = [name for name in (rows[0] if rows else {}) if isinstance(name, str)]
    for name in (FREQUENCY, FLOOR):
        if name not in names:
            msg = f'{table} must have a column "{name}" and rows below it{did_you_mean(name, names)}'
            raise InputError(msg)
    wanted = [name for name in (FREQUENCY, FLOOR, TOTAL) if name in names]
    return {name: np.array([_number(row[name], name, table, i + 1) for i, row in enumerate(rows)]) for name in wanted}


def _number(text: str | None, name: str, table: Path, row: int) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        msg = f'{table} must have a finite number as {name} in row {row} (got "{text or ""}"); mend the row'
        raise InputError(msg)
    return value


def write_preset(preset: Preset, path: Path) -> Path:
    """Write a preset as `path` and a CSV beside it, the YAML last; return `path`.

    Arguments:
        preset: its `facts.spectrum.csv` is replaced by the name, its hash by that of what is written.
        path: name of the YAML.
    """
    table = path.with_suffix(".csv")
    rate = f"{preset.facts.sampling_rate_GHz:g} GS/s"
    lines = [
        f"# One-sided power density of noise at {rate}; floor: without the lines that {path.name} lists.",
        f"{FREQUENCY},{TOTAL},{FLOOR}",
        *(
            f"{1e3 * f:.7g},{1e3 * total:.4g},{1e3 * floor:.4g}"
            for f, total, floor in zip(
                preset.frequency_GHz, preset.total_mV2_per_GHz, preset.floor_mV2_per_GHz, strict=True
            )
        ),
    ]
    text = "\n".join(lines) + "\n"
    write_text(table, text)
    named = {"csv": table.name, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    spectrum = preset.facts.spectrum.model_copy(update=named)
    dump_yaml(preset.facts.model_copy(update={"spectrum": spectrum}), path)
    return path


def is_preset(path: Path) -> bool:
    """Return whether a file is a preset that `townsend noise` wrote."""
    try:
        return path.is_file() and _facts(path, _stamp(path)).made_by == MADE_BY
    except TownsendError:
        return False
