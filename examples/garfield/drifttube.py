"""Tracks through a round drift tube in Garfield++: ionisation, drift, avalanches, induced current, in one NPZ file.

    python drifttube.py --gas-file he_90_ic4h10_10_293K_1atm.gas --events 250 --seed 1 -o waveforms.npz
    townsend read waveforms.npz --format garfield -o mc-garfield

Needs Garfield++ 0.3 or newer with its Python bindings (`import ROOT, Garfield`) and NumPy; nothing of townsend. Some
0.4 s an event.

Three settings decide whether the result is right, and the examples of Garfield++ do not have them:
- ntrap = 1: electrons end at the wire. With Garfield's default of 5 wire radii the avalanche lies inside the trap
  radius and its electrons induce 14 % of the charge instead of 4 %.
- The avalanche's size is drawn (Polya, mean set by hand), not integrated from the gas table, whose interpolation at
  high fields can be wrong by a large factor, and which knows no Penning transfer.
- Electrons diffuse on their way (AvalancheMC) until 10 wire radii from the wire's centre; from there a drift line
  (DriftLineRKF) makes the signal of the avalanche and of its ions.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HANDOVER = 10  # wire radii from the centre of the wire, where the drift line takes over
PARTICLES = ("electron", "muon", "pion", "kaon", "proton")


class Electron(NamedTuple):
    """Where an electron was freed [cm], when it reached the wire [ns], and the size of its avalanche."""

    xyz_cm: tuple[float, float, float]
    arrival_ns: float
    avalanche: float


class Cluster(NamedTuple):
    """A primary collision: place [cm], energy [eV], and those of its electrons that reached the wire."""

    xyz_cm: tuple[float, float, float]
    energy_eV: float
    electrons: list[Electron]


@dataclass
class Events:
    """What goes into the file; `total` and `electron` are currents in fC/ns, negative on the wire."""

    bin_ns: float
    impact_cm: list[float] = field(default_factory=list)
    path_cm: list[float] = field(default_factory=list)
    clusters: list[list[Cluster]] = field(default_factory=list)
    total: list[np.ndarray] = field(default_factory=list)
    electron: list[np.ndarray] = field(default_factory=list)

    def add(
        self, impact_cm: float, path_cm: float, clusters: list[Cluster], total: np.ndarray, electron: np.ndarray
    ) -> None:
        """Add an event."""
        self.impact_cm.append(impact_cm)
        self.path_cm.append(path_cm)
        self.clusters.append(clusters)
        self.total.append(total)
        self.electron.append(electron)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the arrays of the file by name."""
        flat = [(event, index, c) for event, cs in enumerate(self.clusters) for index, c in enumerate(cs)]
        electrons = [(event, index, e) for event, index, c in flat for e in c.electrons]
        first = [min((e.arrival_ns for e in c.electrons), default=-1.0) for _, _, c in flat]
        return {
            "total_fC_per_ns": np.array(self.total, np.float32),
            "electron_fC_per_ns": np.array(self.electron, np.float32),
            "bin_ns": np.float64(self.bin_ns),
            "t0_ns": np.float64(0.0),
            "impact_cm": np.array(self.impact_cm, np.float32),
            "path_cm": np.array(self.path_cm, np.float32),
            "n_clusters": np.array([len(clusters) for clusters in self.clusters], np.int32),
            "n_electrons": np.array([sum(len(c.electrons) for c in clusters) for clusters in self.clusters], np.int32),
            "cl_event": np.array([event for event, _, _ in flat], np.int32),
            "cl_index": np.array([index for _, index, _ in flat], np.int32),
            "cl_xyz_cm": np.array([c.xyz_cm for _, _, c in flat], np.float32).reshape(-1, 3),
            "cl_energy_eV": np.array([c.energy_eV for _, _, c in flat], np.float32),
            "cl_n_electrons": np.array([len(c.electrons) for _, _, c in flat], np.int32),
            "cl_first_arrival_ns": np.array(first, np.float32),
            "el_event": np.array([event for event, _, _ in electrons], np.int32),
            "el_cluster": np.array([index for _, index, _ in electrons], np.int32),
            "el_xyz_cm": np.array([e.xyz_cm for _, _, e in electrons], np.float32).reshape(-1, 3),
            "el_arrival_ns": np.array([e.arrival_ns for _, _, e in electrons], np.float32),
            "el_avalanche": np.array([e.avalanche for _, _, e in electrons], np.float32),
        }

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            temporary = Path(folder) / "events.npz"
            np.savez_compressed(temporary, **self.columns())
            temporary.replace(path)


class Track(NamedTuple):
    """A straight track: signed distance from the wire (the z axis), length in the tube, start and direction."""

    impact_cm: float
    path_cm: float
    start_cm: tuple[float, float, float]
    direction: tuple[float, float, float]


def tracks(options: argparse.Namespace) -> Iterator[Track]:
    """Yield one track an event, impact parameters uniform."""
    draw = random.Random(options.seed)  # noqa: S311 - places of tracks, no secrets
    sine, cosine = math.sin(math.radians(options.angle_deg)), math.cos(math.radians(options.angle_deg))
    for _ in range(options.events):
        impact_cm = draw.uniform(-options.impact_max_cm, options.impact_max_cm)
        half_chord_cm = math.sqrt(options.tube_radius_cm**2 - impact_cm**2)
        path_cm = 2 * half_chord_cm / sine
        start = (impact_cm, -half_chord_cm, -0.5 * path_cm * cosine)
        yield Track(impact_cm, path_cm, start, (0.0, sine, cosine))


class Tube:
    """The tube in Garfield++; everything that needs it is here."""

    def __init__(self, options: argparse.Namespace) -> None:
        import Garfield  # noqa: F401 - loads the library
        import ROOT

        self.options, self.garfield = options, ROOT.Garfield
        if hasattr(self.garfield, "randomEngine"):  # 0.3
            self.garfield.randomEngine.Seed(options.seed)
        else:
            engine = self.garfield.RandomEngineRoot()
            engine.Seed(options.seed)
            self.garfield.Random.SetEngine(engine)
        self.gas = self.garfield.MediumMagboltz()
        if not self.gas.LoadGasFile(str(options.gas_file)):
            sys.exit(f"{options.gas_file} cannot be loaded by Garfield++; check the file")
        if not self.gas.LoadIonMobility(str(options.ion_mobility)):
            sys.exit(f"{options.ion_mobility} cannot be loaded by Garfield++; name one with --ion-mobility")
        self.far, self.near = self.field(HANDOVER), self.field(1)
        self.drift_sensor, self.signal_sensor = self.sensor(self.far), self.sensor(self.near)
        self.signal_sensor.AddElectrode(self.near, "s")
        self.signal_sensor.SetTimeWindow(0.0, options.bin_ns, options.bins)
        self.heed = self.garfield.TrackHeed()
        self.heed.SetSensor(self.drift_sensor)
        self.heed.SetParticle(options.particle)
        self.heed.SetMomentum(1e9 * options.momentum_GeV)
        self.diffusion = self.garfield.AvalancheMC()
        self.diffusion.SetSensor(self.drift_sensor)
        self.diffusion.EnableSignalCalculation(False)
        self.diffusion.SetDistanceSteps(1e-4 * options.step_um)
        self.avalanche = self.garfield.DriftLineRKF()
        self.avalanche.SetSensor(self.signal_sensor)
        self.avalanche.SetGainFluctuationsPolya(options.theta, options.gain)
        self.avalanche.EnableIonTail()

    def field(self, ntrap: int) -> Any:
        """Return the field of the tube, in which electrons end `ntrap` wire radii from the wire's centre."""
        options, component = self.options, self.garfield.ComponentAnalyticField()
        component.SetMedium(self.gas)
        component.AddWire(0.0, 0.0, 2 * options.wire_radius_cm, options.voltage_V, "s", 100.0, 50.0, 19.3, ntrap)
        component.AddTube(options.tube_radius_cm, 0.0, 0, "t")
        component.AddReadout("s")
        return component

    def sensor(self, component: Any) -> Any:
        """Return a sensor of one component."""
        sensor = self.garfield.Sensor()
        sensor.AddComponent(component)
        return sensor

    def event(self, track: Track) -> tuple[list[Cluster], np.ndarray, np.ndarray]:
        """Return clusters, total current and electrons' current of a track."""
        self.signal_sensor.ClearSignal()
        self.heed.NewTrack(*track.start_cm, 0.0, *track.direction)
        clusters = []
        for found in self.heed.GetClusters():
            freed = [((e.x, e.y, e.z), e.t) for e in found.electrons]
            arrived = [electron for place, time_ns in freed if (electron := self.electron(place, time_ns))]
            clusters.append(Cluster((found.x, found.y, found.z), found.energy, arrived))
        bins = range(self.options.bins)
        total = np.array([self.signal_sensor.GetSignal("s", i) for i in bins])
        electron = np.array([self.signal_sensor.GetElectronSignal("s", i) for i in bins])
        return clusters, total, electron

    def electron(self, place: tuple[float, float, float], time_ns: float) -> Electron | None:
        """Drift an electron to the wire and add its signal; None where it is lost on the way."""
        if not self.diffusion.DriftElectron(*place, time_ns) or self.diffusion.GetNumberOfElectronEndpoints() == 0:
            return None
        ends = [ctypes.c_double() for _ in range(8)]
        status = ctypes.c_int()
        self.diffusion.GetElectronEndpoint(0, *ends, status)
        x, y, z, t = (end.value for end in ends[4:])
        if math.hypot(x, y) > 1.5 * HANDOVER * self.options.wire_radius_cm:
            return None  # attached, or it hit the wall
        if not self.avalanche.DriftElectron(x, y, z, t):
            return None
        last = [ctypes.c_double() for _ in range(4)]
        self.avalanche.GetEndPoint(*last, status)
        size, ions = ctypes.c_double(), ctypes.c_double()
        self.avalanche.GetAvalancheSize(size, ions)
        return Electron(place, last[3].value, size.value) if size.value > 0 else None


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    mobility = Path(os.environ.get("GARFIELD_INSTALL", ".")) / "share/Garfield/Data/IonMobility_He+_He.txt"
    parser.add_argument("--gas-file", type=Path, required=True, help="Magboltz table of the mixture, *.gas")
    parser.add_argument("--ion-mobility", type=Path, default=mobility, help="of the ions; default: %(default)s")
    parser.add_argument("--particle", choices=PARTICLES, default="muon")
    parser.add_argument("--momentum-GeV", type=float, default=10.0)
    parser.add_argument("--tube-radius-cm", type=float, default=0.4, help="inner radius")
    parser.add_argument("--wire-radius-cm", type=float, default=0.001)
    parser.add_argument("--voltage-V", type=float, default=1460.0, help="of the wire; the tube is at ground")
    parser.add_argument("--angle-deg", type=float, default=45.0, help="between track and wire")
    parser.add_argument("--impact-max-cm", type=float, default=0.399, help="tracks are uniform within this distance")
    parser.add_argument("--gain", type=float, default=2e5, help="mean size of an avalanche")
    parser.add_argument("--theta", type=float, default=0.5, help="of the Polya distribution")
    parser.add_argument("--step-um", type=float, default=5.0, help="of the drift with diffusion")
    parser.add_argument("--bins", type=int, default=1024)
    parser.add_argument("--bin-ns", type=float, default=1.0)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True, help="NPZ file to write")
    options = parser.parse_args(arguments)
    for name in ("momentum_GeV", "wire_radius_cm", "voltage_V", "gain", "step_um", "bins", "bin_ns", "events", "seed"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0 (got {getattr(options, name):g})")
    if not 0 < options.angle_deg <= 90:
        parser.error(f"--angle-deg must lie in 0 < angle <= 90 (got {options.angle_deg:g})")
    if not HANDOVER * options.wire_radius_cm < options.tube_radius_cm:
        parser.error(f"--tube-radius-cm must exceed {HANDOVER} wire radii (got {options.tube_radius_cm:g})")
    if not 0 <= options.impact_max_cm < options.tube_radius_cm:
        parser.error(f"--impact-max-cm must be smaller than the tube's radius (got {options.impact_max_cm:g})")
    if not options.gas_file.is_file():
        parser.error(f"--gas-file must be a file that exists (got {options.gas_file})")
    return options


def main() -> None:
    """Simulate the events and write them."""
    options = parsed()
    tube, events = Tube(options), Events(options.bin_ns)
    for number, track in enumerate(tracks(options)):
        events.add(track.impact_cm, track.path_cm, *tube.event(track))
        print(f"event {number + 1} of {options.events}: {len(events.clusters[-1])} clusters", flush=True)
    events.save(options.output)


if __name__ == "__main__":
    main()
