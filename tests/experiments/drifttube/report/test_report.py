"""The report of a run: parts found and linked, what is missing said, nothing of it believed."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.engines.ledger import Ledger
from townsend.engines.request import Request
from townsend.engines.usage import Usage
from townsend.errors import InputError
from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.reconstruction.output import read_reconstructed
from townsend.experiments.drifttube.report.links import find_parts
from townsend.experiments.drifttube.report.repeat import commands, used
from townsend.experiments.drifttube.report.report import report
from townsend.experiments.drifttube.report.simulation import Ionization, read_ionization, simulation_verdicts
from townsend.files import read_json, read_sealed, write_json, write_sealed
from townsend.report.embed import Picture
from townsend.report.page import MARKER

Copy = Callable[..., Path]


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures, where they are not looked at."""
    nothing = Picture(b"", "image/png", 1, 1)
    for module in ("sweeps", "counts", "simulation"):
        monkeypatch.setattr(f"townsend.experiments.drifttube.report.{module}.drawn", lambda draw, kind="png": nothing)


@pytest.fixture(scope="module")
def text(whole_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the whole run."""
    return report(whole_run, tmp_path_factory.mktemp("page") / "report.html").read_text()


def plain(text: str) -> str:
    """What a page says, without its elements, style and script."""
    outside = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", outside))


# ---- the whole page


def test_every_part_has_its_section_verdicts_first(text: str) -> None:
    assert re.findall(r'<section id="(\w+)"', text) == [
        "verdicts",
        "figures",
        "simulation",
        "waveforms",
        "finder",
        "clusteriser",
        "resources",
        "numbers",
        "repeat",
        "origin",
        "citation",
    ]
    assert text.index('class="verdicts"') < text.index("<table")
    assert "does not hold" not in plain(text)


def test_the_page_is_light_and_loads_nothing(text: str) -> None:
    assert MARKER in text[:200]
    assert len(text) < 3_000_000
    outside = re.sub(r"<code>.*?</code>", "", text, flags=re.DOTALL)  # BibTeX names addresses, as text
    assert re.findall(r"https?://\S+", outside) == ['http://www.w3.org/2000/svg",']  # a name within the script
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', text))
    assert " style=" not in text


def test_figures_of_both_sweeps_and_all_waveforms_are_there(text: str) -> None:
    alternatives = re.findall(r'<img [^>]*alt="([^"]*)"', text)
    assert len(alternatives) == 27
    for words in ("auc-all of every", "mse of every", "mae of every", "ROC", "Confusion", "Predicted against true"):
        assert [one for one in alternatives if one.startswith(words)], words
    assert text.count('class="trace"') == 6


def test_the_headline_is_what_was_measured(text: str, whole_run: Path) -> None:
    counted = read_reconstructed(whole_run / "out")
    assert counted.true_clusters is not None
    off = counted.n_clusters.astype(float) - counted.true_clusters
    bias = 100 * off.mean() / counted.true_clusters.mean()
    said = re.search(r"Its bias is \(([+-][\d.]+) ±", plain(text))
    assert said is not None
    assert float(said[1]) == pytest.approx(bias, abs=0.006)


def test_the_slides_stand_beside(text: str) -> None:
    words = plain(text)
    assert "14.89 clusters, lies 17 % under their truth of 18.04" in words
    for figure in ("1.085", "0.9699", "3.73", "15.33", "14 min 22 s", "1 min 06 s"):
        assert figure in words


def test_degenerate_and_lost_rows_are_named_on_the_board(text: str) -> None:
    rows = re.findall(r'<tr class="faint">(.*?)</tr>', text)
    assert [plain(row).split()[0] for row in rows] == ["5", "6"]
    assert "degenerate" in plain(rows[0])
    assert "lost" in plain(rows[1])


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(text: str, whole_run: Path, tmp_path: Path) -> None:
    assert report(whole_run, tmp_path / "again.html").read_text() == text


# ---- names and texts are never believed

HOSTILE = "<script>alert(1)<"


@pytest.mark.usefixtures("blank")
def test_hostile_names_of_folders_and_texts_stay_text(some_run: Copy, tmp_path: Path) -> None:
    run = some_run("mc-finder", "peaks-run", into=HOSTILE)
    (run / "mc-finder").rename(run / "--<img src=x onerror=alert(1)>")
    (run / "peaks-run").rename(run / "$\\frac{'\"; rm -rf ~")
    records = run / "$\\frac{'\"; rm -rf ~" / "records" / "0000.json"
    value = read_json(records)
    value["fits"][6]["detail"] = value["fits"][5]["detail"] = "</style><script>alert(2)</script>"
    for one in value["fits"]:
        one["hyperparameters"]["activations"] = "<b>selu</b>"
    write_json(records, value)
    text = report(run, tmp_path / "report.html").read_text()
    assert text.count("<script>") == 1
    assert not re.findall(r"<[^>]*\sonerror=", text.replace("&lt;", ""))
    assert "&lt;b&gt;selu&lt;/b&gt;" in text
    lines = commands(find_parts(run))
    words = [shlex.split(line) for line in lines]
    assert words[0][-1] == "./--<img src=x onerror=alert(1)>"
    assert "$\\frac{'\"; rm -rf ~" in words[1]


# ---- parts


def test_parts_are_recognised_by_what_they_hold_under_any_name(some_run: Copy) -> None:
    run = some_run()
    for number, path in enumerate(sorted(run.iterdir())):
        path.rename(run / f"x{number}")
    parts = find_parts(run)
    assert not parts.missing
    assert [parts.roles[sample.path] for sample in parts.samples] == [
        ("finder",),
        ("clusteriser",),
        ("calibration",),
        ("test",),
    ]
    assert [verdict for verdict in parts.notes if not verdict.ok] == []


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize(
    ("held", "missing"),
    [
        (("mc-finder",), 6),
        (("mc-finder", "peaks-run"), 5),
        (("mc-finder", "peaks-run", "finder"), 4),
        (("clusters-run", "clusteriser"), 5),
        (("reco",), 4),
        (("out",), 6),
    ],
)
def test_a_page_shows_what_there_is_and_says_which_command_makes_the_rest(
    held: tuple[str, ...], missing: int, some_run: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("townsend.experiments.drifttube.report.traces.load_finder", finds_nothing)
    run = some_run(*held)
    parts = find_parts(run)
    assert len(parts.missing) == missing
    text = report(run, tmp_path / "report.html").read_text()
    for part in parts.missing:
        assert part.what in text
        assert part.command in text


def test_the_command_that_is_missing_names_the_folders_there_are(some_run: Copy) -> None:
    run = some_run("mc-finder", "peaks-run")
    (run / "peaks-run").rename(run / "my run")
    assert "townsend choose 'my run' -o finder" in [part.command for part in find_parts(run).missing]


def finds_nothing(folder: Path) -> Any:
    import awkward as ak

    nothing = ak.Array([np.zeros(0)])
    return lambda waveforms: (ak.concatenate([nothing] * len(waveforms)), None)


@pytest.mark.usefixtures("blank")
def test_the_folder_of_one_part_can_be_reported_alone(whole_run: Path, tmp_path: Path) -> None:
    text = report(whole_run / "clusters-run", tmp_path / "report.html").read_text()
    assert re.findall(r'<section id="(\w+)"', text)[:3] == ["verdicts", "clusteriser", "resources"]


def test_a_folder_without_any_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="must hold parts of a run"):
        report(tmp_path / "empty", tmp_path / "report.html")
    with pytest.raises(InputError, match="must be a folder"):
        report(tmp_path / "none", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_of_two_models_the_one_in_the_reconstruction_is_shown(some_run: Copy) -> None:
    run = some_run()
    shutil.copytree(run / "finder", run / "another")
    card = {name: value for name, value in read_sealed(run / "another" / "card.json").items() if name != "seal"}
    write_sealed(run / "another" / "card.json", {**card, "trial": 99})
    parts = find_parts(run)
    assert parts.finder.model is not None
    assert parts.finder.model.path.name == "finder"
    assert Verdict(False, "another is not the finder of reco: not shown") in parts.notes
    shutil.rmtree(run / "reco")
    shutil.rmtree(run / "out")
    shutil.rmtree(run / "clusteriser")
    with pytest.raises(InputError, match=r"several chosen models \(finder\).*another.*finder"):
        find_parts(run)


def test_of_two_reconstructions_the_one_that_made_the_output_is_shown(some_run: Copy) -> None:
    run = some_run()
    shutil.copytree(run / "reco", run / "a-copy")
    card = {name: value for name, value in read_sealed(run / "a-copy" / "card.json").items() if name != "seal"}
    write_sealed(run / "a-copy" / "card.json", {**card, "verdicts": []})
    parts = find_parts(run)
    assert parts.reconstruction is not None
    assert parts.reconstruction.path.name == "reco"
    shutil.rmtree(run / "out")
    with pytest.raises(InputError, match=r"several reconstructions is meant.*a-copy.*reco"):
        find_parts(run)


def test_another_sweep_and_an_output_of_another_reconstruction_are_named_not_shown(some_run: Copy) -> None:
    run = some_run()
    sweep = read_json(run / "peaks-run" / "sweep.json")
    write_json(run / "peaks-run" / "sweep.json", {**sweep, "fingerprint": "other"})
    output = read_json(run / "out" / "reconstruction.json")
    write_json(run / "out" / "reconstruction.json", {**output, "reconstruction": "other"})
    parts = find_parts(run)
    assert (parts.finder.sweep, parts.result) == (None, None)
    said = " ".join(verdict.sentence for verdict in parts.notes)
    assert "peaks-run is not the sweep" in said
    assert "out was made by another" in said


def test_an_unfinished_output_is_named(some_run: Copy) -> None:
    run = some_run()
    (run / "out" / "summary.json").unlink()
    parts = find_parts(run)
    assert parts.result is None
    assert [verdict.sentence for verdict in parts.notes] == ["out is unfinished and not shown"]


def edited_card(run: Path) -> None:
    path = run / "clusteriser" / "card.json"
    path.write_text(path.read_text().replace('"epochs": 5', '"epochs": 500'))


def torn_simulation(run: Path) -> None:
    (run / "mc-test" / "simulation.json").write_text('{"settings": {"sed": 3}, "waveforms": 1}')


def damaged_output(run: Path) -> None:
    path = run / "out" / "clusters-00000.root"
    path.write_bytes(path.read_bytes()[:200])


def foreign_reconstruction(run: Path) -> None:
    write_json(run / "out" / "reconstruction.json", {"files": "none"})


def other_sweep_settings(run: Path) -> None:
    value = read_json(run / "peaks-run" / "sweep.json")
    write_json(run / "peaks-run" / "sweep.json", {**value, "settings": []})


def summary_without_figures(run: Path) -> None:
    value = read_json(run / "out" / "summary.json")
    write_json(run / "out" / "summary.json", {**value, "figures": {"mean_clusters": "many"}})


def damaged_ledger(run: Path) -> None:
    (run / "peaks-run" / "jobs").mkdir()
    (run / "peaks-run" / "jobs" / "ledger.jsonl").write_text('{"folder": "0123", "inode": 1}\n{"submitted": "0007"}\n')


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged_ledger, r"line 2 of .*peaks-run/jobs/ledger\.jsonl"),
        (summary_without_figures, r"out/summary\.json"),
        (edited_card, r"clusteriser/card\.json.*edited"),
        (torn_simulation, r"mc-test/simulation\.json"),
        (damaged_output, r"clusters-00000\.root"),
        (foreign_reconstruction, r"out/reconstruction\.json"),
        (other_sweep_settings, r"peaks-run/sweep\.json"),
    ],
)
def test_what_was_spoilt_is_named_and_nothing_is_written(
    spoil: Callable[[Path], None], said: str, some_run: Copy, tmp_path: Path
) -> None:
    run = some_run()
    spoil(run)
    with pytest.raises(InputError, match=said):
        report(run, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_is_not_ours_is_kept(whole_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "thesis.html"
    other.write_text("mine")
    with pytest.raises(InputError, match="another file"):
        report(whole_run, other)
    assert other.read_text() == "mine"


# ---- jobs


def one_job(folder: Path, unit: str) -> None:
    """A ledger of one job, as wide of the mark as that of the slides."""
    ledger = Ledger(folder)
    batch = ledger.intend(Request(cpus=4, memory_mb=5000, disk_mb=2000, max_hours=2), [unit])
    ledger.submitted(batch, ["17.0"])
    used = Usage(wall_s=862, cpu_s=1430.92, memory_mb=826, disk_mb=12, host="node7")
    ledger.end("0000-0", "done", "status 0", used, Usage(wall_s=880, memory_mb=840))
    ledger.close()


@pytest.mark.usefixtures("blank")
def test_what_jobs_used_stands_beside_what_they_asked_for_in_each_part(
    some_run: Copy, measured: Callable[[Path], None], tmp_path: Path
) -> None:
    run = some_run()
    measured(run)
    places = {"mc-test": "simulation", "peaks-run": "finder", "out": "numbers", "beam": "real"}
    for name in places:
        one_job(run / name, "bracket 0")
    text = report(run, tmp_path / "report.html").read_text()
    for name, place in places.items():
        section = plain(text[text.index(f'<section id="{place}"') :].partition("</section>")[0])
        assert section.count("What the jobs of") == 1
        said = section[section.index(f"What the jobs of {name} took") :]
        assert "memory: 5,000 MB asked for, 826 MB used; 1,100 MB would do" in said
        assert "--request auto asks for request_cpus 2, request_memory 1100MB" in said
        assert "CPUs 1 1.66 1.66 4 42 % not sampled not sampled" in said
        assert "run time 1 14 min 22 s 14 min 22 s 2 h a job 12 % 14 min 40 s 14 min 40 s" in said
        assert ("trial 15, the best, and its job 0000-0 on node7" in said) == (name == "peaks-run")


@pytest.mark.usefixtures("blank")
def test_a_sweep_without_jobs_says_what_training_took(whole_run: Path, tmp_path: Path) -> None:
    words = plain(report(whole_run / "clusters-run", tmp_path / "report.html").read_text())
    assert "What the jobs" not in words
    assert "clusters-run: what training one configuration took, by its own record" in words
    assert "memory 4 702 MB 703 MB 700 MB" in words


# ---- measured traces


@pytest.mark.usefixtures("blank")
def test_measured_traces_are_shown_without_truth(
    some_run: Copy, measured: Callable[[Path], None], tmp_path: Path
) -> None:
    run = some_run()
    measured(run)
    text = report(run, tmp_path / "report.html").read_text()
    section = text[text.index('<section id="real"') : text.index('<section id="repeat"')]
    words = plain(section)
    assert "data-true" not in section
    assert section.count('class="trace"') == 6
    assert "traces: 3 traces" in words
    assert "with a hit 2 2.00 without 1 -" in words
    captions = re.findall(r"Event \d, channel \d: \d peaks found", words)
    assert captions[-3:] == [f"Event {i}, channel {i}: {n} peaks found" for i, n in enumerate((1, 3, 0))]
    lines = commands(find_parts(run))
    shard = run.parent / "beam" / "waveforms-00000.root"
    assert lines[-3] == f"townsend reconstruct reco {shlex.quote(str(shard))} -o beam"
    assert lines[-2] == "townsend find-peaks finder '/data/my traces.npz' -o traces --config traces.yaml"
    assert "polarity: -1" in words_of_code(text)


def words_of_code(text: str) -> str:
    return " ".join(re.findall(r"<code>(.*?)</code>", text, re.DOTALL))


@pytest.mark.usefixtures("blank")
def test_waveforms_that_are_gone_or_changed_are_not_shown(some_run: Copy, tmp_path: Path) -> None:
    run = some_run("reco", "out")
    description = read_json(run / "out" / "reconstruction.json")
    description["files"][0]["sha256"] = "0" * 64
    write_json(run / "out" / "reconstruction.json", description)
    text = report(run, tmp_path / "report.html").read_text()
    assert 'class="trace"' not in text
    assert '<section id="numbers"' in text


# ---- how to repeat it


def test_the_commands_make_the_run_again(whole_run: Path) -> None:
    assert commands(find_parts(whole_run)) == [
        "townsend simulate drifttube -n 40 --seed 11 --impact uniform -o mc-finder",
        "townsend simulate drifttube -n 40 --seed 12 --impact uniform -o mc-clusters",
        "townsend simulate drifttube -n 40 --seed 13 --impact uniform -o mc-calibration",
        "townsend simulate drifttube -n 400 --seed 14 --impact uniform -o mc-test",
        "townsend sweep peaks.yaml --sample mc-finder -o peaks-run",
        "townsend choose peaks-run -o finder",
        "townsend sweep clusters.yaml --sample mc-clusters --finder finder -o clusters-run",
        "townsend choose clusters-run -o clusteriser",
        "townsend assemble finder clusteriser --calibrate mc-calibration -o reco",
        "townsend reconstruct reco mc-test -o out",
        "townsend report . -o report.html",
    ]


def test_the_commands_are_known_to_the_command_line(whole_run: Path) -> None:
    from typer.main import get_command

    from townsend.cli import app

    for line in commands(find_parts(whole_run)):
        node: Any = get_command(app)
        words = shlex.split(line)[1:]
        while hasattr(node, "commands"):
            node, words = node.commands[words[0]], words[1:]
        node.make_context(node.name, words)


@pytest.mark.usefixtures("blank")
def test_settings_that_options_cannot_give_come_as_files(some_run: Copy, tmp_path: Path) -> None:
    run = some_run("mc-finder", "peaks-run")
    value = read_json(run / "peaks-run" / "sweep.json")
    value["settings"]["task_settings"] |= {"tolerance_ns": 1.5, "windows": 5000}
    value["settings"]["seed"] = 7
    write_json(run / "peaks-run" / "sweep.json", value)
    assert commands(find_parts(run))[1] == "townsend sweep peaks-run.yaml --sample mc-finder -o peaks-run"
    assert "tolerance_ns: 1.5" in report(run, tmp_path / "report.html").read_text()
    value["settings"]["task_settings"]["tolerance_ns"] = 2.0
    write_json(run / "peaks-run" / "sweep.json", value)
    line = "townsend sweep peaks.yaml --sample mc-finder --seed 7 --windows 5000 -o peaks-run"
    assert commands(find_parts(run))[1] == line


def test_what_was_used_comes_from_the_settings(whole_run: Path) -> None:
    found = used(find_parts(whole_run))
    assert found.networks == {"lstm", "cnn"}
    assert found.optimizers == {"sgd", "adam", "rmsprop"}
    assert found.activations == {"relu", "selu", "sigmoid"}
    assert (found.dropout, found.simulated, found.references, found.fitted) == (True, True, True, True)
    assert found.samplers == {"grid"}


# ---- the simulation beside its tables


def seen(clusters: np.ndarray, **more: Any) -> Ionization:
    given: dict[str, Any] = {
        "clusters": clusters,
        "path_cm": np.full(len(clusters), 1.0),
        "impact_cm": np.zeros(len(clusters)),
        "sizes": np.arange(1, 5),
        "size_counts": np.array([8000, 1500, 400, 100]),
        "size_table": np.array([0.8, 0.15, 0.04, 0.01]),
        "density_per_cm": 16.0,
    }
    return Ionization(**{**given, **more})


def test_a_sample_as_its_tables_say_is_believed() -> None:
    rng = np.random.default_rng(1)
    verdicts = simulation_verdicts(seen(rng.poisson(16.0, 5000)))
    assert all(verdict.ok for verdict in verdicts), verdicts


def test_a_density_or_sizes_five_per_cent_off_are_not() -> None:
    rng = np.random.default_rng(1)
    density, _, _ = simulation_verdicts(seen(rng.poisson(16.8, 5000)))
    assert not density.ok
    sizes = simulation_verdicts(seen(rng.poisson(16.0, 5000), size_counts=np.array([7900, 1650, 360, 90])))[2]
    assert not sizes.ok
    narrow = simulation_verdicts(seen(np.full(5000, 16)))[1]
    assert not narrow.ok


def test_a_simulated_sample_agrees_with_its_tables(whole_run: Path) -> None:
    parts = find_parts(whole_run)
    sample = parts.sample_for("test")
    assert sample is not None
    found = read_ionization(sample)
    assert len(found.clusters) == 400
    assert found.size_table.sum() == pytest.approx(1)
    assert found.expected_size == pytest.approx(1.529, abs=0.001)  # Heed, delta electrons contained
    assert found.mean_size.value < found.expected_size  # large clusters leave the tube
    assert found.clusters.sum() - found.size_counts.sum() <= 3  # clusters whose electrons all left the tube
    assert all(verdict.ok for verdict in simulation_verdicts(found))


def test_names_with_formulas_can_be_drawn(some_run: Copy, tmp_path: Path) -> None:
    run = some_run("peaks-run")
    (run / "peaks-run").rename(run / "$\\frac{")
    assert report(run, tmp_path / "report.html").read_text().count("<img") == 10
