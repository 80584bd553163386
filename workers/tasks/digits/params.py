"""Parameters of the task `digits`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workers.tasks.params import MAX_SEED, TrainingParams

ModelName = Literal["linear", "mlp", "cnn"]
ActivationName = Literal["relu", "tanh", "gelu", "silu"]


class DigitsParams(TrainingParams):
    """Parameters of the task `digits`."""

    model: Annotated[ModelName, Field(description="the classifier")] = "mlp"
    activation: Annotated[ActivationName, Field(description="between layers; the linear model has none")] = "relu"
    hidden: Annotated[int, Field(ge=1, le=4096, description="width of the hidden layer; the linear model has none")] = (
        64
    )
    validation_fraction: Annotated[float, Field(ge=0.05, le=0.5, description="share of the images held out")] = 0.2
    split_seed: Annotated[
        int,
        Field(ge=0, le=MAX_SEED, description="names the split; the same one for every trial, whatever its seed"),
    ] = 0
