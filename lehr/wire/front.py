"""The trade-off of a study on the wire: how good, how soon, and how robust to the rate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lehr.wire.base import Response, ScheduleDocument
from lehr.wire.objectives import Direction

Aim = Literal["steps", "rate_sensitivity"]
StudyState = Literal["QUEUED", "RUNNING", "PAUSED", "STOPPING", "CONFIRMING", "COMPLETED", "CANCELLED", "FAILED"]


class FrontTrial(Response):
    """A search trial that reached the target: `steps` until the first report that did, and its value at the end. Of a
    trial with several evaluations both are means, and each of them got there.

    `rate_sensitivity`: by how much the study's objective (in steps, where it counts these) is expected to be worse with
    its rates up to twice or half as high; null where the search tells too little.
    """

    trial: int
    schedule: ScheduleDocument
    value: float
    steps: float
    rate_sensitivity: float | None = None


class Front(Response):
    """The trials that no other one beats in all aims: the value, and `aims`, of which less is better. The soonest
    first; the first of them answers "at least `target` in the fewest steps".

    `reached`: how many trials got there, of `examined`: the study's best, if there are more than it looks at.
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
