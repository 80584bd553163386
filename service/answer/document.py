"""The answer: the best schedule, how sure that is, and what it takes to train with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lehr.errors import ConflictError
from lehr.schedules import Schedule, torch_code
from lehr.schedules.portable import export
from lehr.wire.studies import Answer, Baseline, Confirmation, Direction, Gain, LrCurve, StudyState
from service.answer.confirmation import Confirmed, choose_winner, gain_over
from service.answer.finalists import SearchTrial, best_first, is_baseline

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


def answer(
    study: StudyFacts, trials: Sequence[SearchTrial], confirmed: Sequence[Confirmed] = (), points: int | None = None
) -> Answer:
    """The answer document of the study as far as it is.

    Without a COMPLETED confirmation run the best search trial is the answer, and
    `confirmation`, `baseline` and `gain` are null: a search's best value flatters itself, so it
    is compared with nothing. `points` >= 1 limits the rates listed (default: all, at most 1000); those of an
    adaptive schedule are in its trial's reports alone, and are left out here.
    Raises ConflictError while no search trial has COMPLETED.
    """
    winner = choose_winner(confirmed, study.direction)
    if winner is None:
        ranked = best_first(trials, study.direction)
        if not ranked:
            raise ConflictError("No trial of this study has completed yet; ask again when one has.")
        return _document(study, ranked[0], points)
    baseline = _baseline(confirmed, study.direction)
    gain = gain_over(winner, baseline, study.direction) if baseline else None
    return _document(study, winner.trial, points).model_copy(
        update={
            "confirmation": confirmation(winner),
            "baseline": _baseline_document(baseline) if baseline else None,
            "gain": Gain(mean=gain.mean, ci95=gain.ci95, verdict=gain.verdict) if gain else None,
        }
    )


def rates(schedule: Schedule, horizon_steps: int, points: int | None = None) -> LrCurve:
    """`points` rates at evenly spaced steps, the first and the last included; never a step twice.

    One point is the first step's. Default: every step, at most 1000.
    """
    curve = schedule.curve(horizon_steps, MAX_POINTS if points is None else points)
    return LrCurve(step=list(curve.step), value=list(curve.lr))


def _document(study: StudyFacts, trial: SearchTrial, points: int | None) -> Answer:
    assert trial.value is not None  # only COMPLETED trials come here
    horizon = study.horizon_steps
    return Answer(
        study_id=study.study_id,
        state=study.state,
        metric=study.metric,
        direction=study.direction,
        trial=trial.number,
        value=trial.value,
        schedule=trial.schedule,
        horizon_steps=horizon,
        confirmation=None,
        baseline=None,
        gain=None,
        lr=rates(trial.schedule, horizon, points) if horizon and not trial.schedule.adaptive else None,
        code={"torch": _code(trial.schedule, horizon)} if horizon else {},
    )


def _code(schedule: Schedule, horizon_steps: int) -> str:
    return export(schedule, "torch", horizon_steps).code if schedule.adaptive else torch_code(schedule, horizon_steps)


def confirmation(winner: Confirmed) -> Confirmation | None:
    """What its runs on fresh seeds came to; None while there are none."""
    summary = winner.summary
    if summary is None:
        return None
    return Confirmation(seeds=summary.count, mean=summary.mean, std=summary.std, ci95=summary.ci95)


def _baseline(confirmed: Sequence[Confirmed], direction: Direction) -> Confirmed | None:
    """The best constant rate: of those confirmed the one that did best there, as the winner was chosen.

    A constant winner so is its own baseline. While no run of a constant has completed: the best of the search.
    """
    constants = [finalist for finalist in confirmed if is_baseline(finalist.trial.schedule)]
    best = best_first((finalist.trial for finalist in constants), direction)
    fallback = next((finalist for finalist in constants if best and finalist.trial == best[0]), None)
    return choose_winner(constants, direction) or fallback


def _baseline_document(baseline: Confirmed) -> Baseline:
    summary = baseline.summary
    return Baseline(
        schedule=baseline.trial.schedule,
        mean=summary.mean if summary else None,
        ci95=summary.ci95 if summary else None,
    )
