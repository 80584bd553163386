"""A range test alone: a study that never searches."""

from __future__ import annotations

from lehr.wire.objectives import ObjectiveSpec
from lehr.wire.ranges import RangeTestRequest
from lehr.wire.studies import StudySpec
from service.fleet import KnownTask

USUAL_METRIC = "val_loss"


def alone(request: RangeTestRequest) -> StudySpec:
    """The study that stands for it. Its objective counts for nothing; its budget is taken away when it is stored."""
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


def in_a_metric_of(task: KnownTask | None, spec: StudySpec) -> StudySpec:
    """Workers expect an objective that their task reports, though a sweep is judged by its losses alone."""
    if task is None or not task.metrics or USUAL_METRIC in task.metrics:
        return spec
    return spec.model_copy(update={"objective": ObjectiveSpec(metric=task.metrics[0], direction="minimize")})
