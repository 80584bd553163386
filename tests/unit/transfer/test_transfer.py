"""Schedules rescaled to other trainings agree with the numbers of the papers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lehr.errors import InvalidScheduleError, InvalidValueError
from lehr.schedules import schedule_from_dict
from lehr.wire.transfer import Transfer, TransferRequest
from service.transfer.origin import setting
from service.transfer.rescaled import rescaled
from service.transfer.transfer import require_target, transfer
from tests.support.schedules import CLOSED_FORM, schedules

COSINE = schedule_from_dict({"family": "cosine", "start_lr": 0.1, "end_lr": 0.001})
SGD = {"optimizer": "sgd", "batch_size": 256, "hidden": 128}
ADAM = {"optimizer": "adamw", "batch_size": 256, "width": 256}


def moved(params: dict[str, Any], **asked: Any) -> Transfer:
    request = TransferRequest(**asked)
    return transfer("s", 3, COSINE, setting(request, params, 1000), request)


def test_imagenet_in_an_hour_scales_the_rate_of_256_images_to_8192_linearly() -> None:
    # Goyal et al. (2017), section 5: a reference rate of 0.1 at 256 images becomes 3.2 at 8192.
    made = moved(SGD, batch_size=8192)
    assert made.schedule.start_lr == pytest.approx(3.2)
    assert made.rescalings[0].rule == "linear"
    assert "1706.02677" in made.rescalings[0].source
    assert any("a factor of 32" in caution for caution in made.cautions)


def test_a_larger_batch_makes_equally_many_epochs_in_fewer_steps() -> None:
    assert moved(SGD, batch_size=1024).horizon_steps == 250
    assert moved(SGD, batch_size=1024, horizon_steps=1000, horizon_rule="unchanged").horizon_steps == 1000


def test_adams_rate_grows_with_the_square_root_of_the_batch_and_its_betas_are_told() -> None:
    made = moved(ADAM, batch_size=1024)
    assert made.factor == pytest.approx(2.0)
    assert any("1 - beta2 by 4" in caution for caution in made.cautions)


def test_four_times_the_tokens_lower_adamws_rate_by_bjorcks_exponent() -> None:
    made = moved(ADAM, horizon_steps=4000)
    assert made.factor == pytest.approx(0.6417, abs=1e-4)  # 4^-0.32
    assert made.horizon_steps == 4000
    assert moved(SGD, horizon_steps=4000).factor == 1
    assert moved(SGD, horizon_steps=4000, horizon_rule="inverse_square_root").factor == pytest.approx(0.5)


def test_equally_many_examples_are_no_longer_horizon() -> None:
    assert moved(ADAM, batch_size=1024, horizon_steps=250).factor == pytest.approx(2.0)


def test_a_wider_model_takes_a_lower_rate_and_mup_one_for_each_group() -> None:
    assert moved(SGD, width=512).factor == pytest.approx(0.25)
    adam = moved(ADAM, width=1024, width_rule="mup")
    assert adam.groups == {"input_and_biases": 1.0, "hidden": 0.25, "output": 0.25}
    sgd = moved(SGD, width=512, width_rule="mup")
    assert sgd.groups == {"input_and_biases": 4.0, "hidden": 1.0, "output": 0.25}
    assert sgd.factor == 1


def test_factors_of_several_changes_multiply() -> None:
    made = moved(ADAM, batch_size=1024, width=512)
    assert made.factor == pytest.approx(2.0 * 0.5)
    assert [change.dimension for change in made.rescalings] == ["batch_size", "width"]


def test_the_code_trains_with_the_moved_rates() -> None:
    made = moved(SGD, batch_size=512)
    assert "0.2" in made.code["torch"]
    assert made.origin == COSINE


@pytest.mark.parametrize("asked", [{"batch_size": 512}, {"width": 512}, {"horizon_steps": 9}])
def test_what_nobody_tells_is_asked_for(asked: dict[str, int]) -> None:
    request = TransferRequest(**asked)
    with pytest.raises(InvalidValueError) as refused:
        setting(request, {}, None)
    fields = {fault.field for fault in refused.value.faults}
    assert {"optimizer", "origin.horizon_steps"} <= fields
    told = {"optimizer": "sgd", "origin": {"horizon_steps": 10, "batch_size": 64, "width": 8}}
    assert setting(TransferRequest(**asked, **told), {}, None).batch_size == 64


def test_a_transfer_to_nowhere_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        require_target(TransferRequest())


def test_a_rate_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(InvalidScheduleError):
        rescaled(COSINE, 1e308 * 100)


@pytest.mark.parametrize("family", CLOSED_FORM)
@settings(max_examples=25)
@given(data=st.data(), factor=st.floats(1e-3, 1e3))
def test_every_rate_of_any_family_is_multiplied(family: str, data: st.DataObject, factor: float) -> None:
    schedule = data.draw(schedules(family))
    if not 1e-200 < schedule.max_lr < 1e200:
        return
    moved_there = rescaled(schedule, factor)
    for place in (0.0, 0.1, 0.31, 0.5, 0.77, 1.0):
        assert moved_there.lr_at(place) == pytest.approx(factor * schedule.lr_at(place), rel=1e-6, abs=1e-250)
