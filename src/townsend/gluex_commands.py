"""The command line of GlueX: simulate tracks and eta decays, select decays with what was trained on tracks.

What to use when
----------------
- `add_gluex_commands`: `simulate gluex`, `simulate eta` and `select-eta`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from townsend.farm_commands import Cpus, EngineName, Hours, MaxJobs, Memory, RequestFrom, site_of
from townsend.terminal import bar, named_bar, say, show

__all__ = ["add_gluex_commands"]

Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; default: the cores of this machine.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Names the sample; default: the configuration's, 1.")]
Config = Annotated[Path | None, typer.Option(help="YAML settings; see simulation.yaml of any sample.")]


class Detector(StrEnum):
    """Constants of the detector."""

    NOMINAL = "nominal"
    TUNED = "tuned"


Setting = Annotated[
    Detector | None,
    typer.Option(help="Detector nominal, or tuned to the slides' table; default: the configuration's, nominal."),
]


def add_gluex_commands(app: typer.Typer, simulate: typer.Typer) -> None:
    """Add the commands to those of townsend."""
    simulate.command("gluex")(simulate_gluex)
    simulate.command("eta")(simulate_eta)
    app.command("select-eta")(select_eta)


def _settings(config: Path | None, seed: int | None, setting: Detector | None) -> Any:
    from townsend.config import load_yaml, parse
    from townsend.experiments.gluex.settings import GluexSettings

    document = load_yaml(config) if config else None
    given = dict(document.data) if document else {}
    if document:
        parse(GluexSettings, document)  # says what is wrong with its line
    given |= {} if seed is None else {"seed": seed}
    given |= {} if setting is None else {"setting": setting.value}
    return parse(GluexSettings, given)


def simulate_gluex(
    output: Output,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Tracks, half of them electrons.")] = 60_000,
    seed: Seed = None,
    setting: Setting = None,
    config: Config = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    request: RequestFrom = None,
    request_cpus: Cpus = None,
    request_memory: Memory = None,
    max_hours: Hours = None,
    max_jobs: MaxJobs = None,
) -> None:
    """Simulate electrons and pions in GlueX. Writes their six measured quantities to ROOT, and a table to train on."""
    from townsend.api import simulate_gluex as simulate
    from townsend.engines.local import usable_cores

    settings = _settings(config, seed, setting)
    site = site_of(engine, output, request, request_cpus, request_memory, max_hours, max_jobs)
    with bar("simulating", number) as advance:
        simulate(number, output, settings, jobs=jobs or usable_cores(), site=site, progress=advance)
    say(f"{number} tracks of seed {settings.seed} ({settings.setting}) in {output}; now: townsend train {output}")


def simulate_eta(
    output: Output,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Decays, one in seven to electrons.")] = 100_000,
    seed: Seed = None,
    setting: Setting = None,
    config: Config = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    request: RequestFrom = None,
    request_cpus: Cpus = None,
    request_memory: Memory = None,
    max_hours: Hours = None,
    max_jobs: MaxJobs = None,
) -> None:
    """Simulate eta decays in GlueX, to electrons and to pions. Writes both tracks, the photon and the mass to ROOT."""
    from townsend.api import simulate_eta as simulate
    from townsend.engines.local import usable_cores

    settings = _settings(config, seed, setting)
    site = site_of(engine, output, request, request_cpus, request_memory, max_hours, max_jobs)
    with bar("simulating", number) as advance:
        simulate(number, output, settings, jobs=jobs or usable_cores(), site=site, progress=advance)
    say(f"{number} decays of seed {settings.seed} ({settings.setting}) in {output}")


def select_eta(
    models: Annotated[list[Path], typer.Argument(help="Folders of models that were trained on single tracks.")],
    decays: Annotated[Path, typer.Option(help="Folder made by `townsend simulate eta`.")],
    output: Output,
    build: Annotated[Path | None, typer.Option(help="Your Python file with build(hp), for `torch`. It is run.")] = None,
) -> None:
    """Select eta decays with trained models. Says what is kept, and whether the signal's mass keeps its shape."""
    from townsend.api import select_eta as select
    from townsend.experiments.gluex.select_eta import render_selections
    from townsend.experiments.table.evaluate import model_names
    from townsend.networks.build_file import load_build

    file = load_build(build) if build else None
    with named_bar() as advance:
        found = select(model_names(models), decays, output, build=file, progress=advance)
    for name, one in found.items():
        say(f"{'ok  ' if one.verdict.ok else 'note'} {name}: {one.verdict.sentence}")
    show(render_selections(found))
    say(f"figures: {output / 'figures'}; all numbers: {output / 'eta.csv'}")
