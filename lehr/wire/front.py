"""Models of a study's Pareto front: the value, the steps to a target, and the robustness to the rate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lehr.wire.base import Response, ScheduleDocument, Warning_
from lehr.wire.objectives import Direction

Aim = Literal["steps", "rate_sensitivity"]
StudyState = Literal["QUEUED", "RUNNING", "PAUSED", "STOPPING", "CONFIRMING", "COMPLETED", "CANCELLED", "FAILED"]


class FrontTrial(Response):
    """A search trial that reached the target: `steps` until the first report that did, and its final value. For a trial
    with several evaluations, both are means, and every evaluation reached the target.

    `rate_sensitivity`: how much worse the study's objective (in steps, if it counts steps) is expected to be with rates
    up to twice or half as high; null if the search has too little data.
    """

    trial: int
    schedule: ScheduleDocument
    value: float
    steps: float
    rate_sensitivity: float | None = None


class Front(Response):
    """The Pareto front: the trials that no other trial beats in the value and all `aims` (lower is better), sorted by
    steps. The first one reaches `target` in the fewest steps.

    `reached`: how many of the `examined` trials reached the target. Large studies examine only their best trials.
    `warnings`: the parts that were left out because they failed.
    """

    study_id: str
    state: StudyState
    metric: str
    direction: Direction
    target: float
    aims: list[Aim] = Field(default_factory=list)
    items: list[FrontTrial]
    reached: int
    examined: int
    warnings: list[Warning_] = Field(default_factory=list)
