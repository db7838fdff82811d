"""The command line: parse, call, print. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from townsend.errors import InputError, TownsendError, printable
from townsend.farm_commands import Cpus, EngineName, Hours, MaxJobs, Memory, RequestFrom, add_farm_commands, site_of
from townsend.gluex_commands import add_gluex_commands
from townsend.logs import set_logging
from townsend.table_commands import add_table_commands
from townsend.terminal import bar, named_bar, say, show, total_bar

__all__ = ["app", "main"]

_INTERRUPTED = 130
_IN_ORDER_OF_USE = (
    "simulate",
    "read",
    "noise",
    "validate",
    "skim",
    "train",
    "space",
    "sweep",
    "board",
    "dashboard",
    "export",
    "refine",
    "choose",
    "evaluate",
    "apply",
    "select-eta",
    "find-peaks",
    "assemble",
    "reconstruct",
    "report",
    "engines",
    "status",
    "cancel",
)


class _InOrderOfUse(TyperGroup):
    """Lists the commands as one uses them, one after the other."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return sorted(super().list_commands(ctx), key=_IN_ORDER_OF_USE.index)


app = typer.Typer(
    name="townsend",
    cls=_InOrderOfUse,
    help="Simulate a detector, sweep neural networks, choose the best one honestly, apply it to data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
simulate_app = typer.Typer(no_args_is_help=True, help="Simulate a detector. Writes ROOT files with full truth.")
app.add_typer(simulate_app, name="simulate")
validate_app = typer.Typer(no_args_is_help=True, help="Compare a simulation with its reference. Says what holds.")
app.add_typer(validate_app, name="validate")


class Halving(StrEnum):
    """How worse configurations are stopped early."""

    SUCCESSIVE = "successive"
    HYPERBAND = "hyperband"


Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; default: the cores of this machine.")]
Build = Annotated[
    Path | None, typer.Option(help="Your Python file with build(hp), for network `build` or `torch`. It is run.")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        import townsend

        say(f"townsend {townsend.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@simulate_app.command("drifttube")
def simulate_drifttube(
    output: Output,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Waveforms.")] = 20000,
    seed: Annotated[int | None, typer.Option(min=0, help="Names the sample; default: the configuration's, 1.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML settings; see simulation.yaml of any sample.")] = None,
    impact: Annotated[str | None, typer.Option(help="Tracks central or uniform; default: the configuration's.")] = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    request: RequestFrom = None,
    request_cpus: Cpus = None,
    request_memory: Memory = None,
    max_hours: Hours = None,
    max_jobs: MaxJobs = None,
) -> None:
    """Simulate waveforms of a helium drift tube."""
    from townsend.api import simulate_drifttube as simulate
    from townsend.config import load_yaml, parse, resolved
    from townsend.engines.local import usable_cores
    from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings

    settings = parse(DriftTubeSettings, load_yaml(config) if config else {})
    given = resolved(settings)
    given |= {} if seed is None else {"seed": seed}
    given |= {} if impact is None else {"track": {**given["track"], "impact": impact}}
    settings = parse(DriftTubeSettings, given)
    site = site_of(engine, output, request, request_cpus, request_memory, max_hours, max_jobs)
    with bar("simulating", number) as advance:
        simulate(number, output, settings, jobs=jobs or usable_cores(), site=site, progress=advance)
    say(f"{number} waveforms of seed {settings.seed} in {output}; settings in {output / 'simulation.yaml'}")


@app.command()
def read(
    files: Annotated[
        list[Path], typer.Argument(help="ROOT files with waveforms, or NPZ files of Garfield++ currents.")
    ],
    format: Annotated[str, typer.Option(help="littlepi, sciencedb or garfield.")],  # noqa: A002
    output: Output,
    tags: Annotated[
        str | None, typer.Option(help="What tags 0, 1, 2 mean: primary-secondary-noise or noise-primary-secondary.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML: scale and clock of waveforms; of currents, that of the simulation.")
    ] = None,
) -> None:
    """Turn files of another program into a sample. Writes what simulate writes; goes on where a kill left it."""
    from townsend.api import read as read_files
    from townsend.config import load_yaml, parse
    from townsend.experiments.drifttube.reading.read import DESCRIPTION, settings_of
    from townsend.files import read_json

    kind = settings_of(format)
    settings = parse(kind, load_yaml(config)) if config else None
    with named_bar() as advance:
        read_files(files, output, format=format, tags=tags, settings=settings, progress=advance)
    number = read_json(output / DESCRIPTION)["waveforms"]
    say(f"{number} waveforms of {len(files)} {format} files in {output}; settings in {output / 'read.yaml'}")


@validate_app.command("drifttube")
def validate_drifttube(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for table, page and figures; default: none.")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="Folder of your own Garfield++ files; default: ours.")] = None,
    tracks: Annotated[int, typer.Option(min=1, help="Tracks simulated for each comparison.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated tracks.")] = 1,
) -> None:
    """Compare the drift tube with Garfield++. Verdicts come first; ends with status 1 when a row fails."""
    from townsend.api import validate_drifttube as validate
    from townsend.experiments.drifttube.validation.table import PAGE, render

    with total_bar("comparing") as advance:
        validation = validate(output, reference=reference, tracks=tracks, seed=seed, progress=advance)
    show(render(validation.rows))
    if output is not None:
        say(f"table, page and figures: {output / PAGE}")
    if validation.failed:
        raise typer.Exit(1)


@app.command()
def noise(
    files: Annotated[list[Path], typer.Argument(help="ROOT or NPZ files, or folders of shards.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, or name of a YAML file.")],
    config: Annotated[Path | None, typer.Option(help="YAML with polarity, hit_sigma, guard_ns.")] = None,
) -> None:
    """Measure the noise of traces. Writes a preset for the simulation, its spectrum and a picture."""
    from townsend.api import noise as measure
    from townsend.config import load_yaml, parse
    from townsend.experiments.drifttube.noise.measure_noise import render_noise
    from townsend.experiments.drifttube.noise.quiet_traces import MeasureNoiseSettings

    settings = parse(MeasureNoiseSettings, load_yaml(config)) if config else None
    preset = measure(files, output, settings)
    show(render_noise(preset))
    say(f"preset: {preset}; picture: {preset.with_suffix('.png')}; to draw from it, set noise.spectrum: {preset}")


@app.command()
def space(
    config: Annotated[Path, typer.Argument(help="YAML of a sweep: your file, or the name of a shipped one.")],
    trials: Annotated[int | None, typer.Option(min=1, help="Configurations to train; default: the file's.")] = None,
    length: Annotated[int | None, typer.Option(min=1, help="Numbers in one input; sizes a cnn.")] = None,
) -> None:
    """Count what a sweep would search. Prints values, configurations, programs and the largest model."""
    from townsend.api import space as describe
    from townsend.config import load_yaml
    from townsend.experiments.shipped import find_config
    from townsend.sweep.describe_space import render_space
    from townsend.sweep.settings import load_sweep

    document = load_yaml(find_config(config))
    overrides: dict[str, Any] = {} if "sample" in document.data else {"sample": "."}  # is not read
    overrides |= {} if trials is None else {"trials": trials}
    show(render_space(describe(load_sweep(document.path, overrides), length=length)))


@app.command()
def sweep(
    config: Annotated[
        Path, typer.Argument(help="YAML: your file, or the name of a shipped one (peaks.yaml, clusters.yaml).")
    ],
    output: Output,
    sample: Annotated[Path | None, typer.Option(help="Folder of the sample; default: the configuration's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the sweep.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Configurations to train; default: the whole grid.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs at most.")] = None,
    halving: Annotated[
        Halving | None,
        typer.Option(metavar="<kind>", help="Stop the worse early: successive or hyperband. The better go on."),
    ] = None,
    folds: Annotated[int | None, typer.Option(min=1, help="Folds each configuration is trained on.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Seeds each configuration is trained with.")] = None,
    windows: Annotated[int | None, typer.Option(min=1, help="Training windows of a peak finder.")] = None,
    finder: Annotated[Path | None, typer.Option(help="Folder of the peak finder whose peaks are counted.")] = None,
    build: Build = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    request: RequestFrom = None,
    request_cpus: Cpus = None,
    request_memory: Memory = None,
    max_hours: Hours = None,
    max_jobs: MaxJobs = None,
) -> None:
    """Train many configurations. The same command goes on where a kill left it."""
    from townsend.api import sweep as run_sweep
    from townsend.config import load_yaml
    from townsend.experiments.shipped import find_config
    from townsend.networks.build_file import load_build
    from townsend.sweep.settings import check_task_settings, load_sweep

    document = load_yaml(find_config(config))
    if sample is None and "sample" not in document.data:
        msg = f"a sweep needs a sample ({config} names none); say --sample FOLDER, `townsend simulate` makes one"
        raise InputError(msg)
    overrides: dict[str, Any] = {
        "sample": str(sample) if sample else None,
        "seed": seed,
        "trials": trials,
        "epochs": epochs,
        "halving": {"kind": halving.value} if halving else None,
        "folds": folds,
        "repeats": repeats,
    }
    of_task = {"windows": windows, "finder": str(finder) if finder else None}
    overrides["task_settings"] = {key: value for key, value in of_task.items() if value is not None} or None
    settings = load_sweep(document.path, {key: value for key, value in overrides.items() if value is not None})
    check_task_settings(settings, document)
    site = site_of(engine, output, request, request_cpus, request_memory, max_hours, max_jobs)
    file = load_build(build) if build else None
    with total_bar("training") as advance:
        run_sweep(settings, output, jobs=jobs, site=site, progress=advance, build=file)
    say(f"records in {output}; now: townsend board {output}")


@app.command()
def board(
    run: Annotated[Path | None, typer.Argument(help="Folder of a sweep.")] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="Folder with your own ModelN/model_metrics.txt instead.")
    ] = None,
    sort: Annotated[str | None, typer.Option(help="Column to sort by; default: the objective.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Metric to print; may be given several times.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Rows to print.")] = 15,
    csv: Annotated[Path | None, typer.Option(help="Where to write all columns; default: RUN/board.csv.")] = None,
) -> None:
    """Rank the configurations of a sweep. Prints verdicts and a table, writes CSV and figures."""
    from townsend.api import board as read_board
    from townsend.report.figures import draw_board
    from townsend.report.resources import render_resources
    from townsend.sweep.board import render, write_csv
    from townsend.sweep.import_metrics import import_metrics

    if run is not None and import_ is None:
        table = read_board(run)
    elif import_ is not None and run is None:
        table = import_metrics(import_)
    else:
        msg = "board takes either the folder of a sweep or --import DIR (got both or neither); name one"
        raise InputError(msg)
    table = table.sorted_by(sort) if sort else table
    show(render(table, metrics=metric or None, top=top))
    target = csv or (run / "board.csv" if run is not None else None)
    if target is not None:
        write_csv(table, target)
        say(f"all columns: {target}")
    if run is not None and (taken := render_resources(run, table.best)) is not None:
        show(taken)
    if run is not None:
        say(f"figures: {draw_board(run, run / 'figures')}")


@app.command()
def dashboard(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep, which may be running.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for any free one.")] = 8080,
) -> None:
    """Show a sweep in Optuna's dashboard. Listens on this machine only, follows the sweep, ends with Ctrl-C."""
    from townsend.api import dashboard as serve

    serve(run, port, lambda address: say(f"dashboard of {run}: {address} (Ctrl-C ends it)"))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep, which may be running.")],
    journal: Annotated[Path | None, typer.Option(help="Optuna journal to write.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder of TensorBoard's event files to write.")] = None,
) -> None:
    """Write what a sweep has left for Optuna or TensorBoard. An export: townsend does not read it back."""
    from townsend.api import export_journal, export_tensorboard

    if journal is None and tensorboard is None:
        msg = "export needs something to write (got neither); say --journal FILE, --tensorboard FOLDER or both"
        raise InputError(msg)
    if journal is not None:
        say(f"Optuna journal: {export_journal(run, journal)}")
    if tensorboard is not None:
        say(f"event files: {export_tensorboard(run, tensorboard)}; now: tensorboard --logdir {tensorboard}")


@app.command()
def refine(
    run: Annotated[Path, typer.Argument(help="Folder of a finished sweep.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="YAML file to write.")],
    top: Annotated[int, typer.Option(min=1, help="Leading configurations that decide.")] = 5,
) -> None:
    """Narrow a sweep around its best configurations. Writes the YAML file of a finer one."""
    from townsend.api import refine as refine_sweep

    written = refine_sweep(run, output, top)
    say(f"finer sweep: {written}; now: townsend sweep {written} -o FOLDER")


@app.command()
def choose(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    output: Output,
    trial: Annotated[int | None, typer.Option(min=0, help="Another configuration than the best.")] = None,
    retrain: Annotated[
        bool | None,
        typer.Option("--retrain/--no-retrain", help="Train anew on all but test; default: where the sweep has folds."),
    ] = None,
    build: Build = None,
) -> None:
    """Take the best model of a sweep. Writes its file, card and figures; reads the test set once."""
    from townsend.api import choose as choose_model
    from townsend.networks.build_file import load_build
    from townsend.report.figures import draw_model
    from townsend.sweep.choose import render_card
    from townsend.sweep.chosen import model_file

    chosen = load_build(build) if build else None
    model = choose_model(run, output, trial=trial, retrain=retrain, build=chosen)
    figures = draw_model(model)
    show(render_card(model))
    say(f"model: {model_file(model)}; card: {model / 'README.md'}; figures: {figures}")


@app.command("find-peaks")
def find_peaks(
    model: Annotated[Path, typer.Argument(help="Folder made by `townsend choose`.")],
    data: Annotated[Path, typer.Argument(help="NPZ traces, a ROOT file, or a folder that `townsend simulate` made.")],
    output: Output,
    config: Annotated[Path | None, typer.Option(help="YAML with polarity, scale, threshold.")] = None,
) -> None:
    """Apply a chosen network to waveforms. Writes times and scores to ROOT and a picture of each trace."""
    from townsend.api import find_peaks as find
    from townsend.config import load_yaml, parse
    from townsend.experiments.drifttube.peaks.find_peaks import FindPeaksSettings

    settings = parse(FindPeaksSettings, load_yaml(config) if config else {})
    with total_bar("drawing") as advance:
        peaks = find(model, data, output, settings, progress=advance)
    for hit, number in ((True, int(peaks.hit.sum())), (False, int((~peaks.hit).sum()))):
        rate = f": {peaks.rate_per_us(hit=hit):.2f} peaks per us" if number else ""
        say(f"{number} waveforms {'with' if hit else 'without'} a hit{rate}")
    say(f"peaks: {output / 'peaks.root'}; pictures: {output / 'figures'}")


@app.command()
def assemble(
    finder: Annotated[Path, typer.Argument(help="Folder of the chosen peak finder.")],
    clusteriser: Annotated[Path, typer.Argument(help="Folder of the chosen clusteriser, trained behind that finder.")],
    calibrate: Annotated[Path, typer.Option(help="Folder of a simulated sample that neither of them has seen.")],
    output: Output,
    jobs: Jobs = None,
) -> None:
    """Join both networks to a Reconstruction. Calibrates the number of clusters on a separate simulation."""
    from townsend.api import assemble as join
    from townsend.experiments.drifttube.reconstruction.assemble import render_reconstruction

    with total_bar("calibrating") as advance:
        reconstruction = join(finder, clusteriser, calibrate, output, jobs=jobs, progress=advance)
    show(render_reconstruction(reconstruction))
    say(f"reconstruction: {reconstruction}; card: {reconstruction / 'README.md'}")


@app.command()
def reconstruct(
    reconstruction: Annotated[Path, typer.Argument(help="Folder made by `townsend assemble`.")],
    files: Annotated[list[Path], typer.Argument(help="ROOT or NPZ files, or folders of shards.")],
    output: Output,
    config: Annotated[Path | None, typer.Option(help="YAML with polarity, scale, t0_ns, resample, threshold.")] = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    request: RequestFrom = None,
    request_cpus: Cpus = None,
    request_memory: Memory = None,
    max_hours: Hours = None,
    max_jobs: MaxJobs = None,
) -> None:
    """Count clusters in waveforms. Writes times, scores and numbers to ROOT; goes on where a kill left it."""
    from townsend.api import reconstruct as count
    from townsend.config import load_yaml, parse
    from townsend.experiments.drifttube.reconstruction.reconstruct import ReconstructSettings, render_summary

    settings = parse(ReconstructSettings, load_yaml(config) if config else {})
    site = site_of(engine, output, request, request_cpus, request_memory, max_hours, max_jobs)
    with total_bar("reconstructing") as advance:
        count(reconstruction, files, output, settings, jobs=jobs, site=site, progress=advance)
    show(render_summary(output))
    say(f"numbers, times and scores: {output / 'clusters-*.root'}; summary: {output / 'summary.json'}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder that holds the folders of the steps, under any names.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")],
) -> None:
    """Write one page a colleague can open. Verdicts come first, then figures, waveforms, how to repeat it."""
    from townsend.api import report as write_report

    say(f"report: {write_report(run, output)}")


add_table_commands(app)
add_gluex_commands(app, simulate_app)
add_farm_commands(app)


def main() -> None:
    """Run the command line; what the user can mend ends in one sentence and status 2."""
    set_logging("WARNING")
    try:
        app()
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer's answer to Ctrl-C, which says nothing
            _fail("stopped; what is finished is kept, the same command goes on", _INTERRUPTED)
        raise
    except TownsendError as error:
        _fail(str(error))
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{place}; check the path, its permissions and the free space")


def _fail(sentence: str, status: int = 2) -> None:
    sys.stderr.write(f"townsend: {printable(sentence)}\n")
    sys.exit(status)
