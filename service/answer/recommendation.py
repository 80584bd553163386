"""Explains why the answer was chosen, as a message and a code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lehr.schedules import Schedule
from lehr.wire.answers import Recommendation, Tied
from service.answer.finalists import SearchTrial
from service.answer.plan import Plan

Code = Literal["only_finalist", "clearly_best", "best_of_tied", "simplest_of_tied", "keeps_to_constraints", "nearest"]


def recommendation(plan: Plan, trials: Mapping[int, SearchTrial]) -> Recommendation:
    """The explanation of a plan that has its answer. `trials`: the plan's search trials."""
    contenders = {contender.number: contender for contender in plan.contenders}
    tied = [
        Tied(
            trial=number,
            schedule=trials[number].schedule,
            behind=max(0.0, behind),
            fields=contenders[number].fields,
            rate_sensitivity=contenders[number].sensitivity,
        )
        for number, behind in plan.tied
    ]
    code = _code(plan)
    assert plan.answer is not None
    return Recommendation(code=code, message=_message(code, tied, trials[plan.answer].schedule), tied=tied)


def _code(plan: Plan) -> Code:
    if plan.refuted:
        return "nearest" if plan.answer in plan.refuted else "keeps_to_constraints"
    if len(plan.contenders) == 1:
        return "only_finalist"
    if len(plan.tied) <= 1:
        return "clearly_best"
    return "best_of_tied" if plan.tied[0][0] == plan.answer else "simplest_of_tied"


def _message(code: Code, tied: list[Tied], chosen: Schedule) -> str:
    if code == "only_finalist":
        return "there was only one finalist"
    if code == "nearest":
        return "every schedule measured on fresh seeds breaks a constraint; this one has the least violation"
    if code == "keeps_to_constraints":
        return "schedules that did better in the race break a constraint on fresh seeds; this one keeps the constraints"
    if code == "clearly_best":
        return "every other finalist was clearly worse in the race on fresh seeds"
    others = len(tied) - 1
    finalists = f"{others} other finalist{'s' if others > 1 else ''}"
    which = f"the race could not distinguish {finalists} from the best one"
    if code == "best_of_tied":
        return f"{which}; {chosen.family} had the best mean, and none within half a standard error of it is simpler"
    best = tied[0].schedule
    return (
        f"{which}; {chosen.family} is the simplest within half a standard error of the best mean (of {best.family}): "
        "it has the fewest values to choose, then the lowest sensitivity to its learning rate"
    )
