"""One contestant of lstm_epoch.py or cnn_epoch.py: trains a network of the slides, one epoch whenever a line arrives.

Arguments: townsend|fit, lstm|cnn, topology or filters, examples, batch size. Lines arrive on standard input; each
answer is one JSON line on standard output. Backend and threads come from the environment. `fit` needs Keras and NumPy
alone, so that it runs in an environment without townsend.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np

DROPOUT = 0.1
SAMPLES, BINS = 15, 1024
ACTIVATIONS = {"lstm": ("relu", "sigmoid"), "cnn": ("relu", "selu")}
TRAINING = {"lstm": ("adam", "binary_crossentropy"), "cnn": ("rmsprop", "mean_squared_error")}
SIZE = {"lstm": "topology", "cnn": "filters"}


def data(family: str, examples: int) -> tuple[Any, Any]:
    """Examples from which something can be learnt; speed does not hang on the values."""
    random = np.random.default_rng(1)
    if family == "cnn":
        x = (random.random((examples, BINS, 1)) < 15 / BINS).astype(np.float32)
        return x, x.sum((1, 2))
    y = (np.arange(examples) % 2).astype(np.float32)
    x = random.standard_normal((examples, SAMPLES, 1)).astype(np.float32)
    x[:, 5:] += y[:, None, None]
    return x, y


def answer(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def wait() -> None:
    """Wait for the next turn; the end of standard input is the end of the benchmark."""
    if not sys.stdin.readline():
        sys.stdout.flush()
        os._exit(0)


def townsend_epochs(family: str, size: str, examples: int, batch_size: int) -> None:
    import jax

    from townsend.networks.choices import choices_of
    from townsend.networks.family import build_network
    from townsend.training.epochs import Given, compile_epochs, epoch_order, start
    from townsend.training.hyperparameters import TrainingHyperparameters
    from townsend.training.optimizers import rates
    from townsend.training.schedules import default_rate

    x, y = data(family, examples)
    optimizer, loss_name = TRAINING[family]
    hyperparameters = {SIZE[family]: size, "activations": " ".join(ACTIVATIONS[family]), "dropout": DROPOUT}
    network = build_network(family, hyperparameters, x.shape[1:], seed=1)
    given = Given(rates(TrainingHyperparameters(optimizer, batch_size), default_rate(optimizer)), choices_of(network))
    train, compile_s = compile_epochs(network, batch_size, loss_name, examples)
    state = start(network)
    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
    answer(parameters=network.count_params(), versions=versions(), compile_s=compile_s)
    epoch = 0
    while True:
        wait()
        epoch += 1
        wall, cpu = time.perf_counter(), time.process_time()
        state, loss, _ = train(state, given, x, y, *epoch_order(examples, batch_size, 1, epoch))
        value = float(loss)
        jax.block_until_ready(state)
        answer(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, loss=value)


def stock_network(family: str, size: str, shape: tuple[int, ...]) -> Any:
    """The network, in Keras alone."""
    from keras import Sequential, layers

    numbers, names = [int(part) for part in size.split()], ACTIVATIONS[family]
    if family == "lstm":
        first = [layers.LSTM(numbers[0]), layers.Flatten(), layers.Dense(numbers[1], activation=names[0])]
        last = layers.Dense(numbers[2], activation=names[1])
    else:
        first = []
        for filters, name in zip(numbers, names, strict=True):
            first += [layers.Conv1D(filters, 4, activation=name), layers.MaxPooling1D(2)]
        first += [layers.Flatten(), layers.Dense(32, activation="relu")]
        last = layers.Dense(1)
    return Sequential([layers.Input(shape), *first, layers.Dropout(DROPOUT), last])


def fit_epochs(family: str, size: str, examples: int, batch_size: int) -> None:
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        if os.environ.get("OMP_NUM_THREADS") == "1":
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    x, y = data(family, examples)
    network = stock_network(family, size, x.shape[1:])
    optimizer, loss_name = TRAINING[family]
    metrics = ["accuracy"] if family == "lstm" else []
    network.compile(optimizer=optimizer, loss=loss_name, metrics=metrics)
    answer(parameters=network.count_params(), versions=versions(), compile_s=None)  # Keras compiles in its first epoch

    class Turns(keras.callbacks.Callback):
        """Keras waits before each epoch and reports after it."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            wait()
            self.wall, self.cpu = time.perf_counter(), time.process_time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            np.asarray(self.model.trainable_variables[0])  # nothing is still on its way
            answer(
                wall_s=time.perf_counter() - self.wall, cpu_s=time.process_time() - self.cpu, loss=float(logs["loss"])
            )

    network.fit(x, y, batch_size=batch_size, epochs=1_000_000, verbose=0, callbacks=[Turns()])


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("keras", "jax", "tensorflow", "tensorflow-cpu"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    _, program, of_family, layer_sizes, number, rows = sys.argv
    {"townsend": townsend_epochs, "fit": fit_epochs}[program](of_family, layer_sizes, int(number), int(rows))
