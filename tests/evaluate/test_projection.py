from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.evaluate.projection import pca, tsne, umap

NAMES = ("a", "b", "c", "d")


def clusters(rng: np.random.Generator, each: int = 60) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([0, 1], each)
    return rng.normal(size=(2 * each, 4)) + 8.0 * labels[:, None], labels


def test_two_correlated_features_have_the_shares_of_the_formula() -> None:
    rng = np.random.default_rng(1)
    rho, n = 0.6, 4000
    a = rng.normal(size=n)
    x = np.column_stack([a, rho * a + np.sqrt(1 - rho**2) * rng.normal(size=n)])
    found = pca(x, np.zeros(n), ["a", "b"], most=100)
    seen = np.corrcoef(x.T)[0, 1]
    assert [share.value for share in found.explained] == pytest.approx([(1 + seen) / 2, (1 - seen) / 2])
    assert found.explained[0].error == pytest.approx((1 - rho**2) / (2 * np.sqrt(n)), rel=0.1)  # of a correlation
    assert np.abs(found.loadings) == pytest.approx(np.full((2, 2), np.sqrt(0.5)))


def test_errors_of_shares_are_their_scatter_over_samples() -> None:
    rng = np.random.default_rng(2)
    mixing = np.array([[1.0, 0.8, 0.0, 0.3], [0.0, 0.5, 0.0, 0.9], [0.0, 0.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.4]])
    found = [pca(rng.exponential(size=(400, 4)) @ mixing, np.zeros(400), NAMES).explained for _ in range(150)]
    values, errors = np.array(found).transpose(2, 0, 1)
    assert np.all(np.abs(errors.mean(axis=0)[[0, 3]] / values.std(axis=0)[[0, 3]] - 1) < 0.25)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=15)
def test_units_change_no_picture(seed: int, scale: float, offset: float) -> None:
    x = np.random.default_rng(seed).normal(size=(30, 4)) @ np.diag([1.0, 2.0, 3.0, 4.0])
    x[:, 1] += x[:, 0]
    x[:, 2] += 4 * x[:, 1]
    once, other = pca(x, np.zeros(30), NAMES), pca(x * scale + offset, np.zeros(30), NAMES)
    assert other.picture.coordinates == pytest.approx(once.picture.coordinates, abs=1e-5)
    assert sum(share.value for share in once.explained) == pytest.approx(1.0)


def test_coordinates_are_loadings_of_standardised_features() -> None:
    x, labels = clusters(np.random.default_rng(3))
    found = pca(x, labels, NAMES, most=50)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    assert found.picture.coordinates == pytest.approx(scaled[found.picture.rows] @ found.loadings.T)
    assert np.array_equal(found.picture.labels, labels[found.picture.rows])
    assert len(found.picture.rows) == 50
    assert np.all(np.diff(found.picture.rows) > 0)
    assert np.all(found.loadings[np.arange(2), np.abs(found.loadings).argmax(axis=1)] > 0)
    away = found.picture.coordinates[:, 0][found.picture.labels == 1]
    assert away.min() > found.picture.coordinates[:, 0][found.picture.labels == 0].max()


def test_a_constant_feature_is_in_no_axis() -> None:
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.normal(size=50), np.full(50, 0.1), rng.normal(size=50)])
    found = pca(x, np.zeros(50), NAMES[:3])
    assert found.loadings[:, 1] == pytest.approx([0.0, 0.0])
    assert sum(share.value for share in found.explained) == pytest.approx(1.0)
    assert found.explained[2] == pytest.approx((0.0, 0.0))


def test_tsne_keeps_neighbours() -> None:
    x, labels = clusters(np.random.default_rng(5), 20)
    found = tsne(x, labels, most=30)
    assert found.coordinates.shape == (30, 2)
    distance = np.linalg.norm(found.coordinates[:, None] - found.coordinates[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(found.labels[distance.argmin(axis=1)], found.labels)
    assert "30 of 40 examples" in found.method
    assert "picture only" in found.caution


def test_a_seed_is_one_picture_and_few_examples_lower_the_perplexity() -> None:
    x, labels = clusters(np.random.default_rng(6), 5)
    found, again = tsne(x, labels), tsne(x, labels)
    assert np.array_equal(found.coordinates, again.coordinates)
    assert "perplexity 3," in found.method


def test_umap_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)  # as Python marks what cannot be imported
    x, labels = clusters(np.random.default_rng(7))
    with pytest.raises(InputError, match=r"install townsend\[umap\]"):
        umap(x, labels)


@pytest.mark.slow
def test_umap_keeps_neighbours_and_its_seed() -> None:
    pytest.importorskip("umap", exc_type=ImportError)
    x, labels = clusters(np.random.default_rng(8))
    found = umap(x, labels)
    assert np.array_equal(found.coordinates, umap(x, labels).coordinates)
    distance = np.linalg.norm(found.coordinates[:, None] - found.coordinates[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(labels[distance.argmin(axis=1)], labels)


def test_what_breaks_a_rule_is_refused() -> None:
    x, labels = clusters(np.random.default_rng(9), 10)
    with pytest.raises(InputError, match="5 examples of two features"):
        pca(x[:4], labels[:4], NAMES)
    with pytest.raises(InputError, match="got 1 examples with NaN"):
        tsne(np.where(np.arange(20)[:, None] == 3, np.nan, x), labels)
    with pytest.raises(InputError, match="all are constant"):
        pca(np.ones((10, 4)), np.zeros(10), NAMES)
    with pytest.raises(InputError, match="names"):
        pca(x, labels, NAMES[:3])
    with pytest.raises(InputError, match="most"):
        pca(x, labels, NAMES, most=2)
    with pytest.raises(InputError, match="perplexity"):
        tsne(x, labels, perplexity=0.5)
    with pytest.raises(InputError, match="neighbours"):
        umap(x, labels, neighbours=1)
