"""Decays per second of eta -> e+ e- gamma and eta -> pi+ pi- gamma, beside Pythia 8 where that is installed.

Run: python benchmarks/eta_decays.py [--pythia-python INTERPRETER]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from measure import in_turns, machine, parser, progress, publish, ratios, spread, table

CHANNELS = {"e+ e- gamma": "22 11 -11", "pi+ pi- gamma": "22 211 -211"}
HOW = ("within", "as arrays")
MIXED, MEASURED = "both, 1 : 6", "both, 1 : 6, with the detector"
AT_ONCE = 100  # etas in one of Pythia's events: its Python call is paid once for all of them

TEXT = """\
Decays per second of CPU time, one core; median (smallest to largest) of {repeats} turns, each in a fresh process of one
thread, tables ready. A decay of townsend is made in flight: gamma p -> eta p at 8.2 to 8.8 GeV, decay, boost into the
laboratory, four-vectors as arrays. With the detector: six inputs of both tracks, the photon, m(e e gamma).
"""
PYTHIA = """\
Pythia {version} decays etas at rest, {at_once} in one of its events, called from Python. "Within": nothing but its own
call is timed, and nobody sees the particles. "As arrays": their four-vectors are copied out, one by one, which is what
its Python interface offers for events that a user fills. It has no matrix element for pi+ pi- gamma (phase space), and
makes no photoproduction here: the two do not do the same.
"""


def child_townsend(what: str, decays: int) -> float:
    """Make decays in this fresh process; return decays/s."""
    from townsend.experiments.gluex.eta_decays import draw_decays, reconstruct
    from townsend.experiments.gluex.settings import EtaSettings, GluexSettings
    from townsend.experiments.gluex.streams import BLOCK, streams

    ratio = {"e+ e- gamma": 1e-9, "pi+ pi- gamma": 1e9}.get(what, 6.0)
    settings = GluexSettings(eta=EtaSettings(pions_per_electron_pair=ratio))
    draw_decays(100, settings.eta, streams(1, "eta", 0))
    began = time.process_time()
    for block in range(decays // BLOCK):
        own = streams(1, "eta", block)
        made = draw_decays(BLOCK, settings.eta, own)
        if what == MEASURED:
            reconstruct(made, settings, own)
    return decays / (time.process_time() - began)


PYTHIA_CODE = """
import json, sys, time
import numpy as np
import pythia8mc
products, events, at_once, copied = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "as arrays"
pythia = pythia8mc.Pythia("", False)
for line in ("ProcessLevel:all = off", "Print:quiet = on", "221:onMode = off", "221:onIfMatch = " + products):
    pythia.readString(line)
assert pythia.init()
mass, took = pythia.particleData.m0(221), 0.0
for _ in range(events):
    pythia.event.reset()
    for _ in range(at_once):
        pythia.event.append(221, 23, 0, 0, 0.0, 0.0, 0.0, mass, mass)
    began = time.process_time()
    assert pythia.next()
    if copied:
        final = (p for p in pythia.event if p.isFinal())
        np.array([(p.e(), p.px(), p.py(), p.pz()) for p in final]).reshape(at_once, 3, 4)
    took += time.process_time() - began
print(json.dumps([events * at_once / took, str(pythia.settings.parm("Pythia:versionNumber"))]))
"""


def run(command: list[str]) -> list[float | str]:
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | threads)
    return list(json.loads(found.stdout.splitlines()[-1]))


def pythia_version(python: Path) -> str | None:
    """Pythia's version, None where it is not installed."""
    try:
        return str(run([str(python), "-c", PYTHIA_CODE, CHANNELS["e+ e- gamma"], "1", "1", "within"])[1])
    except (subprocess.CalledProcessError, OSError):
        return None


def main() -> None:
    arguments = parser("Eta decays per second.", repeats=5)
    arguments.add_argument("--decays", type=int, default=500_000, help="of townsend, a turn (default %(default)s)")
    arguments.add_argument("--pythia-decays", type=int, default=50_000, help="of Pythia (default %(default)s)")
    arguments.add_argument(
        "--pythia-python",
        type=Path,
        default=Path(sys.executable),
        help="interpreter that has pythia8mc==8.317.2 (default: this one)",
    )
    arguments.add_argument("--child", help="used by the script itself")
    options = arguments.parse_args()
    if options.child:
        print(json.dumps([child_townsend(options.child, options.decays)]))
        return
    description = machine(("townsend", "numpy", "scipy"), of_cpu=True)
    own = [sys.executable, __file__, "--decays", str(options.decays), "--child"]

    def townsend(what: str) -> float:
        return float(run([*own, what])[0])

    def pythia(products: str, how: str) -> float:
        events = str(options.pythia_decays // AT_ONCE)
        return float(run([str(options.pythia_python), "-c", PYTHIA_CODE, products, events, str(AT_ONCE), how])[0])

    names = [*CHANNELS, MIXED, MEASURED]
    contestants: dict[str, Callable[[], float]] = {name: partial(townsend, name) for name in names}
    version = pythia_version(options.pythia_python)
    if version is None:
        progress("no pythia8mc: its rows are left out; install pythia8mc==8.317.2 and name it with --pythia-python")
    else:
        for how in HOW:
            contestants |= {f"Pythia {how}, {name}": partial(pythia, code, how) for name, code in CHANNELS.items()}
    found = in_turns(contestants, options.repeats)
    rows = []
    for name, values in found.items():
        beside = [found.get(f"Pythia {how}, {name}") for how in HOW]
        rows.append([name, spread(values), *(spread(ratios(values, other), 2) if other else "" for other in beside)])
    text = TEXT.format(repeats=options.repeats)
    if version is not None:
        text += PYTHIA.format(version=version, at_once=AT_ONCE)
    header = ["decays", "decays/s", *(f"of Pythia's {how}" for how in HOW)]
    publish("eta_decays", [*description, "", *table(header, rows), "", text], options.results)


if __name__ == "__main__":
    main()
