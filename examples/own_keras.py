"""Keras with lehr's rates, on any backend: a linear model on scikit-learn's wine data.

KERAS_BACKEND=torch python examples/own_keras.py [URL]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
from sklearn.datasets import load_wine

from lehr.keras import TrialCallback
from lehr.script import ScriptClient, ScriptTrial

EPOCHS = 4
FOLDER = Path(tempfile.gettempdir()) / "lehr-wine-keras"
"""Where checkpoints are saved, so that another process can resume a training."""
STUDY: dict[str, Any] = {
    "name": "wine-keras",
    "task": {"name": "script:wine-keras"},
    "space": {"families": ["constant", "cosine", "linear"], "start_lr": {"low": 1e-3, "high": 1.0}},
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "budget": {"trials": 3},
    "confirm": None,
}


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8765"
    with ScriptClient(url) as client:
        for trial in client.trials(STUDY, horizon_steps=EPOCHS * 5):
            train(trial)


def train(trial: ScriptTrial) -> None:
    keras.utils.set_random_seed(trial.seed % 2**32)
    table, classes = load_wine(return_X_y=True)
    inputs = ((table - table.mean(0)) / table.std(0)).astype("float32")
    model = keras.Sequential([keras.Input((13,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # This rate is never used: the callback sets the rate of each step.
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=1.0, momentum=0.9), loss=loss)
    held_out = (inputs[::5], classes[::5])
    used = [index for index in range(178) if index % 5]  # 142 rows: 5 batches of 32
    callback = TrialCallback(trial, FOLDER)
    model.fit(
        inputs[used],
        classes[used],
        batch_size=32,
        epochs=EPOCHS,
        validation_data=held_out,
        initial_epoch=callback.initial_epoch,
        callbacks=[callback],
        verbose=0,
    )


if __name__ == "__main__":
    main()
