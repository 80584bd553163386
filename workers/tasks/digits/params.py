"""Parameters of the task `digits`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from workers.tasks.params import ActivationName, HeldOutParams

ModelName = Literal["linear", "mlp", "cnn"]


class DigitsParams(HeldOutParams):
    """Parameters of the task `digits`."""

    model: Annotated[ModelName, Field(description="the classifier")] = "mlp"
    activation: Annotated[ActivationName, Field(description="between layers; the linear model has none")] = "relu"
    hidden: Annotated[int, Field(ge=1, le=4096, description="width of the hidden layer; the linear model has none")] = (
        64
    )
