"""Builds the study behind a standalone range test, which never searches."""

from __future__ import annotations

from lehr.errors import Fault, InvalidStudyError
from lehr.wire.objectives import STEPS_TO_TARGET, ObjectiveSpec
from lehr.wire.ranges import RangeTestRequest
from lehr.wire.studies import StudySpec
from service.fleet import KnownTask

USUAL_METRIC = "val_loss"


def standalone_study(request: RangeTestRequest) -> StudySpec:
    """The study of a standalone range test. Its objective is unused, and its budget becomes 0 when it is stored."""
    return StudySpec.model_validate(
        {
            "name": request.name,
            "task": request.task.model_dump(),
            "space": {"families": ["constant"], "start_lr": "auto"},
            "objective": {"metric": USUAL_METRIC, "direction": "minimize"},
            "budget": {"trials": 1, "parallel": request.seeds},
            "baseline": False,
            "warm_start": "off",
            "confirm": None,
            "range_test": request.model_dump(include={"low", "high", "steps", "seeds"}),
            "priority": request.priority,
        }
    )


def with_supported_metric(task: KnownTask | None, spec: StudySpec) -> StudySpec:
    """The spec with a metric that the task reports: workers expect one, although only the sweep's losses are used.

    Raises InvalidStudyError if the task reports none.
    """
    if faults := no_metric_faults(task):
        raise InvalidStudyError(faults)
    return spec.model_copy(update={"objective": ObjectiveSpec(metric=metric_of(task), direction="minimize")})


def no_metric_faults(task: KnownTask | None) -> list[Fault]:
    if metric_of(task):
        return []
    message, bound = "the task reports no metric, so it cannot be swept", "a task that is offered with metrics"
    return [Fault("task.name", message, bound, task and task.name, "Offer the task with the metrics that it reports.")]


def metric_of(task: KnownTask | None) -> str:
    """The usual metric, or else the first that the task reports; empty if it reports none."""
    if task is None or task.metrics is None or USUAL_METRIC in task.metrics:
        return USUAL_METRIC
    return next((metric for metric in task.metrics if metric != STEPS_TO_TARGET), "")
