"""Garfield++'s gas file against the table of the same points, and everything that is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.gas_file import read_gas_file

NAME = "he_90_ic4h10_10_293K_1atm.gas"


@pytest.fixture(scope="module")
def text(reference):
    return (reference / NAME).read_text(encoding="latin-1")


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "my.gas"
        path.write_text(text, encoding="latin-1")
        return path

    return write


def test_the_file_holds_the_points_of_the_table(reference, tables):
    table = np.genfromtxt(tables / "gas_he90_iso10.csv", delimiter=",", names=True)
    gas = read_gas_file(reference / NAME)
    # The table is rounded: fields exact, velocities to 1e-5 cm/us, diffusion to 0.01 um, alpha to 1e-4 per cm.
    np.testing.assert_allclose(gas.field_V_per_cm, table["E_V_per_cm"], rtol=1e-8)
    np.testing.assert_allclose(gas.velocity_cm_per_ns, 1e-3 * table["v_cm_per_us"], atol=6e-9)
    np.testing.assert_allclose(gas.sigma_l, 1e-4 * table["sigmaL_um_per_sqrtcm"], atol=6e-7)
    np.testing.assert_allclose(gas.sigma_t, 1e-4 * table["sigmaT_um_per_sqrtcm"], atol=6e-7)
    np.testing.assert_allclose(gas.townsend_per_cm, table["alpha_per_cm"], atol=6e-5)
    np.testing.assert_array_equal(gas.attachment_per_cm, table["eta_per_cm"])
    assert (gas.helium, gas.isobutane) == (pytest.approx(0.9), pytest.approx(0.1))
    assert (gas.temperature_K, gas.pressure_Torr) == (293.15, 760.0)


def test_a_table_with_angles_of_one_angle_says_the_same(text, written, reference):
    """`Dimension : T` has the same quantities without the spare numbers, and Garfield++ writes it after a merger."""
    head, body = text.split("The gas tables follow:\n")
    body, foot = body.split(" H Extr")
    records = np.array(re.findall(r"[-+]?\d\.\d{8}E[-+]\d\d", body)).reshape(23, -1)
    spare = [1, 3, 5, 7, 9, 11, *range(14, records.shape[1], 2)]
    kept = np.delete(records, spare, axis=1)
    assert kept.shape[1] == 17 + 69
    lines = "\n".join(" ".join(row) for row in kept)
    head = head.replace("Dimension : F", "Dimension : T")
    gas = read_gas_file(written(f"{head}The gas tables follow:\n{lines}\n H Extr{foot}"))
    for name, value in vars(read_gas_file(reference / NAME)).items():
        np.testing.assert_array_equal(getattr(gas, name), value, err_msg=name)


def test_coefficients_that_the_file_does_not_have_are_zero(text, written):
    gas = read_gas_file(written(text.replace("TFTTFTTT", "TFTFFFTT")))
    assert not gas.townsend_per_cm.any()
    assert not gas.attachment_per_cm.any()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Version   : 12", "Version   : 11", r"version 12 \(got 11\)"),
        ("Version   : 12", "Version   : twelve", "does not say a version"),
        ("GASOK bits: TFTTFTTTT", "GASOK bits: TFFTFTTFT", "no longitudinal diffusion and no transverse diffusion"),
        ("GASOK bits: T", "GASOK bits: F", "no drift velocity"),
        ("        23         1         1", "        23         1         6", "got 6 fields and 1 angles"),
        ("        23         1         1", "        23         4         1", "got 1 fields and 4 angles"),
        ("        23         1         1", "         1         1         1", "at least two electric fields"),
        ("        23         1         1", "        24         1         1", "24 numbers below 'E fields'"),
        ("        64         5", "        64         6", "numbers in its tables"),
        (" B fields   \n 0.00000000E+00", " B fields   \n 1.00000000E+02", "without magnetic field"),
        ("E+00 9.00000000E+01", "E+00 9.50000000E+01", r"add up to 100 \(got 105\)"),
        (" Mixture:   \n 0.00000000E+00 0", " Mixture:   \n 0.00000000E+00 5", "it has Ar"),
        ("E+00 9.00000000E+01", "E+00 0.00000000E+00", "it has no helium"),
        ("follow:\n 5.81230116E-01", "follow:\n            NAN", "not finite"),
        ("follow:\n 5.81230116E-01", "follow:\n-5.81230116E-01", "negative number"),
        ("follow:\n 5.81230116E-01", "follow:\n five", "got other text"),
        (" 1.31578947E-01 3.28947368E-01", " 3.28947368E-01 1.31578947E-01", "out of order"),
        ("PGAS  = 7.60000000E+02", "PGAS  = 0.00000000E+00", "positive pressure"),
        ("TGAS  = 2.93150000E+02", "TGAS  = ", "does not say TGAS"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(text, written, old, new, sentence):
    assert text.count(old) >= 1
    with pytest.raises(InputError, match=sentence) as refusal:
        read_gas_file(written(text.replace(old, new, 1)))
    assert "my.gas" in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.gas", tmp_path):
        with pytest.raises(InputError, match="can be read"):
            read_gas_file(path)


@given(st.integers(0, 618))
@example(618)
@example(617)
@example(100)
@example(0)
def test_a_file_that_ends_early_is_refused_wherever_it_ends(reference, tmp_path_factory, lines):
    whole = (reference / NAME).read_text(encoding="latin-1").splitlines(keepends=True)
    path = tmp_path_factory.mktemp("torn") / "torn.gas"
    path.write_text("".join(whole[:lines]), encoding="latin-1")
    with pytest.raises(InputError, match=r"torn\.gas must"):
        read_gas_file(path)


@given(st.integers(0, 70_000), st.text(st.characters(codec="ascii"), max_size=6))
def test_noise_in_a_file_never_ends_in_a_traceback(reference, tmp_path_factory, place, noise):
    text = (reference / NAME).read_text(encoding="latin-1")
    path = tmp_path_factory.mktemp("noise") / "noise.gas"
    path.write_text(text[:place] + noise + text[place + len(noise) :], encoding="latin-1")
    try:
        gas = read_gas_file(path)
    except InputError:
        return
    assert all(np.isfinite(value).all() for value in vars(gas).values())
