"""How long `townsend --help` and `import townsend` take, beside an interpreter that does nothing.

Run: python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from measure import in_turns, machine, parser, publish, ratios, spread, table

NOTHING, IMPORT, HELP, WORK = (
    "`python -c pass`",
    "`python -c 'import townsend'`",
    "`townsend --help`",
    "`python -c 'from townsend.api import sweep'`",
)


def wall_s(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    options = parser("Start-up times.", repeats=10).parse_args()
    description = machine(("townsend", "typer"))
    townsend = str(Path(sys.executable).with_name("townsend"))
    commands: dict[str, list[str]] = {
        NOTHING: [sys.executable, "-c", "pass"],
        IMPORT: [sys.executable, "-c", "import townsend"],
        HELP: [townsend, "--help"],
        WORK: [sys.executable, "-c", "from townsend.api import sweep"],
    }
    contestants: dict[str, Callable[[], float]] = {name: partial(wall_s, command) for name, command in commands.items()}
    for run in contestants.values():
        run()  # files come into the system's cache, byte code is written
    found = in_turns(contestants, options.repeats)
    rows = [
        [name, spread([1e3 * value for value in values]), spread(ratios(values, found[NOTHING]), 2)]
        for name, values in found.items()
    ]
    lines = [
        *description,
        "",
        *table(["command", "wall [ms]", "of doing nothing"], rows),
        "",
        f"Median (smallest to largest) of {options.repeats} turns, files cached.",
        "The last row is what a command pays that trains: it loads the numerical libraries, which `--help` and",
        "`import townsend` leave alone.",
    ]
    publish("startup", lines, options.results)


if __name__ == "__main__":
    main()
