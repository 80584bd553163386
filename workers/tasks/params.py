"""The parameters that all tasks share, and the errors for invalid parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from lehr.errors import Fault, InvalidValueError

OptimizerName = Literal["sgd", "nesterov", "adam", "adamw", "rmsprop"]
ActivationName = Literal["relu", "tanh", "gelu", "silu"]
PrecisionName = Literal["fp32", "tf32", "bf16", "fp16"]
DEFAULT_MOMENTUM: Mapping[OptimizerName, float] = {
    "sgd": 0.9,
    "nesterov": 0.9,
    "adam": 0.9,
    "adamw": 0.9,
    "rmsprop": 0.0,
}
MAX_SEED = 2**53 - 1


class InvalidParamsError(InvalidValueError):
    """A task's parameters are unknown or out of bounds."""


class TrainingParams(BaseModel):
    """Parameters of the training of any task. No rule spans two fields, so the JSON Schema states all rules."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    epochs: Annotated[int, Field(ge=1, le=1000, description="passes over the training data")] = 10
    batch_size: Annotated[
        int, Field(ge=1, le=2048, description="examples per step; the last batch of an epoch may be smaller")
    ] = 64
    optimizer: Annotated[
        OptimizerName, Field(description="torch.optim optimizer; nesterov is sgd with Nesterov momentum")
    ] = "sgd"
    momentum: Annotated[
        float | None,
        Field(
            ge=0,
            lt=1,
            description="momentum of sgd, nesterov and rmsprop, beta1 of adam and adamw; null: 0.9, but 0 for rmsprop",
        ),
    ] = None
    weight_decay: Annotated[float, Field(ge=0, le=1, description="L2 penalty; decoupled for adamw")] = 0.0
    clip_norm: Annotated[float | None, Field(gt=0, le=1000, description="maximum gradient norm; null: no clipping")] = (
        None
    )

    @field_validator("*", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """Accept 10.0 as an integer, as JSON Schema does."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @property
    def resolved_momentum(self) -> float:
        return DEFAULT_MOMENTUM[self.optimizer] if self.momentum is None else self.momentum

    def steps_per_epoch(self, train_size: int) -> int:
        return math.ceil(train_size / self.batch_size)

    def horizon_steps(self, train_size: int, fraction: float = 1.0) -> int:
        """Steps of a trial: `fraction` (0, 1] of all epochs, rounded to whole epochs (halves up), at least one."""
        return max(1, math.floor(self.epochs * fraction + 0.5)) * self.steps_per_epoch(train_size)


class HeldOutParams(TrainingParams):
    """Parameters of tasks that hold out a random part of the examples for validation."""

    validation_fraction: Annotated[float, Field(ge=0.05, le=0.5, description="share of the examples held out")] = 0.2
    split_seed: Annotated[
        int,
        Field(ge=0, le=MAX_SEED, description="seed of the split, which is the same for every trial"),
    ] = 0


P = TypeVar("P", bound=TrainingParams)


def parse_params(model: type[P], params: Mapping[str, Any]) -> P:
    """Raises InvalidParamsError with one Fault per wrong field, named `task.params.<field>`."""
    try:
        return model.model_validate(dict(params))
    except ValidationError as error:
        raise InvalidParamsError([_fault(model, detail) for detail in error.errors()]) from None


def _fault(model: type[BaseModel], detail: ErrorDetails) -> Fault:
    name = str(detail["loc"][0]) if detail["loc"] else ""
    field = ".".join(["task.params", *map(str, detail["loc"])])
    if detail["type"] == "extra_forbidden":
        names = ", ".join(model.model_fields)
        return Fault(
            field, "this parameter is unknown", f"one of {names}", detail["input"], "Remove it, or correct its name."
        )
    schema = model.model_json_schema()["properties"].get(name)
    if schema is None:
        # A rule of the task's author that spans several fields.
        bound = "the task's own rule"
        return Fault(field, detail["msg"], bound, detail["input"], "Correct the parameters that it names.")
    remedy = f"Leave it out for {schema['default']!r}." if "default" in schema else "Set it; it has no default."
    return Fault(field, detail["msg"], _bound(schema), detail["input"], remedy)


def _bound(schema: Mapping[str, Any]) -> str:
    """A field's JSON Schema as a phrase for errors."""
    if "anyOf" in schema:
        return " or ".join(_bound(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(str(choice) for choice in schema["enum"])
    kind = schema.get("type")
    if kind == "string":
        return str(schema.get("description", schema["pattern"])) if "pattern" in schema else "string"
    if kind not in ("integer", "number"):
        return str(kind or dict(schema))
    low = f"[{schema['minimum']:g}" if "minimum" in schema else f"({schema.get('exclusiveMinimum', -math.inf):g}"
    high = f"{schema['maximum']:g}]" if "maximum" in schema else f"{schema.get('exclusiveMaximum', math.inf):g})"
    return f"{kind} in {low}, {high}"
