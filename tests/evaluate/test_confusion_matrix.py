from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as scikit_learns

from townsend.errors import InputError
from townsend.evaluate.confusion_matrix import confusion_matrix

EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(-4, 8, width=16)), min_size=1, max_size=30)
NAMES = ("WZ", "ZZ", "ttZ")


@settings(max_examples=50)
@given(EVENTS.filter(lambda rows: any(row[2] for row in rows)))
def test_sums_are_scikit_learns_with_their_sign(rows):
    truth, predicted, weights = (np.array(column) for column in zip(*rows, strict=True))
    matrix = confusion_matrix(truth, predicted, NAMES, weights)
    np.testing.assert_allclose(
        matrix.sums, scikit_learns(truth, predicted, labels=[0, 1, 2], sample_weight=weights), atol=1e-12
    )
    np.testing.assert_array_equal(matrix.counts, scikit_learns(truth, predicted, labels=[0, 1, 2]))
    squares = scikit_learns(truth, predicted, labels=[0, 1, 2], sample_weight=weights**2)
    np.testing.assert_allclose(matrix.errors**2, squares, atol=1e-12)


def test_rows_are_true_classes_and_normalisations_are_named():
    matrix = confusion_matrix([0, 0, 0, 1], [0, 0, 1, 1], NAMES[:2])
    assert matrix.axes == "rows: true class, columns: predicted class"
    assert matrix.counts.tolist() == [[2, 1], [0, 1]]
    assert matrix.normalised("true").tolist() == [[pytest.approx(2 / 3), pytest.approx(1 / 3)], [0, 1]]
    assert matrix.normalised("predicted").tolist() == [[1, 0.5], [0, 0.5]]
    assert matrix.normalised("all").sum() == 1
    assert matrix.to_json()["classes"] == ["WZ", "ZZ"]
    assert confusion_matrix([0], [0], NAMES).normalised("true")[2].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        ([0, 3], [0, 1], "class numbers from 0 to 2 .got 3"),
        ([0, 1], [0, 0.5], "predicted classes must be class numbers .* .got 0.5"),
        ([0, 1], [0], "one entry an example .got 2 and 1"),
    ],
)
def test_what_is_no_class_is_refused(truth, predicted, words):
    with pytest.raises(InputError, match=words):
        confusion_matrix(truth, predicted, NAMES)


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(InputError, match=r'got "truth"\); did you mean "true"'):
        confusion_matrix([0], [0], NAMES).normalised("truth")
