"""What the card says of how to use a model, for each kind of model."""

from __future__ import annotations

from typing import Any

import pytest

from townsend.sweep.card import card_text

VALUE: dict[str, Any] = {
    "task": "table",
    "trial": 3,
    "objective": {"metric": "auc"},
    "test": {"metrics": {"auc": [0.9, 0.01]}, "examples": 100},
    "validation": {"metrics": {"auc": [0.9, 0.01]}, "selection_biased": False},
    "parameters": 5,
    "choice": {"by": "validation", "rank": 1, "trained_on": "train"},
    "verdicts": [],
    "threshold": 0.25,
    "input_shape": [2],
    "facts": {"features": ["p", "e"], "scaling": {"mean": [0, 1], "scale": [2, 3]}},
    "hyperparameters": {},
    "epochs": 1,
    "best_epoch": 1,
    "seed": 1,
    "build_sha256": "abc",
    "sweep": {"name": "s", "fingerprint": "f", "versions": {}, "configurations_compared": 1},
    "sample": "0",
}


@pytest.mark.parametrize(
    ("network", "changed", "line"),
    [
        ("dense", {}, "print(model.predict(x)[:, 0] >= 0.25)"),
        ("dense", {"outputs": 3, "threshold": None}, "print(model.predict(x))"),
        ("mlp", {}, "print(model.predict_proba(x)[:, 1] >= 0.25)"),
        ("mlp", {"threshold": None}, "print(model.predict(x))"),
        ("mlp", {"outputs": 3, "threshold": None}, "print(model.predict_proba(x))"),
        ("linear", {}, "print(model.predict(x) >= 0.25)"),
        ("torch", {}, "`open_chosen(folder, task, load_build(file)).network.scores(x)`."),
        (
            "cuts",
            {},
            "`model.cuts.json` holds the selection and its thresholds; an event that passes scores 1, any other 0.",
        ),
    ],
)
def test_recipe_gives_the_scores_of_the_model(network: str, changed: dict[str, Any], line: str) -> None:
    lines = card_text({**VALUE, "network": network, **changed}).splitlines()
    assert line in lines
    numbers = "3 numbers an example, one a class" if "outputs" in changed else "one number an example"
    assert f"Output: {numbers}." in lines


def test_card_says_that_the_model_standardises_its_inputs_itself() -> None:
    text = card_text({**VALUE, "network": "dense"})
    assert '{"mean": [0, 1], "scale": [2, 3]} (the model does this itself: give it the numbers as they are)' in text
    assert '- `features`: ["p", "e"]\n' in text
