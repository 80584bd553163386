"""The trade-off of a study on the wire: how good, against how soon."""

from __future__ import annotations

from lehr.wire.base import Response, ScheduleDocument
from lehr.wire.studies import Direction, StudyState


class FrontTrial(Response):
    """A search trial that reached the target: `steps` until the first report that did, and its value at the end."""

    trial: int
    schedule: ScheduleDocument
    value: float
    steps: int


class Front(Response):
    """The trials that no other one beats in both aims, the soonest first; the first of them answers
    "at least `target` in the fewest steps".

    `reached`: how many trials got there, of `examined`: the study's best, if there are more than it looks at.
    """

    study_id: str
    state: StudyState
    metric: str
    direction: Direction
    target: float
    items: list[FrontTrial]
    reached: int
    examined: int
