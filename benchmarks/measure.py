"""What the benchmarks share: the machine, repeats that take turns, ratios with their spread, Markdown tables."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
BUSY_CORES = 0.2  # what a quiet machine does besides


def parser(description: str, repeats: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument(
        "--repeats", type=int, default=repeats, help="turns that each contestant takes (default %(default)s)"
    )
    found.add_argument(
        "--results", type=Path, default=HERE / "results", help="folder for the table (default %(default)s)"
    )
    return found


def machine(packages: Sequence[str], *, of_cpu: bool = False) -> list[str]:
    """Sentences that say on what the figures were measured; figures of CPU time suffer less from a busy one."""
    now = dt.datetime.now(dt.UTC)
    others = cores_in_use()
    worth = "CPU time feels that less than wall time, but not nothing" if of_cpu else "no figures to keep"
    busy = (
        f"**the machine was busy ({others:.1f} cores at the start): {worth}**"
        if others > BUSY_CORES
        else f"{others:.1f} cores in use by others at the start"
    )
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    system = platform.system()
    return [
        f"{now:%d %B %Y}, {processor()}, {usable_cores()} usable cores, {system}; {busy}.",
        f"Python {platform.python_version()}{', ' if versions else ''}{versions}.",
    ]


def cores_in_use(seconds: float = 2.0) -> float:
    """Cores that other programs use now; the load average remembers minutes that are over."""

    def idle_s() -> float:
        return float(Path("/proc/uptime").read_text(encoding="ascii").split()[1])

    try:
        before, began = idle_s(), time.monotonic()
        time.sleep(seconds)
        return max(0.0, (os.cpu_count() or 1) - (idle_s() - before) / (time.monotonic() - began))
    except OSError:
        return os.getloadavg()[0]


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return " ".join(found.group(1).split()) if found else platform.processor() or platform.machine()


def usable_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def in_turns(contestants: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Measure A B C, A B C ...: what disturbs the machine for a while disturbs all of them."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats):
        for name, run in contestants.items():
            found[name].append(run())
            progress(f"turn {turn + 1} of {repeats}, {name}: {found[name][-1]:.4g}")
    return found


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """median (smallest to largest), to so many significant digits."""
    middle, low, high = (significant(v, digits) for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})" if len(values) > 1 else middle


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent."""
    if value == 0:
        return "0"
    decimals = digits - 1 - int(f"{abs(value):e}".partition("e")[2])
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """Ratios of the same turns."""
    return [a / b for a, b in zip(upper, lower, strict=True)]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, all but the first column to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def publish(name: str, lines: Sequence[str], results: Path) -> None:
    """Print a result, keep it in `results`, and renew its section of the README beside that folder."""
    text = "\n".join(lines).strip() + "\n"
    print(text)
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name}.md").write_text(text, encoding="utf-8")
    readme = results.resolve().parent / "README.md"
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if readme.is_file() and begin in (before := readme.read_text(encoding="utf-8")):
        head, _, rest = before.partition(begin)
        tail = rest.partition(end)[2]
        readme.write_text(f"{head}{begin}\n{text}{end}{tail}", encoding="utf-8")
    progress(f"kept in {results / f'{name}.md'}")
