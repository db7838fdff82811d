"""The documentation: commands exist, code compiles and imports, settings parse, links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from townsend.cli import app
from townsend.config import load_yaml, parse
from townsend.experiments.drifttube.noise.quiet_traces import MeasureNoiseSettings
from townsend.experiments.drifttube.peaks.find_peaks import FindPeaksSettings
from townsend.experiments.drifttube.reading.layouts import ReadSettings
from townsend.experiments.drifttube.reconstruction.inputs import ReconstructSettings
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, TrackSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube
from townsend.experiments.shipped import shipped_configs
from townsend.experiments.table.analysis_settings import AnalysisSettings, sweep_of
from townsend.experiments.table.settings import TableSettings
from townsend.sweep.brackets import check_space
from townsend.sweep.settings import SweepSettings
from townsend.tasks.registry import find_task
from townsend.training.records import SENTENCES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"])


class Block(NamedTuple):
    """A fenced block: the page and line where it begins, the words behind the fence, its text."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*kinds: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if match[1].split(" ")[0] in kinds:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(str(page.relative_to(ROOT)), line, match[1], match[2]))
    return found


def command_lines() -> Iterator[tuple[str, str]]:
    for block in blocks("sh", "bash", "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.strip().startswith("townsend "):
                yield str(block), line.strip()


def inline_commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        outside = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for match in re.finditer(r"`(townsend [^`\n]+)`", outside):
            yield str(page.relative_to(ROOT)), match[1]


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that `words` name and the words after its name."""
    node: Any = get_command(app)
    while hasattr(node, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        assert name in node.commands, f"no command {name}; there are {', '.join(node.commands)}"
        node = node.commands[name]
    return node, words


@pytest.mark.parametrize(("where", "line"), list(command_lines()))
def test_commands_parse(where: str, line: str) -> None:
    node, words = leaf(shlex.split(line, comments=True)[1:])
    if words != ["--help"]:
        node.make_context(node.name, words)


@pytest.mark.parametrize(("where", "line"), list(inline_commands()))
def test_commands_in_sentences_exist_with_their_options(where: str, line: str) -> None:
    node, words = leaf([word for word in shlex.split(line)[1:] if word != "..."])
    known = {option for parameter in node.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("-")} <= known


def test_an_unknown_option_would_be_seen() -> None:
    node, words = leaf(["sweep", "peaks.yaml", "-o", "run", "--trails", "3"])
    with pytest.raises(Exception, match="No such option"):
        node.make_context(node.name, words)


def test_shipped_sweeps_that_the_pages_name_are_shipped() -> None:
    name = re.compile(r"\b(?:peaks|clusters)(?:-\w+)?\.yaml")
    assert {found for page in PAGES for found in name.findall(page.read_text(encoding="utf-8"))} == set(
        shipped_configs()
    )


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_code_compiles_and_its_imports_of_townsend_resolve(block: Block) -> None:
    tree = ast.parse(block.text, str(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "townsend":
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "townsend":
                    importlib.import_module(name.name)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_settings_are_known(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(block.text)
    document = load_yaml(path)
    kind = block.kind.removeprefix("yaml").strip()
    if kind == "drifttube":
        parse(DriftTubeSettings, document)
    elif kind == "find-peaks":
        parse(FindPeaksSettings, document)
    elif kind == "read":
        parse(ReadSettings, document)
    elif kind == "noise":
        parse(MeasureNoiseSettings, document)
    elif kind == "table":
        parse(TableSettings, document)
    elif kind == "analysis":
        analysis = parse(AnalysisSettings, document)
        for name in analysis.models:
            model = sweep_of(analysis, name, tmp_path)
            check_space(model, find_task(model.task).loss)
    elif kind == "reconstruct":
        parse(ReconstructSettings, document)
    else:
        assert kind == "sweep", "say behind the fence what the settings are for"
        settings = parse(SweepSettings, document)
        find_task(settings.task).settings(settings.task_settings)
        check_space(settings, find_task(settings.task).loss)


def anchors(page: Path) -> set[str]:
    """Names by which the headings of a page can be linked to, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    outside = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", outside):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name} links to {target}, which does not exist"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}, which has no such heading"


def test_the_page_of_settings_is_that_of_the_code() -> None:
    place = importlib.util.spec_from_file_location("make_settings", ROOT / "docs" / "make_settings.py")
    assert place is not None
    assert place.loader is not None
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run: python docs/make_settings.py"


def test_every_outcome_is_explained_in_its_own_words() -> None:
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    for outcome, sentence in SENTENCES.items():
        assert f"| {outcome.value} | {sentence} |" in page


def test_every_figure_of_the_board_is_defined(tmp_path: Path) -> None:
    sample = simulate_drifttube(150, tmp_path / "mc", DriftTubeSettings())
    task = find_task("drifttube-peaks")
    small = task.settings({"windows": 200, "validation_waveforms": 20, "test_waveforms": 20})
    arrays = task.prepare(sample, small, seed=1)
    metrics = task.evaluate(arrays, "validation", arrays.splits["validation"].y.copy(), None).metrics
    page = (ROOT / "docs" / "reference" / "figures.md").read_text(encoding="utf-8")
    for name in metrics:
        family = name.removesuffix(".ceiling").rpartition(".")[0]
        assert f"`{name}`" in page or f"`{family}." in page, name
        assert not name.endswith(".ceiling") or f"`{family}.*.ceiling`" in page, name


def test_every_figure_of_the_board_of_tables_is_defined() -> None:
    page = (ROOT / "docs" / "reference" / "figures.md").read_text(encoding="utf-8")
    assert [name for name in find_task("table").metrics if f"| `{name}` |" not in page] == []


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # of Keras
def test_every_figure_of_the_board_of_clusterisers_is_defined(tiny_model: Path, tmp_path: Path) -> None:
    uniform = DriftTubeSettings(seed=6, track=TrackSettings(impact="uniform"))
    task = find_task("drifttube-clusters")
    sample = simulate_drifttube(300, tmp_path / "mc", uniform)
    given = task.settings({"finder": str(tiny_model), "train_fraction": 0.2, "fixed_impact_cm": 0.2})
    arrays = task.prepare(sample, given, seed=1)
    metrics = task.evaluate(arrays, "test", arrays.splits["test"].y.copy(), None).metrics
    assert any(name.startswith("fixed.") for name in metrics)
    page = (ROOT / "docs" / "reference" / "figures.md").read_text(encoding="utf-8")
    assert "`fixed.`" in page
    for name in metrics:
        bare = name.removeprefix("fixed.")
        reference, _, figure = bare.partition(".")
        of_reference = f"`<reference>.{figure}`" in page or f"`.{figure}`" in page
        assert f"`{bare}`" in page or (f"| `{reference}` |" in page and of_reference), name
