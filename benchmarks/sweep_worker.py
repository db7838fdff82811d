"""One trial as a careful script of Keras and Optuna trains it; sweep.py starts a process for each, as a farm would.

Argument: one JSON object, see `main`. The answer is one JSON line on standard output. It needs Keras on TensorFlow,
Optuna and NumPy alone, so that it runs in an environment without townsend. Backend and threads come from the
environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

LARGE_BATCH = 1024  # of what is only looked at: Keras' default of 32 takes several times as long


def main(trial: dict[str, Any]) -> None:
    """Train the next trial of a study.

    Arguments:
        trial: `arrays`, folder of .npy files; `journal` and `study`, where Optuna keeps the trials that sweep.py has
            queued; `space`; `epochs`; `patience`; `seed`; `hyperband`, null or the pruner's arguments.
    """
    if os.environ.get("OMP_NUM_THREADS") == "1":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(trial["journal"])
    pruner = optuna.pruners.HyperbandPruner(**trial["hyperband"]) if trial["hyperband"] else optuna.pruners.NopPruner()
    study = optuna.load_study(study_name=trial["study"], storage=optuna.storages.JournalStorage(backend), pruner=pruner)
    asked = study.ask()
    chosen = {name: asked.suggest_categorical(name, values) for name, values in trial["space"].items()}
    sets = {name: load(Path(trial["arrays"]), name) for name in ("train", "monitor", "validation")}
    keras.utils.set_random_seed(trial["seed"] + asked.number)
    network = build(chosen, sets["train"][0].shape[1:])
    network.compile(optimizer=chosen["optimizer"], loss="binary_crossentropy", metrics=["accuracy"])

    class Report(keras.callbacks.Callback):
        """Tells Optuna how good each epoch was, and asks whether to go on."""

        pruned = False

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if trial["hyperband"]:
                x, y = sets["monitor"]
                asked.report(auc(self.model.predict_on_batch(x)[:, 0], y), epoch + 1)
                self.pruned = asked.should_prune()
                self.model.stop_training |= self.pruned

    report = Report()
    patience = keras.callbacks.EarlyStopping("val_loss", patience=trial["patience"], restore_best_weights=True)
    begun_s = time.process_time()
    found = network.fit(
        *sets["train"],
        batch_size=chosen["batch_size"],
        epochs=trial["epochs"],
        validation_data=sets["monitor"],
        validation_batch_size=LARGE_BATCH,
        callbacks=[patience, keras.callbacks.TerminateOnNaN(), report],
        verbose=0,
    )
    trained_s = time.process_time()
    x, y = sets["validation"]
    value = float("nan") if report.pruned else auc(network.predict(x, batch_size=LARGE_BATCH, verbose=0)[:, 0], y)
    judged_s = time.process_time()
    if report.pruned:
        study.tell(asked, state=optuna.trial.TrialState.PRUNED)
    elif np.isfinite(value):
        study.tell(asked, value)
    else:
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
    answer = {
        "configuration": chosen,
        "parameters": network.count_params(),
        "auc": value if np.isfinite(value) else None,
        "pruned": report.pruned,
        "epochs": len(found.history["loss"]),
        "start_s": begun_s,
        "fit_s": trained_s - begun_s,
        "judge_s": judged_s - trained_s,
    }
    print(json.dumps(answer), flush=True)


def load(folder: Path, name: str) -> tuple[Any, Any]:
    """Inputs and labels of one set."""
    return np.load(folder / f"{name}.x.npy"), np.load(folder / f"{name}.y.npy")


def build(chosen: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """The slides' network: LSTM, hidden layer, dropout, output."""
    from keras import Sequential, layers

    units, hidden, outputs = (int(part) for part in chosen["topology"].split())
    inner, outer = chosen["activations"].split()
    return Sequential(
        [
            layers.Input(shape),
            layers.LSTM(units),
            layers.Flatten(),
            layers.Dense(hidden, activation=inner),
            layers.Dropout(chosen["dropout"]),
            layers.Dense(outputs, activation=outer),
        ]
    )


def auc(scores: Any, labels: Any) -> float:
    """Area under the ROC curve by ranks, equal scores counted half; NaN when a score is not finite."""
    if not np.isfinite(scores).all():
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    signal = int(np.count_nonzero(labels > 0))
    pairs = ranks[labels > 0].sum() - signal * (signal + 1) / 2
    return float(pairs / (signal * (len(labels) - signal)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
