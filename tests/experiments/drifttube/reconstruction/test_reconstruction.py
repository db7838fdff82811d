from __future__ import annotations

import json
import re
import runpy
import shutil
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest

from townsend.config import parse
from townsend.errors import InputError
from townsend.experiments.drifttube.reconstruction.assemble import assemble, load_reconstruction, render_reconstruction
from townsend.experiments.drifttube.reconstruction.calibration import Calibration
from townsend.experiments.drifttube.reconstruction.folder import check_reconstruction
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube
from townsend.files import read_sealed, sha256_of, write_json, write_sealed
from townsend.sample.reader import read_sample, sample_fingerprint
from townsend.sample.root_io import read_root, write_root

pytestmark = [
    pytest.mark.usefixtures("reconstruct_here"),
    # Keras asks NumPy for arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


@pytest.fixture
def copy(reco, tmp_path):
    """A Reconstruction that a test may spoil."""
    return shutil.copytree(reco, tmp_path / "reco")


def edited(path, **changes):
    """Write a sealed card anew with changes and a good seal, as somebody would who knows how."""
    card = {name: value for name, value in read_sealed(path).items() if name != "seal"}
    write_sealed(path, {**card, **changes})


# ---- what it is


def test_folder_holds_both_models_and_a_card_that_names_them(reco, finder, clusteriser, calibration_sample):
    card = read_sealed(reco / "card.json")
    assert {path.name for path in reco.iterdir()} == {
        "README.md",
        "calibration.npz",
        "card.json",
        "clusteriser",
        "finder",
    }
    for part, source in (("finder", finder), ("clusteriser", clusteriser)):
        for name in ("model.keras", "card.json", "README.md"):
            assert (reco / part / name).read_bytes() == (source / name).read_bytes()
        assert card[part]["sha256"] == sha256_of([source / "model.keras"])
    assert card["made_by"] == "townsend assemble"
    assert card["finder"]["threshold"] == 0.5
    assert card["calibration"]["sample"] == sample_fingerprint(calibration_sample)
    assert (card["calibration"]["sample_seed"], card["calibration"]["waveforms"]) == (103, 200)


def test_calibration_is_that_of_the_numbers_beside_it(reco):
    fit = check_reconstruction(reco).calibration
    with np.load(reco / "calibration.npz", allow_pickle=False) as kept:
        columns = dict(kept)
    seen = columns["predicted"] != 0
    u = columns["first_ns"][seen].astype(float) / 100
    design = np.stack([np.ones(len(u)), columns["predicted"][seen], u, u**2], axis=1)
    expected = np.linalg.lstsq(design, columns["truth"][seen].astype(float))[0]
    np.testing.assert_allclose([fit.offset, fit.slope, fit.per_100ns, fit.per_100ns_squared], expected, rtol=1e-6)
    number, _ = fit.apply(columns["predicted"], columns["first_ns"])
    assert np.mean(number[seen] - columns["truth"][seen]) == pytest.approx(0, abs=1e-4)


def test_loaded_it_repeats_the_numbers_of_its_calibration(reco, calibration_sample):
    reconstruction = load_reconstruction(reco)
    waveforms = read_sample(calibration_sample)
    counted = reconstruction(waveforms, waveforms.t0_ns)
    with np.load(reco / "calibration.npz", allow_pickle=False) as kept:
        np.testing.assert_array_equal(counted.predicted, kept["predicted"])
        np.testing.assert_array_equal(counted.first_ns, kept["first_ns"])
    number, error = reconstruction.calibration.apply(counted.predicted, counted.first_ns)
    np.testing.assert_array_equal(counted.number, number)
    np.testing.assert_array_equal(counted.error, error)


def test_bias_is_told_before_and_after_and_in_thirds(reco):
    fit = read_sealed(reco / "card.json")["calibration"]
    value, error = fit["relative_bias_before"]
    assert value < -0.4  # the clusteriser counts half a cluster a peak
    assert 0 < error < 0.05
    value, error = fit["relative_bias_after"]
    assert abs(value) < 4 * error
    assert [third["waveforms"] for third in fit["thirds"]] == pytest.approx([33, 33, 33], abs=15)
    assert sum(third["waveforms"] for third in fit["thirds"]) == 100


def test_it_needs_nothing_outside_its_folder(finder, clusteriser, calibration_sample, models, tmp_path):
    parts = shutil.copytree(finder, tmp_path / "a"), shutil.copytree(clusteriser, tmp_path / "b")
    made = assemble(*parts, calibration_sample, tmp_path / "reco")
    moved = shutil.move(made, tmp_path / "elsewhere")
    for part in parts:
        shutil.rmtree(part)
    assert load_reconstruction(moved).finder.threshold == 0.5


def test_assembled_twice_it_is_the_same(reco, finder, clusteriser, calibration_sample, tmp_path):
    again = assemble(finder, clusteriser, calibration_sample, tmp_path / "reco")
    assert (again / "card.json").read_bytes() == (reco / "card.json").read_bytes()
    assert (again / "README.md").read_bytes() == (reco / "README.md").read_bytes()


def test_card_for_people_says_whether_to_believe_it_first_and_its_recipe_runs(reco, tmp_path, monkeypatch):
    text = (reco / "README.md").read_text()
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    assert text.index("## Whether to believe it") < text.index("## Calibration") < text.index("## How to apply it")
    recipe = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    (tmp_path / "recipe.py").write_text(recipe)
    monkeypatch.chdir(reco)
    found = runpy.run_path(str(tmp_path / "recipe.py"))
    calibration = check_reconstruction(reco).calibration
    number, error = calibration.apply([1e-9], [0.0])
    assert found["number"] == pytest.approx(number)
    assert found["error"] == pytest.approx(error)


def test_terminal_shows_verdicts_and_bias(reco):
    from rich.console import Console

    console = Console(width=160, file=StringIO())
    console.print(render_reconstruction(reco))
    shown = console.file.getvalue()
    assert shown.index("bias of the number of clusters") < shown.index("calibrated on 200 waveforms")
    for name in ("slope", "per_100ns_squared", "cm from the wire"):
        assert name in shown


def test_notes_of_the_parts_come_last_and_short(finder, clusteriser, calibration_sample, tmp_path):
    from rich.console import Console

    part = shutil.copytree(clusteriser, tmp_path / "part")
    long = "selection-biased: trial 2 was taken as the best of 4, " + "which flatters " * 20
    edited(part / "card.json", verdicts=[{"ok": True, "sentence": "good"}, {"ok": False, "sentence": long}])
    reco = assemble(finder, part, calibration_sample, tmp_path / "reco")
    card = read_sealed(reco / "card.json")
    assert card["notes_of_parts"] == {"finder": [], "clusteriser": [long]}
    assert not any("selection-biased" in verdict["sentence"] for verdict in card["verdicts"])
    assert f"- clusteriser: {long}" in (reco / "README.md").read_text().replace("  ", " ")
    console = Console(width=160, file=StringIO())
    console.print(render_reconstruction(reco))
    shown = console.file.getvalue()
    assert shown.rindex("variance_per_cluster") < shown.index("clusteriser: selection-biased")
    assert len(shown.splitlines()[-1].rstrip()) <= 90


# ---- parts that do not fit each other


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"finder_sha256": "0" * 64}, r"trained on the peaks of this finder \(trained behind 000000000000, the finder"),
        ({"finder_threshold": 0.7}, r"at the finder's threshold \(got 0\.7, the finder's is 0\.5\)"),
        ({"sampling_rate_ghz": 2.0}, r"at the finder's sampling rate \(got 2, the finder's is 1\)"),
    ],
    ids=["finder", "threshold", "rate"],
)
def test_clusteriser_behind_another_finder_is_refused(facts, rule, finder, models, calibration_sample, tmp_path):
    other = models.clusteriser(tmp_path / "other", finder, **facts)
    with pytest.raises(InputError, match=rule + r".*choose a clusteriser behind this finder"):
        assemble(finder, other, calibration_sample, tmp_path / "reco")
    assert not (tmp_path / "reco").exists()


def test_models_in_the_wrong_order_are_refused(finder, clusteriser, calibration_sample, tmp_path):
    with pytest.raises(InputError, match=r'task "drifttube-peaks" \(got "drifttube-clusters"\)'):
        assemble(clusteriser, finder, calibration_sample, tmp_path / "reco")


def test_network_with_a_lambda_is_refused(finder, models, calibration_sample, tmp_path):
    from townsend.experiments.drifttube.clusters.clusteriser import load_clusteriser
    from townsend.networks.backend import any_keras

    keras = any_keras()
    facts = load_clusteriser(models.clusteriser(tmp_path / "good", finder)).facts
    layers = [keras.layers.Input((facts.bins, 1)), keras.layers.Flatten(), keras.layers.Lambda(lambda x: x[:, :1])]
    bad = models.write(tmp_path / "bad", keras.Sequential(layers), "drifttube-clusters", facts, None)
    with pytest.raises(InputError, match=r"bad/model\.keras"):
        assemble(finder, bad, calibration_sample, tmp_path / "reco")
    assert not (tmp_path / "reco").exists()


# ---- the calibration sample


@pytest.mark.parametrize(
    ("seed", "who"),
    [(101, "the finder"), (102, "the clusteriser")],
)
def test_sample_of_a_seed_that_a_network_has_seen_is_refused(seed, who, finder, clusteriser, simulated, tmp_path):
    sample = simulated(tmp_path / "mc", 120, seed)
    rule = rf"separate from what {who} was trained on \(both are of seed {seed}.*simulate with another --seed"
    with pytest.raises(InputError, match=rule):
        assemble(finder, clusteriser, sample, tmp_path / "reco")


def test_the_very_sample_of_a_training_is_refused_whatever_its_seed(finder, models, calibration_sample, tmp_path):
    other = models.clusteriser(tmp_path / "other", finder, sample_seed=None)
    edited(other / "card.json", sample=sample_fingerprint(calibration_sample))
    with pytest.raises(InputError, match="separate from what the clusteriser was trained on"):
        assemble(finder, other, calibration_sample, tmp_path / "reco")


def test_sample_without_truth_or_with_too_few_waveforms_is_refused(finder, clusteriser, simulated, tmp_path):
    few = simulated(tmp_path / "few", 60, 104)
    with pytest.raises(InputError, match=r"at least 100 waveforms .*got \d+ of 60\); simulate more"):
        assemble(finder, clusteriser, few, tmp_path / "reco")
    shard = few / "waveforms-00000.root"
    write_root(replace(read_root(shard), truth=None), shard)
    with pytest.raises(InputError, match="must hold simulated truth to calibrate with"):
        assemble(finder, clusteriser, few, tmp_path / "reco")
    assert not (tmp_path / "reco").exists()


def test_sample_of_another_sampling_rate_is_refused(finder, clusteriser, tmp_path):
    given = {"seed": 104, "digitizer": {"sampling_rate_GHz": 2.0, "samples": 2048}}
    sample = simulate_drifttube(10, tmp_path / "mc", parse(DriftTubeSettings, given))
    with pytest.raises(InputError, match=r"model's sampling rate, 1 GS/s \(got 2\)"):
        assemble(finder, clusteriser, sample, tmp_path / "reco")


def test_clusteriser_that_says_one_number_is_refused(finder, models, calibration_sample, tmp_path):
    from townsend.experiments.drifttube.clusters.clusteriser import load_clusteriser

    good = load_clusteriser(models.clusteriser(tmp_path / "good", finder))
    bins = good.facts.bins
    good.network.set_weights([np.zeros((bins, 1), np.float32), np.array([15.0], np.float32)])
    constant = models.write(tmp_path / "constant", good.network, "drifttube-clusters", good.facts, None)
    with pytest.raises(InputError, match=r"must differ from waveform to waveform \(got 15 for all"):
        assemble(finder, constant, calibration_sample, tmp_path / "reco")


# ---- the output folder


def test_folder_of_others_is_left_alone_and_our_own_is_replaced(finder, clusteriser, calibration_sample, tmp_path):
    (tmp_path / "reco").mkdir()
    (tmp_path / "reco" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"must be new, empty or made by `townsend assemble` \(it holds notes.txt\)"):
        assemble(finder, clusteriser, calibration_sample, tmp_path / "reco")
    (tmp_path / "reco" / "notes.txt").unlink()
    made = assemble(finder, clusteriser, calibration_sample, tmp_path / "reco")
    (made / "card.json").write_text((made / "card.json").read_text().replace("0.5", "0.6"))
    with pytest.raises(InputError, match="seal"):
        load_reconstruction(made)
    load_reconstruction(assemble(finder, clusteriser, calibration_sample, made))


# ---- spoiled folders


def test_edited_card_is_refused(copy):
    card = json.loads((copy / "card.json").read_text())
    card["calibration"]["offset"] += 1
    write_json(copy / "card.json", card)
    with pytest.raises(InputError, match=r"card.json must be as townsend wrote it .*edited"):
        load_reconstruction(copy)


def test_edited_card_of_a_part_is_refused_also_with_a_good_seal(copy):
    edited(copy / "finder" / "card.json", threshold=0.9)
    with pytest.raises(InputError, match=r"finder must hold the finder that was assembled .*townsend assemble"):
        load_reconstruction(copy)


def test_exchanged_network_is_refused(copy, models, tmp_path):
    other = models.finder(tmp_path / "other", delay_ns=9.0)
    shutil.copy(other / "model.keras", copy / "finder" / "model.keras")
    (copy / "finder" / "model.keras").write_bytes((other / "model.keras").read_bytes() + b"\0")
    with pytest.raises(InputError, match="finder must hold the finder that was assembled"):
        check_reconstruction(copy)


def test_exchanged_parts_are_refused_also_with_a_good_seal(copy, finder, models, tmp_path):
    other = models.clusteriser(tmp_path / "other", finder, finder_sha256="1" * 64)
    shutil.rmtree(copy / "clusteriser")
    shutil.copytree(other, copy / "clusteriser")
    card = read_sealed(copy / "card.json")
    seal = read_sealed(other / "card.json")["seal"]
    parts = {**card["clusteriser"], "sha256": sha256_of([other / "model.keras"]), "card_seal": seal}
    edited(copy / "card.json", clusteriser=parts)
    with pytest.raises(InputError, match="trained on the peaks of this finder"):
        load_reconstruction(copy)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"made_by": "townsend choose"}, "must be a folder made by `townsend assemble`"),
        ({"card_version": 2}, r"card of version 1 \(got 2\)"),
        (
            {"calibration": {**Calibration(0, 1, 0, 0, 0, 9, 1, 1).to_json(), "slope": None}},
            "a calibration must have the numbers",
        ),
    ],
    ids=["choose", "version", "calibration"],
)
def test_card_of_another_kind_is_refused(changes, rule, copy):
    edited(copy / "card.json", **changes)
    with pytest.raises(InputError, match=rule):
        check_reconstruction(copy)


def test_folder_that_is_none_or_has_lost_a_network_is_refused(copy, tmp_path):
    with pytest.raises(InputError, match="there is none"):
        load_reconstruction(tmp_path / "none")
    (copy / "clusteriser" / "model.keras").unlink()
    with pytest.raises(InputError, match=r"clusteriser/model.keras must exist; make it again with `townsend assemble`"):
        load_reconstruction(copy)
