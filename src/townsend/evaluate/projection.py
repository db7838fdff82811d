"""Tables of many features as pictures of two axes.

What to use when
----------------
- `pca`: first; straight axes of largest spread, with how much of all they show and what they are made of.
- `tsne`: which examples have which neighbours, where straight axes show nothing.
- `umap`: much the same as `tsne` for larger tables; needs the extra `townsend[umap]`.

All take features of mean zero and spread one, whatever their units. Event weights are not used: a picture shows
examples, and its points have no weight. Of `tsne` and `umap` believe only what lies side by side: distances between
clusters, their sizes and their number depend on settings and seed and mean nothing (Wattenberg, Viegas and Johnson,
Distill 2016, doi:10.23915/distill.00002). Cut on none of these axes.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.tasks.base import Metric

__all__ = ["MOST", "Pca", "Projection", "pca", "tsne", "umap"]

Floats = NDArray[np.float64]

MOST = 2000
"""Examples that a picture shows unless told otherwise: more are slow (`tsne`: ten seconds) and cover each other."""
_FEWEST = 5
_STREAM = 12  # keeps these random numbers apart from every other use of a seed


@dataclass(frozen=True)
class Projection:
    """Points of a picture.

    Arguments:
        method: and its settings, for the caption; caution: what must not be read from the picture.
        coordinates: (m, 2); rows: (m,) ascending numbers of the examples shown; labels: (m,) of these.
    """

    method: str
    caution: str
    coordinates: Floats
    rows: NDArray[np.intp]
    labels: NDArray[Any]


@dataclass(frozen=True)
class Pca:
    """Straight axes of largest spread.

    Arguments:
        picture: the examples on the first two axes.
        explained: of each axis, largest first, its share of the variance of all features, with error.
        names: (k,) of the features.
        loadings: (2, k) unit vectors, how much of each feature is in each of the two axes.
    """

    picture: Projection
    explained: tuple[Metric, ...]
    names: tuple[str, ...]
    loadings: Floats


def pca(x: NDArray[Any], labels: ArrayLike, names: Sequence[str], most: int = MOST, seed: int = 0) -> Pca:
    """Return the principal components of standardised features (scikit-learn's, exact).

    The axes are found from all examples; `most` of them are shown. Signs are such that the largest loading of an axis
    is positive. Errors of the shares are linearised: how much each example, taken for independent, moves an eigenvalue
    of the correlations. They mean little for two axes of shares within errors of each other: these are no axes of
    their own, any pair turned in their plane is as good, and the first share is then a little too large.

    Arguments:
        x: (n, k) finite features, n at least 5, k at least 2, not all constant.
        labels: (n,) classes, only carried along; names: (k,) of the features.
        most: examples to show; seed: which ones.

    Raises InputError when a rule is broken.
    """
    from sklearn.decomposition import PCA

    scaled, classes = _standardised(x, labels)
    if len(names) != scaled.shape[1]:
        msg = f"names must be one a feature (got {len(names)} for {scaled.shape[1]}); name all"
        raise InputError(msg)
    found = PCA(svd_solver="covariance_eigh").fit(scaled)
    loadings = np.asarray(found.components_[:2], np.float64)
    loadings = loadings * np.sign(loadings[np.arange(2), np.abs(loadings).argmax(axis=1)])[:, None]
    rows = _shown(len(scaled), most, seed)
    explained = _explained(scaled, found.components_, found.explained_variance_ratio_)
    first, second = (100 * share.value for share in explained[:2])
    method = f"PCA of standardised features: {first:.0f} % and {second:.0f} % of the variance"
    caution = "what is spread along other axes is not seen"
    picture = Projection(method, caution, scaled[rows] @ loadings.T, rows, classes[rows])
    return Pca(picture, explained, tuple(names), loadings)


def tsne(x: NDArray[Any], labels: ArrayLike, most: int = MOST, seed: int = 0, perplexity: float = 30.0) -> Projection:
    """Return a t-SNE picture (scikit-learn's) of at most `most` examples, started from their principal components.

    L. van der Maaten and G. Hinton, JMLR 9 (2008) 2579. It has no formula for other examples: it is a picture of these.

    Arguments:
        x, labels: as `pca`.
        most: examples to show, drawn at random; seed: of the draw and the method.
        perplexity: about how many neighbours count; lowered to a third of the examples where they are few.

    Raises InputError when a rule is broken.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if not perplexity >= 1:
        msg = f"perplexity must be at least 1 (got {perplexity}); 30 is usual"
        raise InputError(msg)
    scaled, classes = _standardised(x, labels)
    rows = _shown(len(scaled), most, seed)
    near = min(perplexity, (len(rows) - 1) / 3)
    made = TSNE(perplexity=near, init="pca", learning_rate="auto", random_state=seed, n_jobs=1)
    with threadpool_limits(limits=1):  # one order of sums, so that a seed is one picture
        coordinates = np.asarray(made.fit_transform(scaled[rows]), np.float64)
    method = f"t-SNE, perplexity {near:.3g}, seed {seed}, {len(rows):,} of {len(scaled):,} examples"
    return Projection(method, _only_a_picture(), coordinates, rows, classes[rows])


def umap(x: NDArray[Any], labels: ArrayLike, most: int = MOST, seed: int = 0, neighbours: int = 15) -> Projection:
    """Return a UMAP picture (umap-learn's) of at most `most` examples.

    L. McInnes, J. Healy and J. Melville, arXiv:1802.03426.

    Arguments:
        x, labels, most, seed: as `tsne`.
        neighbours: of each example that count, at least 2; lowered to all others where they are few.

    Raises InputError when a rule is broken or umap-learn is not installed.
    """
    if neighbours < 2:
        msg = f"neighbours must be at least 2 (got {neighbours}); 15 is usual"
        raise InputError(msg)
    scaled, classes = _standardised(x, labels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # that TensorFlow, which nothing here uses, is not there
            library = importlib.import_module("umap")
    except ImportError as error:
        msg = f"UMAP needs the package umap-learn ({error}); install townsend[umap], or use t-SNE"
        raise InputError(msg) from None
    rows = _shown(len(scaled), most, seed)
    near = min(neighbours, len(rows) - 1)
    made = library.UMAP(n_neighbors=near, random_state=seed, n_jobs=1)
    coordinates = np.asarray(made.fit_transform(scaled[rows]), np.float64)
    method = f"UMAP, {near} neighbours, seed {seed}, {len(rows):,} of {len(scaled):,} examples"
    return Projection(method, _only_a_picture(), coordinates, rows, classes[rows])


def _only_a_picture() -> str:
    return "a picture only: distances between clusters, their sizes and their number mean nothing"


def _standardised(x: NDArray[Any], labels: ArrayLike) -> tuple[Floats, NDArray[Any]]:
    """Return features of mean zero and spread one, constant ones zero, and flat labels."""
    values, classes = np.asarray(x, np.float64), np.asarray(labels).reshape(-1)
    if values.ndim != 2 or values.shape[1] < 2 or len(values) < _FEWEST or len(classes) != len(values):
        rule = f"a projection needs at least {_FEWEST} examples of two features and a label each"
        msg = f"{rule} (got an array of shape {values.shape} and {len(classes)} labels); give more"
        raise InputError(msg)
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
        msg = f"features must be finite (got {bad} examples with NaN or infinity); fill or cut these first"
        raise InputError(msg)
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    constant = spread <= 1e-12 * np.abs(values).max(axis=0)  # rounding alone
    if constant.all():
        msg = "one feature at least must vary (all are constant); check the columns"
        raise InputError(msg)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, spread)), classes


def _shown(examples: int, most: int, seed: int) -> NDArray[np.intp]:
    """Return ascending rows to show."""
    if most < _FEWEST:
        msg = f"most must be at least {_FEWEST} (got {most}); raise it"
        raise InputError(msg)
    return np.sort(np.random.default_rng([seed, _STREAM]).permutation(examples)[:most])


def _explained(scaled: Floats, axes: Floats, shares: Floats) -> tuple[Metric, ...]:
    """Return the share of the variance along each principal axis with its error."""
    varying = int(np.count_nonzero(scaled.any(axis=0)))  # the variance of them all
    explained = []
    for axis, share in zip(axes, shares, strict=True):
        # By how much an example moves an eigenvalue of the correlations: along the axis, less what it adds to spreads.
        moved = (scaled @ axis) ** 2 - varying * share * (scaled**2 @ axis**2)
        explained.append(Metric(float(share), float(np.std(moved, ddof=1) / np.sqrt(len(scaled)) / varying)))
    return tuple(explained)
