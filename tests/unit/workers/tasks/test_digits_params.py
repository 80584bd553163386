"""Parameters of the task `digits`: the model and its JSON Schema refuse the same values."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from workers.tasks.digits.params import DigitsParams
from workers.tasks.params import InvalidParamsError, parse_params
from workers.tasks.registry import offers

BAD = [
    ("model", "resnet"),
    ("model", None),
    ("optimizer", "lion"),
    ("activation", 1),
    ("epochs", 0),
    ("epochs", 1001),
    ("epochs", 2.5),
    ("epochs", True),
    ("epochs", "10"),
    ("epochs", 2**63),
    ("batch_size", 0),
    ("batch_size", 2049),
    ("momentum", 1),
    ("momentum", -0.1),
    ("momentum", False),
    ("weight_decay", -1e-9),
    ("weight_decay", 1.01),
    ("weight_decay", None),
    ("clip_norm", 0),
    ("clip_norm", 1000.1),
    ("hidden", 0),
    ("hidden", 4097),
    ("validation_fraction", 0.04),
    ("validation_fraction", 0.51),
    ("split_seed", -1),
    ("split_seed", 2**53),
    ("learning_rate", 0.1),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_bad_parameter_is_refused_by_name_with_bound_value_and_remedy(field: str, value: Any) -> None:
    with pytest.raises(InvalidParamsError) as caught:
        parse_params(DigitsParams, {field: value})
    (fault,) = caught.value.faults
    assert fault.field == f"task.params.{field}"
    assert fault.value == value
    assert fault.bound
    assert fault.remedy


@pytest.mark.parametrize(("field", "value"), BAD)
def test_the_offered_json_schema_refuses_it_too(field: str, value: Any) -> None:
    (offer,) = offers(["digits"])
    assert offer.params_schema is not None
    assert not Draft202012Validator(offer.params_schema).is_valid({field: value})


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"model": "cnn", "epochs": 1000, "batch_size": 2048, "optimizer": "rmsprop", "momentum": 0, "clip_norm": 1e-9},
        {"epochs": 10.0, "weight_decay": 1, "hidden": 1, "validation_fraction": 0.5, "split_seed": 2**53 - 1},
        {"momentum": None, "clip_norm": None},
    ],
)
def test_what_the_json_schema_allows_is_taken(params: dict[str, Any]) -> None:
    (offer,) = offers(["digits"])
    assert offer.params_schema is not None
    Draft202012Validator(offer.params_schema).validate(params)
    parse_params(DigitsParams, params)


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidParamsError) as caught:
        parse_params(DigitsParams, {"epochs": 0, "modle": "mlp", "hidden": -3})
    assert {fault.field for fault in caught.value.faults} == {
        "task.params.epochs",
        "task.params.modle",
        "task.params.hidden",
    }


def test_not_a_number_is_refused() -> None:
    with pytest.raises(InvalidParamsError, match=r"task\.params\.weight_decay"):
        parse_params(DigitsParams, {"weight_decay": float("nan")})


def test_the_bound_reads_like_an_interval() -> None:
    with pytest.raises(InvalidParamsError, match=r"number in \[0, 1\) or null; got 1\.5"):
        parse_params(DigitsParams, {"momentum": 1.5})


@pytest.mark.parametrize(
    ("epochs", "fraction", "steps"), [(10, 1.0, 230), (10, 0.25, 69), (10, 0.5, 115), (10, 0.01, 23), (3, 0.5, 46)]
)
def test_a_horizon_is_whole_epochs_and_at_least_one(epochs: int, fraction: float, steps: int) -> None:
    # 1,438 images in batches of 64 are 23 steps per epoch; 2.5 epochs round up to 3.
    assert DigitsParams(epochs=epochs).horizon_steps(1438, fraction) == steps
