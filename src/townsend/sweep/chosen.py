"""Chosen models, whatever made them: rebuilt from a record, stored in a folder, opened again to be applied.

What to use when
----------------
- `rebuild`: the model that a fit has trained, from the weights it kept.
- `save_model`, `model_file`: the file that holds it in a folder made by `townsend choose`.
- `open_chosen`: card and model, both checked, of a folder that must hold a model of a given task.

The file is `model.keras` (any Keras network, a user's own too), `model.skops` (a scikit-learn estimator),
`model.cuts.json` (a selection with its thresholds) or `model.npz` (the arrays of a PyTorch module, whose code is the
user's: it opens only with the same `--build FILE.py`). What comes back has an `input_shape`, takes inputs as the sample
has them, and goes to `townsend.networks.stored.forward`. Inputs that training standardised are standardised by the
model itself; by that of PyTorch, as the facts on its card say.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.files import atomic_path, read_sealed
from townsend.networks.backend import any_keras
from townsend.networks.build_file import BuildFile, network_of
from townsend.networks.cuts import Cuts, cuts_bytes, cuts_of
from townsend.networks.estimators import ESTIMATORS
from townsend.networks.family import build_network
from townsend.networks.scaling import Scaling, scaled_network, scaling_of
from townsend.networks.stored import load_network
from townsend.networks.stored_estimator import Estimator, estimator_of, load_estimator, save_estimator
from townsend.networks.torch_module import TorchNetwork, arrays_of, put_arrays, torch_and_skorch
from townsend.sweep.card import MADE_BY
from townsend.training.hyperparameters import split
from townsend.training.models import BUILD, CUTS, TORCH
from townsend.training.records import FitRecord

__all__ = ["MODEL_FILES", "Chosen", "model_file", "open_chosen", "rebuild", "save_model"]

MODEL_FILES = ("model.keras", "model.skops", "model.npz", "model.cuts.json")
"""Names under which a folder made by `townsend choose` may hold its model."""


@dataclass(frozen=True)
class Chosen:
    """A chosen model: a Keras model, an `Estimator`, a `TorchNetwork` or `Cuts`, and its card."""

    network: Any
    card: Mapping[str, Any]


def rebuild(
    network: str,
    record: FitRecord,
    weights: Sequence[NDArray[Any]],
    input_shape: tuple[int, ...],
    build: BuildFile | None = None,
    facts: Mapping[str, Any] | None = None,
    outputs: int = 1,
) -> Any:
    """Return the model that a fit has trained.

    Arguments:
        network: of the sweep.
        record: of the fit.
        weights: as its trainer kept them.
        input_shape: of one example, without the batch axis.
        build: the user's file; for a PyTorch module only.
        facts: of the arrays that it was trained on, for their scaling.
        outputs: numbers that it gives an example.

    Raises InputError when the weights do not fit, or the file is needed and not given.
    """
    if network in ESTIMATORS:
        return estimator_of(weights[0].tobytes(), input_shape, f"trial {record.trial}", outputs)
    if network == CUTS:
        return cuts_of(weights[0].tobytes(), f"trial {record.trial}")
    _, hyperparameters = split(record.hyperparameters)
    scaling = scaling_of(facts or {}, input_shape)
    if network == TORCH:
        return _torch_network(hyperparameters, input_shape, weights, record.seed, build, scaling)
    any_keras()
    if network == BUILD:
        found, kept = network_of(weights[0].tobytes(), f"trial {record.trial}"), list(weights[1:])
    else:
        found, kept = build_network(network, hyperparameters, input_shape, record.seed, outputs), list(weights)
    if [weight.shape for weight in kept] != [tuple(weight.shape) for weight in found.weights]:
        msg = f"weights of trial {record.trial} must fit its network (shapes differ); repeat the sweep"
        raise InputError(msg)
    found.set_weights(kept)
    return scaled_network(found, scaling)


def save_model(network: Any, folder: Path) -> Path:
    """Write a model, as `rebuild` returns it, to its file in a folder, and return that file."""
    if isinstance(network, Estimator):
        path = folder / "model.skops"
        save_estimator(path, network.model)
    elif isinstance(network, Cuts):
        path = folder / "model.cuts.json"
        with atomic_path(path) as temporary:
            temporary.write_bytes(cuts_bytes(network))
    elif isinstance(network, TorchNetwork):
        path = folder / "model.npz"
        names, *arrays = arrays_of(network.module)
        with atomic_path(path) as temporary:
            np.savez(temporary, allow_pickle=False, names=names, **{f"{i}": array for i, array in enumerate(arrays)})
    else:
        path = folder / "model.keras"
        network.save(path)
    return path


def model_file(folder: Path) -> Path:
    """Return the file that holds the model of a folder; `model.keras` where there is none."""
    return next((folder / name for name in MODEL_FILES if (folder / name).is_file()), folder / MODEL_FILES[0])


def open_chosen(model: Path, task: str, build: BuildFile | None = None, *, multiclass: bool = False) -> Chosen:
    """Return what `townsend choose` left in the folder `model`.

    Arguments:
        model: folder.
        task: name of the task that its model must be of.
        build: the user's file; for a PyTorch module only.
        multiclass: whether it may tell more than two classes apart, and so give several numbers an example.

    Raises InputError when it is no such folder, its card was edited, its task is another, its model is damaged, has
    parts that are not stock ones, takes another input or gives other numbers than the card says, or needs a file that
    is not given.
    """
    card = read_sealed(model / "card.json")
    if card.get("made_by") != MADE_BY:
        msg = f"{model} must be a folder made by `{MADE_BY}` (its card.json is another's); name such a folder"
        raise InputError(msg)
    if card["task"] != task:
        msg = f'{model} must hold a model of task "{task}" (got "{card["task"]}"); choose one from such a sweep'
        raise InputError(msg)
    path, said, numbers = model_file(model), tuple(card["input_shape"]), int(card.get("outputs", 1))
    if numbers != 1 and not multiclass:
        msg = f"{model} must hold a model that gives one number (gives {numbers}, one a class); choose another"
        raise InputError(msg)
    network: Any
    if path.name == "model.skops":
        network = load_estimator(path, said, numbers)
    elif path.name == "model.cuts.json":
        network = cuts_of(path.read_bytes(), path)
    elif path.name == "model.npz":
        network = _load_torch(path, card, said, build)
    else:
        network = load_network(path, numbers)
    found = tuple(network.input_shape[1:])
    if found != said:
        msg = f"{path} must take the input its card says (takes {found}, card {said}); make it again"
        raise InputError(msg)
    return Chosen(network, card)


def _load_torch(path: Path, card: Mapping[str, Any], shape: tuple[int, ...], build: BuildFile | None) -> TorchNetwork:
    if build is not None and build.sha256 != card["build_sha256"]:
        rule = f"{path} must be opened with the file that its sweep was made with"
        msg = f"{rule} (card: SHA-256 {card['build_sha256'][:12]}, {build.path}: {build.sha256[:12]}); name that one"
        raise InputError(msg)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = [archive["names"], *(archive[f"{i}"] for i in range(len(archive.files) - 1))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path} must be an archive as `townsend choose` wrote it ({error}); make it again or take another copy"
        raise InputError(msg) from None
    _, hyperparameters = split(card["hyperparameters"])
    scaling = scaling_of(card.get("facts", {}), shape)
    return _torch_network(hyperparameters, shape, arrays, card["seed"], build, scaling)


def _torch_network(
    hyperparameters: Mapping[str, Any],
    shape: tuple[int, ...],
    arrays: Sequence[NDArray[Any]],
    seed: int,
    build: BuildFile | None,
    scaling: Scaling | None,
) -> TorchNetwork:
    if build is None:
        msg = "a PyTorch module needs the file that builds it (got none); say --build FILE.py, the one of its sweep"
        raise InputError(msg)
    torch_and_skorch()
    module = build.make(hyperparameters, shape, seed)
    put_arrays(module, arrays)
    return TorchNetwork(module, shape, scaling)
