"""Compares other frameworks' adaptive schedulers with lehr's `PlateauState` over synthetic losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from lehr.schedules import Plateau, PlateauState
from lehr.schedules.portable import export

TOP, END = 0.5, 0.001
LOSSES = [1 / (1 + step % 40 + step // 80) for step in range(200)]
"""They fall, jump up and fall again, so that all but the first falls leave them worse than the best for a while."""


def torchs() -> float:
    """The largest difference to ReduceLROnPlateau's rates, relative to the highest rate; so are the others'."""
    import torch

    schedule = Plateau(start_lr=TOP, end_lr=END, factor=0.5, patience=3, cooldown=2)
    names: dict[str, Any] = {}
    exec(export(schedule, "torch_builtin", 10).code, names)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=7.0)
    scheduler = names["make_scheduler"](optimizer)

    def step(loss: float) -> float:
        scheduler.step(loss)
        return float(optimizer.param_groups[0]["lr"])

    return _difference(schedule, step)


def optaxs() -> float:
    """To reduce_on_plateau's scale, whose patience counts the evaluation that drops too."""
    import jax.numpy as jnp
    import optax.contrib

    schedule = Plateau(start_lr=TOP, end_lr=END, factor=0.5, patience=3, cooldown=2, least_drop=0.0)
    theirs = optax.contrib.reduce_on_plateau(factor=0.5, patience=4, rtol=1e-4, cooldown=2, min_scale=END / TOP)
    weights = jnp.zeros(1)
    state = theirs.init(weights)

    def step(loss: float) -> float:
        nonlocal state
        _, state = theirs.update(weights, state, value=loss)
        return TOP * float(state.scale)

    return _difference(schedule, step)


def kerass() -> float:
    """To the callback ReduceLROnPlateau's: its patience counts the evaluation that drops, its cooldown is one less."""
    import keras

    schedule = Plateau(
        start_lr=TOP, end_lr=END, factor=0.5, patience=3, cooldown=2, threshold_mode="absolute", least_drop=0.0
    )
    theirs = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=4, min_delta=schedule.threshold, cooldown=3, min_lr=END
    )
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(TOP), "mse")
    theirs.set_model(model)
    theirs.on_train_begin()

    def step(loss: float) -> float:
        with warnings.catch_warnings():
            # Keras asks numpy for its rate in a way that numpy is about to drop.
            warnings.simplefilter("ignore", DeprecationWarning)
            theirs.on_epoch_end(0, {"loss": loss})
        return float(model.optimizer.learning_rate.value)

    return _difference(schedule, step)


def _difference(schedule: Plateau, step: Callable[[float], float]) -> float:
    state = PlateauState(schedule)
    return max(abs(step(loss) - state.step(loss)) for loss in LOSSES) / TOP
