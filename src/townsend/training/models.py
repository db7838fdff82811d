"""What a sweep may train, whatever makes it: families of networks, families of estimators, a user's own file.

What to use when
----------------
- `known`, `needed`, `check_configuration`: can a configuration be trained at all? Asked before any work begins.
- `check_batch`, `check_arrays`: can it be trained on these examples? Asked as soon as the arrays are there.
- `at_once`: which networks are trained in one go, and not in epochs?
- `group`, `cost`: which configurations share a bracket, and which take longest.
- `make_trainer`: what trains them.

`network` of a sweep is a family of `townsend.networks.family`, one of `townsend.networks.estimators`, `cuts`, or
`build` or `torch`: a Keras model, or a PyTorch module, of the file that `--build` names on the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from townsend.errors import ConfigError, InputError, did_you_mean
from townsend.networks.build_file import BuildFile
from townsend.networks.cuts import SELECTION, check_cuts, make_cuts
from townsend.networks.estimators import ESTIMATORS, check_estimator_hyperparameters, estimator_cost, estimator_names
from townsend.networks.family import (
    FAMILIES,
    build_network,
    check_network,
    cost_hint,
    network_names,
    optional_names,
    shape_names,
)
from townsend.tasks.base import Arrays
from townsend.training.build_trainer import BuildTrainer
from townsend.training.cuts_trainer import CutsTrainer
from townsend.training.estimator_fit import check_fit
from townsend.training.estimator_trainer import EstimatorTrainer
from townsend.training.hyperparameters import NAMES, REQUIRED, batch_of, check_loss, shape_key, split
from townsend.training.keras_trainer import Make, TrainSettings
from townsend.training.losses import is_classification, is_multiclass, outputs_of
from townsend.training.progress import Trainer
from townsend.training.torch_trainer import TorchTrainer, check_torch

__all__ = [
    "BUILD",
    "CUTS",
    "TORCH",
    "at_once",
    "check_arrays",
    "check_batch",
    "check_configuration",
    "check_given",
    "cost",
    "group",
    "is_compiled",
    "known",
    "make_trainer",
    "needed",
]

BUILD, TORCH, CUTS = "build", "torch", "cuts"
_OF_A_FILE = (BUILD, TORCH)
_OF_TWO_CLASSES = ("linear", "gaussian_process")


def check_given(network: str, build: BuildFile | None) -> None:
    """Raise ConfigError on a network nobody knows, InputError unless a file is given just where one is due."""
    families = (*FAMILIES, *ESTIMATORS, CUTS, *_OF_A_FILE)
    if network not in families:
        msg = f'network must be a known family (got "{network}"){did_you_mean(network, families)}'
        raise ConfigError(msg)
    if network in _OF_A_FILE and build is None:
        msg = f'network "{network}" needs the file that builds it (got none); say --build FILE.py on the command line'
        raise InputError(msg)
    if network not in _OF_A_FILE and build is not None:
        msg = f'--build is for network "{BUILD}" or "{TORCH}" (got "{network}"); change `network` or leave --build out'
        raise InputError(msg)


def at_once(network: str) -> bool:
    """Whether a network is trained in one go, so that epochs mean nothing to it."""
    return network in ESTIMATORS or network == CUTS


def is_compiled(network: str) -> bool:
    """Whether a network is a Keras one, which is trained by compiled programs."""
    return not at_once(network) and network != TORCH


def known(network: str) -> tuple[str, ...] | None:
    """Return all hyperparameters that a configuration may have; None where the user names them."""
    if network in (*_OF_A_FILE, CUTS):
        return None
    if network in ESTIMATORS:
        return estimator_names(network)
    return (*NAMES, *network_names(network), *optional_names(network))


def needed(network: str) -> tuple[str, ...]:
    """Return the hyperparameters that every configuration must have."""
    if at_once(network):
        return (SELECTION,) if network == CUTS else ()
    return REQUIRED if network in _OF_A_FILE else (*REQUIRED, *network_names(network))


def check_configuration(network: str, configuration: Mapping[str, Any], loss: str) -> None:
    """Raise ConfigError unless a configuration can be trained; `loss` is the task's."""
    if is_multiclass(loss) and network in (*_OF_TWO_CLASSES, CUTS, TORCH):
        others = ", ".join([*(name for name in ESTIMATORS if name not in _OF_TWO_CLASSES), BUILD])
        msg = f'network "{network}" tells no more than two classes apart (the task has more); choose dense, {others}'
        raise ConfigError(msg)
    if network in ESTIMATORS:
        check_estimator_hyperparameters(network, configuration, classification=is_classification(loss))
        return
    if network == CUTS:
        if not is_classification(loss):
            msg = 'network "cuts" needs a task that tells classes apart (this one estimates a number); choose linear'
            raise ConfigError(msg)
        check_cuts(configuration)
        return
    training, of_network = split(configuration)
    check_loss(training.loss, loss)
    if network == TORCH:
        check_torch(configuration)
    elif network != BUILD:
        check_network(network, of_network, classes=is_multiclass(loss))


def check_batch(network: str, configuration: Mapping[str, Any], examples: int) -> None:
    """Raise ConfigError when a batch is larger than the number of training examples."""
    if not at_once(network):
        batch_of(split(configuration)[0], examples)


def check_arrays(network: str, configuration: Mapping[str, Any], loss: str, arrays: Arrays) -> None:
    """Raise InputError or ConfigError unless a configuration can be trained on arrays, as far as that can be foreseen.

    An estimator may not take their weights, cuts may name a feature that they do not have, of more than two classes one
    may be missing.
    """
    train = arrays.filled("train")
    classes = outputs_of(loss, arrays.facts)
    if is_multiclass(loss) and not np.array_equal(np.unique(train.y), np.arange(classes)):
        rule = f"training needs examples of each of the {classes} classes, numbered from 0"
        msg = (
            f"{rule} (got the numbers {', '.join(f'{label:g}' for label in np.unique(train.y)[:9])}); take more events"
        )
        raise InputError(msg)
    if network in ESTIMATORS:
        check_fit(network, configuration, len(train), train.weight)
    if network == CUTS:
        make_cuts(configuration, arrays.facts.get("features"), train.x.shape[1:])


def group(network: str, configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what configurations share whose brackets should be the same: the shapes of arrays, and so a program."""
    if at_once(network) or network == TORCH:
        return ()
    names = tuple(sorted(split(configuration)[1])) if network == BUILD else shape_names(network)
    return shape_key(configuration, names)


def cost(network: str, configuration: Mapping[str, Any]) -> float:
    """Return about how long a configuration takes to train, in any unit; only compared."""
    if network in ESTIMATORS:
        return estimator_cost(network, configuration)
    return 1.0 if network in (*_OF_A_FILE, CUTS) else cost_hint(network, split(configuration)[1])


def make_trainer(
    network: str, loss: str, settings: TrainSettings, build: BuildFile | None, of_keras: Callable[[Make], Trainer]
) -> Trainer:
    """Return what trains the fits of a sweep.

    Arguments:
        network: of the sweep.
        loss: the task's.
        settings: epochs and patience.
        build: the user's file, for the networks that need one.
        of_keras: returns the trainer of Keras networks that are made by its argument.

    Raises as `check_given`.
    """
    check_given(network, build)
    if network in ESTIMATORS:
        return EstimatorTrainer(network, loss)
    if network == CUTS:
        return CutsTrainer(loss)
    if build is None:
        return of_keras(partial(build_network, network))
    return TorchTrainer(build, loss, settings) if network == TORCH else BuildTrainer(build, loss, of_keras(build.make))
