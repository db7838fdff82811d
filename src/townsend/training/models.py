"""What a sweep may train, whatever makes it: families of networks, families of estimators, a user's own file.

What to use when
----------------
- `known`, `needed`, `check_configuration`, `check_batch`: can a configuration be trained? Asked before any work begins.
- `group`, `cost`: which configurations share a bracket, and which take longest.
- `make_trainer`: what trains them.

`network` of a sweep is a family of `townsend.networks.family`, one of `townsend.networks.estimators`, or `build` or
`torch`: a Keras model, or a PyTorch module, of the file that `--build` names on the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from townsend.errors import ConfigError, InputError, did_you_mean
from townsend.networks.build_file import BuildFile
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
from townsend.training.build_trainer import BuildTrainer
from townsend.training.estimator_trainer import EstimatorTrainer
from townsend.training.hyperparameters import NAMES, REQUIRED, batch_of, check_loss, shape_key, split
from townsend.training.keras_trainer import Make, TrainSettings
from townsend.training.progress import Trainer
from townsend.training.torch_trainer import TorchTrainer, check_torch

__all__ = [
    "BUILD",
    "TORCH",
    "check_batch",
    "check_configuration",
    "check_given",
    "cost",
    "group",
    "known",
    "make_trainer",
    "needed",
]

BUILD, TORCH = "build", "torch"
_OF_A_FILE = (BUILD, TORCH)


def check_given(network: str, build: BuildFile | None) -> None:
    """Raise ConfigError on a network nobody knows, InputError unless a file is given just where one is due."""
    families = (*FAMILIES, *ESTIMATORS, *_OF_A_FILE)
    if network not in families:
        msg = f'network must be a known family (got "{network}"){did_you_mean(network, families)}'
        raise ConfigError(msg)
    if network in _OF_A_FILE and build is None:
        msg = f'network "{network}" needs the file that builds it (got none); say --build FILE.py on the command line'
        raise InputError(msg)
    if network not in _OF_A_FILE and build is not None:
        msg = f'--build is for network "{BUILD}" or "{TORCH}" (got "{network}"); change `network` or leave --build out'
        raise InputError(msg)


def known(network: str) -> tuple[str, ...] | None:
    """Return all hyperparameters that a configuration may have; None where a user's file may read any."""
    if network in _OF_A_FILE:
        return None
    if network in ESTIMATORS:
        return estimator_names(network)
    return (*NAMES, *network_names(network), *optional_names(network))


def needed(network: str) -> tuple[str, ...]:
    """Return the hyperparameters that every configuration must have."""
    if network in ESTIMATORS:
        return ()
    return REQUIRED if network in _OF_A_FILE else (*REQUIRED, *network_names(network))


def check_configuration(network: str, configuration: Mapping[str, Any], loss: str) -> None:
    """Raise ConfigError unless a configuration can be trained; `loss` is the task's."""
    if network in ESTIMATORS:
        check_estimator_hyperparameters(network, configuration)
        return
    training, of_network = split(configuration)
    check_loss(training.loss, loss)
    if network == TORCH:
        check_torch(configuration)
    elif network != BUILD:
        check_network(network, of_network)


def check_batch(network: str, configuration: Mapping[str, Any], examples: int) -> None:
    """Raise ConfigError when a batch is larger than the number of training examples."""
    if network not in ESTIMATORS:
        batch_of(split(configuration)[0], examples)


def group(network: str, configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what configurations share whose brackets should be the same: the shapes of arrays, and so a program."""
    if network in ESTIMATORS or network == TORCH:
        return ()
    names = tuple(sorted(split(configuration)[1])) if network == BUILD else shape_names(network)
    return shape_key(configuration, names)


def cost(network: str, configuration: Mapping[str, Any]) -> float:
    """Return about how long a configuration takes to train, in any unit; only compared."""
    if network in ESTIMATORS:
        return estimator_cost(network, configuration)
    return 1.0 if network in _OF_A_FILE else cost_hint(network, split(configuration)[1])


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
    if build is None:
        return of_keras(partial(build_network, network))
    return TorchTrainer(build, loss, settings) if network == TORCH else BuildTrainer(build, of_keras(build.make))
