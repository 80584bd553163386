"""`plateau` drops with the metric as torch's does, and its state survives a checkpoint."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lehr.errors import InvalidScheduleError, InvalidSpaceError, InvalidValueError
from lehr.schedules import Plateau, PlateauState, schedule_from_dict
from lehr.schedules.portable import torch_code
from lehr.space import Space
from lehr.wire.base import MetricName

METRICS = st.lists(
    st.integers(-20, 20).map(float) | st.floats(-1, 1) | st.just(math.nan), min_size=1, max_size=60
)  # fmt: skip
PLATEAUS = st.builds(
    Plateau,
    start_lr=st.sampled_from([1.0, 0.3]),
    end_lr=st.sampled_from([0.0, 1e-3, 0.3]),
    factor=st.sampled_from([0.1, 0.5, 0.9]),
    patience=st.integers(0, 4),
    cooldown=st.integers(0, 4),
    threshold=st.sampled_from([0.0, 1e-4, 0.1]),
    threshold_mode=st.sampled_from(["relative", "absolute"]),
    direction=st.sampled_from(["minimize", "maximize"]),
    least_drop=st.sampled_from([0.0, 1e-8, 0.05]),
)


@given(plateau=PLATEAUS, metrics=METRICS)
def test_the_rates_are_torchs(plateau, metrics):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=plateau.start_lr)
    theirs = ReduceLROnPlateau(
        optimizer, mode={"minimize": "min", "maximize": "max"}[plateau.direction], factor=plateau.factor,
        patience=plateau.patience, threshold=plateau.threshold,
        threshold_mode={"relative": "rel", "absolute": "abs"}[plateau.threshold_mode], cooldown=plateau.cooldown,
        min_lr=plateau.end_lr, eps=plateau.least_drop,
    )  # fmt: skip
    ours = PlateauState(plateau)
    for metric in metrics:
        theirs.step(metric)
        assert ours.step(metric) == optimizer.param_groups[0]["lr"]


@given(plateau=PLATEAUS, before=METRICS, after=METRICS)
def test_a_resumed_state_goes_on_as_an_uninterrupted_one(plateau, before, after):
    state, resumed = PlateauState(plateau), PlateauState(plateau)
    for metric in before:
        state.step(metric)
    resumed.load_state_dict(json.loads(json.dumps(state.state_dict(), allow_nan=False)))
    assert [state.step(metric) for metric in after] == [resumed.step(metric) for metric in after]
    assert state.state_dict() == resumed.state_dict()


def test_a_plateau_warms_up_by_progress_and_then_by_the_metric():
    plateau = Plateau(start_lr=0.0, peak_lr=1.0, end_lr=0.1, warmup_fraction=0.2, patience=0, factor=0.5)
    state = PlateauState(plateau)
    assert [state.lr_at(progress) for progress in (0, 0.1, 0.2, 0.9)] == [0.0, 0.5, 1.0, 1.0]
    state.step(1.0)
    state.step(1.0)
    assert [state.lr_at(progress) for progress in (0.1, 0.9)] == [0.5, 0.5]


def test_no_progress_has_a_rate_and_everything_says_so():
    plateau = Plateau(start_lr=0.1, end_lr=0.001)
    assert plateau.adaptive
    assert plateau.lr_at(0) == 0.1
    for refused in (
        lambda: plateau.lr_at(0.5),
        lambda: plateau.lr_at(1),
        lambda: plateau.lr(5, 10),
        lambda: plateau.curve(10),
        lambda: plateau.curve_array(10),
        lambda: torch_code(plateau, 10),  # the closed form's; `export` has torch's own
    ):
        with pytest.raises(InvalidScheduleError, match="adaptive"):
            refused()


def test_no_search_draws_what_a_free_form_shapes():
    with pytest.raises(InvalidSpaceError, match=r"families\[1\].*could draw"):
        Space.of(families=["cosine", "piecewise"])


def test_a_search_draws_a_plateau_where_asked_and_follows_the_metric_that_the_space_names():
    space = Space.of(families=["plateau"])
    assert [each.name for each in space.coordinates("plateau")] == [
        "start_lr", "end_position", "plateau.factor", "plateau.patience",
    ]  # fmt: skip
    assert space.followed_metrics() == {"plateau": ("val_loss",)}
    asked = {"metric": ["val_accuracy"], "direction": ["maximize"]}
    space = Space.of(families=["plateau"], parameters={"plateau": asked})
    point = {"start_lr": 0.1, "end_position": 0.5, "plateau.factor": 0.3, "plateau.patience": 2}
    schedule = space.schedule("plateau", point)
    assert isinstance(schedule, Plateau)
    assert (schedule.metric, schedule.direction, schedule.patience) == ("val_accuracy", "maximize", 2)
    assert space.point(schedule) == pytest.approx(point)
    assert space.followed_metrics() == {"plateau": ("val_accuracy",)}


@pytest.mark.parametrize("metric", ["", "val_loss\n", "a\tb", "\x1b[0m", "\u202eb", "\ud800", "a" * 201, None, 3])
def test_a_metrics_name_is_one_that_reports_may_have(metric):
    with pytest.raises(InvalidScheduleError, match="metric"):
        schedule_from_dict({"family": "plateau", "start_lr": 0.1, "end_lr": 0.01, "metric": metric})
    with pytest.raises(ValidationError):
        TypeAdapter(MetricName).validate_python(metric, strict=True)


def test_a_threshold_that_nothing_passes_is_refused():
    document = {"family": "plateau", "start_lr": 0.1, "end_lr": 0.01, "threshold": 1.0}
    with pytest.raises(InvalidScheduleError, match="threshold"):
        schedule_from_dict(document)
    assert schedule_from_dict({**document, "threshold_mode": "absolute"}).family == "plateau"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"lr": 7.0}, ["lr"]),
        ({"lr": "0.1"}, ["lr"]),
        ({"best": math.nan}, ["best"]),
        ({"bad_evaluations": 11}, ["bad_evaluations"]),
        ({"cooling": True, "bad_evaluations": -1}, ["bad_evaluations", "cooling"]),
    ],
)
def test_a_state_of_another_schedule_is_refused_and_changes_nothing(change, fields):
    state = PlateauState(Plateau(start_lr=0.1, end_lr=0.001))
    before = state.state_dict()
    with pytest.raises(InvalidValueError) as refused:
        state.load_state_dict({**before, **change})
    assert [fault.field for fault in refused.value.faults] == fields
    with pytest.raises(InvalidValueError, match="cooling"):
        state.load_state_dict({name: value for name, value in before.items() if name != "cooling"})
    assert state.state_dict() == before
