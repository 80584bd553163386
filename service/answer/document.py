"""The answer: the best schedule, how sure that is, and what it takes to train with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lehr.errors import ConflictError
from lehr.schedules import Schedule
from lehr.schedules.portable import export, torch_code
from lehr.wire.answers import (
    Answer,
    Baseline,
    Comparison,
    Feasibility,
    Gain,
    LrCurve,
    Recommendation,
)
from lehr.wire.objectives import Confirmation, Constraint, Evaluations
from lehr.wire.studies import Direction, StudyState
from service.answer.confirmation import Confirmed, gain_over
from service.answer.constraints import standings
from service.answer.finalists import SearchTrial
from service.parts import Make, directly

FeasibilityCode = Literal["satisfied", "satisfied_in_search", "nothing_feasible", "refuted"]

MAX_POINTS = 1000
"""How many rates an answer lists unless asked for another number."""


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the answer repeats about its study. `horizon_steps` None: no trial has told it yet."""

    study_id: str
    state: StudyState
    metric: str
    direction: Direction
    horizon_steps: int | None
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfirmedResults:
    """What the answer's value rests on. `baseline` and `answer` may be the same."""

    answer: Confirmed
    baseline: Confirmed | None
    compared: tuple[Confirmed, ...]
    recommendation: Recommendation | None
    none_feasible: bool = False


def answer(
    study: StudyFacts,
    trial: SearchTrial | None,
    measured: ConfirmedResults | None = None,
    points: int | None = None,
    make: Make = directly,
) -> Answer:
    """The answer document of the study as far as it is; `trial`: its best one so far.

    Until a run on fresh seeds has COMPLETED, `confirmation`, `baseline` and `gain` are null: a search's best
    value flatters itself, so it is compared with nothing. `points` >= 1 limits the rates listed (default: all,
    at most 1000); those of an adaptive schedule are in its trial's reports alone, and are left out here.
    `make`: how the parts are made. Raises ConflictError while no search trial has COMPLETED.
    """
    if trial is None:
        raise ConflictError("No trial of this study has completed yet; ask again when one has.")
    kept = make("feasibility", lambda: feasibility(study.constraints, trial, measured), None)
    document = _document(study, trial, points, make).model_copy(update={"feasibility": kept})
    if measured is None:
        return document
    found: dict[str, object] = {"recommendation": measured.recommendation}
    if measured.answer.values:
        found |= _confirmed(measured, study.direction, make)
    return document.model_copy(update=found)


def _confirmed(measured: ConfirmedResults, direction: Direction, make: Make) -> dict[str, object]:
    answered, baseline = measured.answer, measured.baseline
    compared: list[Comparison] = []
    return {
        "confirmation": make("confirmation", lambda: confirmation(answered), None),
        "baseline": make("baseline", lambda: _baseline_document(baseline) if baseline else None, None),
        "gain": make("gain", lambda: _gain(answered, baseline, direction) if baseline else None, None),
        "comparisons": make(
            "comparisons", lambda: [_comparison(answered, other, direction) for other in measured.compared], compared
        ),
    }


def rates(schedule: Schedule, horizon_steps: int, points: int | None = None) -> LrCurve:
    """`points` rates at evenly spaced steps, the first and the last included; never a step twice.

    One point is the first step's. Default: every step, at most 1000.
    """
    curve = schedule.curve(horizon_steps, MAX_POINTS if points is None else points)
    return LrCurve(step=list(curve.step), value=list(curve.lr))


def _document(study: StudyFacts, trial: SearchTrial, points: int | None, make: Make) -> Answer:
    assert trial.value is not None  # only COMPLETED trials come here
    horizon, schedule = study.horizon_steps, trial.schedule
    code: dict[str, str] = {}
    return Answer(
        study_id=study.study_id,
        state=study.state,
        metric=study.metric,
        direction=study.direction,
        trial=trial.number,
        value=trial.value,
        evaluations=evaluations(trial),
        schedule=schedule,
        horizon_steps=horizon,
        confirmation=None,
        baseline=None,
        gain=None,
        lr=make("lr", lambda: rates(schedule, horizon, points) if horizon and not schedule.adaptive else None, None),
        code=make("code", lambda: {"torch": _code(schedule, horizon)} if horizon else {}, code),
    )


def evaluations(trial: SearchTrial) -> Evaluations | None:
    """What the value of a COMPLETED trial is the mean of; None where it was measured once."""
    if trial.evaluations is None:
        return None
    return Evaluations(count=trial.evaluations, completed=trial.evaluations, std=trial.std)


def feasibility(
    constraints: Sequence[Constraint], trial: SearchTrial, measured: ConfirmedResults | None
) -> Feasibility | None:
    """How the answer keeps to the constraints; None without any."""
    if not constraints:
        return None
    confirmed = measured.answer.standings if measured else []
    found = confirmed or standings(constraints, [trial.measured or {}])
    broken = ", ".join(each.metric for each in found if not each.satisfied)
    if not broken:
        code: FeasibilityCode = "satisfied" if confirmed else "satisfied_in_search"
        where = "on the mean of its runs on fresh seeds" if confirmed else "in the search, which may be luck"
        return Feasibility(code=code, message=f"the constraints hold {where}", constraints=found)
    if trial.broken or (measured and measured.none_feasible):
        message = f"no trial of the search kept to the constraints; this is the nearest, and breaks that of {broken}"
        return Feasibility(code="nothing_feasible", message=message, constraints=found)
    message = (
        "what kept to the constraints in the search did not on fresh seeds; "
        f"this is the nearest, and breaks that of {broken}"
    )
    return Feasibility(code="refuted", message=message, constraints=found)


def _code(schedule: Schedule, horizon_steps: int) -> str:
    return export(schedule, "torch", horizon_steps).code if schedule.adaptive else torch_code(schedule, horizon_steps)


def confirmation(confirmed: Confirmed) -> Confirmation | None:
    """What its runs on fresh seeds came to; None while none has completed."""
    summary = confirmed.summary
    if summary is None:
        return None
    return Confirmation(
        seeds=summary.count, diverged=confirmed.diverged, mean=summary.mean, std=summary.std, ci95=summary.ci95
    )


def _gain(found: Confirmed, other: Confirmed, direction: Direction) -> Gain | None:
    gain = gain_over(found, other, direction)
    return Gain(mean=gain.mean, ci95=gain.ci95, verdict=gain.verdict) if gain else None


def _comparison(found: Confirmed, other: Confirmed, direction: Direction) -> Comparison:
    summary = other.summary
    return Comparison(
        trial=other.trial.number,
        schedule=other.trial.schedule,
        mean=summary.mean if summary else None,
        ci95=summary.ci95 if summary else None,
        gain=_gain(found, other, direction),
        constraints=other.standings,
    )


def _baseline_document(baseline: Confirmed) -> Baseline:
    summary = baseline.summary
    return Baseline(
        schedule=baseline.trial.schedule,
        mean=summary.mean if summary else None,
        ci95=summary.ci95 if summary else None,
        constraints=baseline.standings,
    )
