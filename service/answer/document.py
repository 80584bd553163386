"""Builds the answer document: the best schedule, the evidence for it, and the code to train with it."""

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
"""How many rates an answer lists by default."""


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """The facts about a study that its answer repeats. `horizon_steps` is None until a trial has reported it."""

    study_id: str
    state: StudyState
    metric: str
    direction: Direction
    horizon_steps: int | None
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfirmedResults:
    """The confirmation's results. `baseline` and `answer` may be the same."""

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
    """The study's answer document so far. `trial`: its best trial so far.

    Until a run on fresh seeds has COMPLETED, `confirmation`, `baseline` and `gain` are null: the best value of a search
    is biased, so it is not compared with anything. `points` >= 1 limits the rates listed (default: all, at most 1000).
    An adaptive schedule has none, because its rates are known only from its trial's reports. `make`: how the parts are
    made. Raises ConflictError while no search trial has COMPLETED.
    """
    if trial is None:
        raise ConflictError("No trial of this study has completed yet. Repeat the call after one has completed.")
    checked = make("feasibility", lambda: feasibility(study.constraints, trial, measured), None)
    document = _document(study, trial, points, make).model_copy(update={"feasibility": checked})
    if measured is None:
        return document
    additions: dict[str, object] = {"recommendation": measured.recommendation}
    if measured.answer.values:
        additions |= _confirmed(measured, study.direction, make)
    return document.model_copy(update=additions)


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
    """`points` rates at evenly spaced, distinct steps, including the first and the last.

    A single point is the first step. Default: every step, at most 1000.
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
    """The evaluations whose mean is a COMPLETED trial's value; None if it was measured once."""
    if trial.evaluations is None:
        return None
    return Evaluations(count=trial.evaluations, completed=trial.evaluations, std=trial.std)


def feasibility(
    constraints: Sequence[Constraint], trial: SearchTrial, measured: ConfirmedResults | None
) -> Feasibility | None:
    """Whether the answer keeps the constraints; None without constraints."""
    if not constraints:
        return None
    confirmed = measured.answer.standings if measured else []
    checked = confirmed or standings(constraints, [trial.measured or {}])
    broken = ", ".join(standing.metric for standing in checked if not standing.satisfied)
    if not broken:
        code: FeasibilityCode = "satisfied" if confirmed else "satisfied_in_search"
        where = "for the mean of its runs on fresh seeds" if confirmed else "in the search, which may be luck"
        return Feasibility(code=code, message=f"the constraints hold {where}", constraints=checked)
    nearest = f"the answer is the trial with the least violation, and breaks the constraint on {broken}"
    if trial.broken or (measured and measured.none_feasible):
        message = f"no trial of the search kept the constraints; {nearest}"
        return Feasibility(code="nothing_feasible", message=message, constraints=checked)
    message = f"no trial that kept the constraints in the search kept them on fresh seeds; {nearest}"
    return Feasibility(code="refuted", message=message, constraints=checked)


def _code(schedule: Schedule, horizon_steps: int) -> str:
    return export(schedule, "torch", horizon_steps).code if schedule.adaptive else torch_code(schedule, horizon_steps)


def confirmation(confirmed: Confirmed) -> Confirmation | None:
    """The results of its runs on fresh seeds; None while none has completed."""
    summary = confirmed.summary
    if summary is None:
        return None
    return Confirmation(
        seeds=summary.count, diverged=confirmed.diverged, mean=summary.mean, std=summary.std, ci95=summary.ci95
    )


def _gain(answer: Confirmed, other: Confirmed, direction: Direction) -> Gain | None:
    gain = gain_over(answer, other, direction)
    return Gain(mean=gain.mean, ci95=gain.ci95, verdict=gain.verdict) if gain else None


def _comparison(answer: Confirmed, other: Confirmed, direction: Direction) -> Comparison:
    summary = other.summary
    return Comparison(
        trial=other.trial.number,
        schedule=other.trial.schedule,
        mean=summary.mean if summary else None,
        ci95=summary.ci95 if summary else None,
        gain=_gain(answer, other, direction),
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
