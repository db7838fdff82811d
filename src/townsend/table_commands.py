"""The command line of tables of events: train, evaluate, apply and skim.

What to use when
----------------
- `add_table_commands`: the four commands.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from townsend.farm_commands import Cpus, EngineName, Hours, MaxJobs, Memory, RequestFrom, site_of
from townsend.terminal import named_bar, say, show, total_bar

__all__ = ["add_table_commands"]

Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; default: the cores of this machine.")]
Build = Annotated[
    Path | None, typer.Option(help="Your Python file with build(hp), for network `build` or `torch`. It is run.")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]


class Form(StrEnum):
    """Format of a skim."""

    ROOT = "root"
    PARQUET = "parquet"


def add_table_commands(app: typer.Typer) -> None:
    """Add the commands to those of townsend."""
    for command in (train, evaluate, apply, skim):
        app.command()(command)


def train(
    config: Annotated[Path, typer.Argument(help="YAML of a table, or of an analysis with its models; or a folder.")],
    output: Output,
    table: Annotated[Path | None, typer.Option(help="Table in place of the analysis' own: YAML or folder.")] = None,
    build: Build = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    request: RequestFrom = None,
    request_cpus: Cpus = None,
    request_memory: Memory = None,
    max_hours: Hours = None,
    max_jobs: MaxJobs = None,
) -> None:
    """Train models on a table of events and compare them. Writes models, figures and one page; goes on after a kill."""
    from townsend.api import train as train_models
    from townsend.experiments.shipped import find_config
    from townsend.experiments.table.analysis_settings import load_analysis
    from townsend.experiments.table.evaluate import render_evaluation
    from townsend.networks.build_file import load_build

    settings, description = load_analysis(find_config(config), table)
    site = site_of(engine, output, request, request_cpus, request_memory, max_hours, max_jobs)
    file = load_build(build) if build else None
    with named_bar() as advance:
        run = train_models(settings, description, output, jobs=jobs, site=site, build=file, progress=advance)
    show(render_evaluation(run / "evaluation"))
    say(
        f"models: {run / 'models'}; page: {run / 'report.html'}; now: townsend apply {run / 'models'}/NAME FILES -o DIR"
    )


def evaluate(
    models: Annotated[list[Path], typer.Argument(help="Folders of chosen models; the first is compared with.")],
    output: Output,
    table: Annotated[
        Path | None, typer.Option(help="Another table, all of whose events are judged; default: the models' test set.")
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train each again: its learning curve, and without each feature.")
    ] = False,
    projection: Annotated[
        list[str] | None, typer.Option(help="Further picture of the features: tsne or umap; may be given twice.")
    ] = None,
    build: Build = None,
) -> None:
    """Judge chosen models on the same events. Writes metrics with errors, curves, figures and verdicts."""
    from townsend.api import evaluate as judge
    from townsend.experiments.table.evaluate import model_names, render_evaluation
    from townsend.networks.build_file import load_build

    file = load_build(build) if build else None
    with named_bar() as advance:
        folder = judge(
            model_names(models),
            output,
            table=table,
            retrain=retrain,
            projections=projection or (),
            build=file,
            progress=advance,
        )
    show(render_evaluation(folder))
    say(f"metrics: {folder / 'metrics.csv'}; figures: {folder / 'figures'}")


def apply(
    model: Annotated[Path, typer.Argument(help="Folder of a chosen model.")],
    files: Annotated[list[str], typer.Argument(help="ROOT, Parquet or CSV files, or patterns.")],
    output: Output,
    tree: Annotated[str | None, typer.Option(help="Name of the tree; default: the one trained on.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Score of the signal; default: the model's own.")] = None,
    build: Build = None,
) -> None:
    """Score every entry of files. Writes scores and labels beside the input: same entries, same order."""
    from townsend.api import apply as apply_model
    from townsend.networks.build_file import load_build

    file = load_build(build) if build else None
    with total_bar("scoring") as advance:
        found = apply_model(model, files, output, tree=tree, threshold=threshold, build=file, progress=advance)
    for one in found:
        without = f", {one.without} without a score" if one.without else ""
        say(
            f"{one.path}: {one.entries} entries, {one.selected} pass the cuts, {one.accepted} of them accepted{without}"
        )


def skim(
    table: Annotated[Path, typer.Argument(help="YAML of a table.")],
    output: Output,
    keep: Annotated[list[str] | None, typer.Option(help="Further column to write; may be given several times.")] = None,
    form: Annotated[Form, typer.Option("--format", help="Format of what is written.")] = Form.ROOT,
    jobs: Jobs = None,
    engine: EngineName = "local",
    request: RequestFrom = None,
    request_cpus: Cpus = None,
    request_memory: Memory = None,
    max_hours: Hours = None,
    max_jobs: MaxJobs = None,
) -> None:
    """Apply cuts to many files. Writes the events that pass and the cut-flow with weighted yields and errors."""
    from townsend.api import skim as skim_files
    from townsend.experiments.table.cut_flow import render_cut_flow
    from townsend.experiments.table.settings import load_table

    description = load_table(table)
    site = site_of(engine, output, request, request_cpus, request_memory, max_hours, max_jobs)
    with total_bar("skimming") as advance:
        flows = skim_files(
            description, output, keep=keep or (), form=form.value, jobs=jobs, site=site, progress=advance
        )
    show(render_cut_flow(flows, description.settings.cuts))
    say(
        f"events: {output}/skim-*.{form.value}; cut-flow: {output / 'cutflow.csv'}; now: townsend train {output} -o RUN"
    )
