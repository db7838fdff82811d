"""One contestant of lstm_epoch.py: trains the slides' LSTM, one epoch whenever a line arrives on standard input.

Arguments: townsend|fit, topology, windows, batch size. Backend and threads come from the environment. `fit` needs Keras
and NumPy alone, so that it runs in an environment without townsend. Each answer is one JSON line on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np

ACTIVATIONS = ("relu", "sigmoid")
DROPOUT = 0.1
SAMPLES = 15


def data(windows: int) -> tuple[Any, Any]:
    """Windows that can be told apart: noise, half of them with a step; speed does not hang on the values."""
    random = np.random.default_rng(1)
    y = (np.arange(windows) % 2).astype(np.float32)
    x = random.standard_normal((windows, SAMPLES, 1)).astype(np.float32)
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


def townsend_epochs(topology: str, windows: int, batch_size: int) -> None:
    import jax

    from townsend.networks.family import build_network
    from townsend.training.epochs import compile_epochs, epoch_order
    from townsend.training.hyperparameters import TrainingHyperparameters

    x, y = data(windows)
    hyperparameters = {"topology": topology, "activations": " ".join(ACTIVATIONS), "dropout": DROPOUT}
    network = build_network("lstm", hyperparameters, x.shape[1:], seed=1)
    training = TrainingHyperparameters("adam", batch_size)
    programs = compile_epochs(network, training, "binary_crossentropy", windows, windows)
    state = programs.start(network, None)
    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
    answer(parameters=network.count_params(), versions=versions(), compile_s=programs.compile_s)
    epoch = 0
    while True:
        wait()
        epoch += 1
        wall, cpu = time.perf_counter(), time.process_time()
        order, weight = epoch_order(windows, batch_size, 1, epoch)
        state, loss, _ = programs.train(state, x, y, order, weight)
        value = float(loss)
        jax.block_until_ready(state)
        answer(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, loss=value)


def fit_epochs(topology: str, windows: int, batch_size: int) -> None:
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        if os.environ.get("OMP_NUM_THREADS") == "1":
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    x, y = data(windows)
    units, hidden, outputs = (int(part) for part in topology.split())
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input(x.shape[1:]),
            layers.LSTM(units),
            layers.Flatten(),
            layers.Dense(hidden, activation=ACTIVATIONS[0]),
            layers.Dropout(DROPOUT),
            layers.Dense(outputs, activation=ACTIVATIONS[1]),
        ]
    )
    network.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
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
    _, program, layer_sizes, number, size = sys.argv
    {"townsend": townsend_epochs, "fit": fit_epochs}[program](layer_sizes, int(number), int(size))
