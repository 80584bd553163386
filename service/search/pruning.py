"""When a running trial is not worth finishing.

Families anneal at different speeds: at equal steps a slowly annealing schedule is behind a fast
one and may still end ahead. "median" and "hyperband" compare within a family, where equal steps
are equal phases, except while a rate still climbs; "phases" and "race" compare across families, with
those that have annealed no further (see `race`). No trial is judged inside its warm-up or climb, and
what others reported inside theirs is not compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lehr.errors import Fault
from lehr.schedules import Schedule
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.search import optuna_study, race
from service.search.observations import PENDING, Observation, as_loss, draw_seed

Reports = tuple[tuple[int, float], ...]

MIN_FINISHED = 4
"""How many trials of a family must have finished before one of it is judged."""
MAX_FINISHED = 200
"""How many finished trials of a family are remembered: the newest."""
RACES = {"phases": race.PHASES, "race": race.RACE}
GUESSED = {"phases": race.PHASES, "race": race.KIND_RACE}
"""The rules for a trial that no sampler chose."""
HALVING_FACTOR = 3
"""Hyperband's eta: each rung keeps the best third."""
FIRST_RUNG_FRACTION = 1 / 27
"""Where Hyperband's earliest rung lies, of the horizon: four brackets at eta 3."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trial reported. `reports`: (step, objective value), steps rising."""

    number: int
    schedule: Schedule
    state: TrialState
    reports: Reports


def check_pruner(name: str, evaluations: int = 1, *, constrained: bool = False) -> Fault | None:
    """Why a pruner cannot be used where a trial is evaluated so many times, None when it can."""
    if constrained and judges_curves(name):
        return Fault(
            "pruner.name",
            "this pruner looks at the objective alone, and would give up what keeps to the constraints",
            "none, or wilcoxon with objective.folds or seeds",
            name,
            'Use "none", or leave out objective.constraints.',
        )
    if name == "wilcoxon" and evaluations == 1:
        return Fault(
            "pruner.name",
            "the Wilcoxon pruner compares several evaluations of each trial, and a trial has one",
            "none, median, hyperband, phases, race",
            name,
            'Ask for objective.folds or objective.seeds, or use "median".',
        )
    if name not in ("none", "wilcoxon") and evaluations > 1:
        return Fault(
            "pruner.name",
            f"this pruner judges a trial by its one training, and a trial has {evaluations}",
            "none, wilcoxon",
            name,
            'Use "wilcoxon", which ends trials between their trainings, or leave out objective.folds and seeds.',
        )
    return None


def judges_curves(name: str) -> bool:
    """Whether the pruner looks at what running trials report; the Wilcoxon pruner looks at results alone."""
    return name not in ("none", "wilcoxon")


def should_prune(
    pruner: str,
    trial: Curve,
    others: Iterable[Curve],
    *,
    horizon_steps: int,
    direction: Direction,
    guessed: bool = False,
) -> bool:
    """Whether `trial` should stop at the last of its reports.

    `others` of another family are left out, except by "phases" and "race". Never True inside the
    trial's warm-up or climb, or at the last step. "median": its best report so far is worse than
    the median at the same step. "hyperband": it is not in the best third at a rung of its bracket;
    both judge nobody before four trials of the family finished. "phases" and "race": as
    `race.falls_behind` says.
    """
    if not judges_curves(pruner) or not trial.reports:
        return False
    if not climb_steps(trial.schedule, horizon_steps) < trial.reports[-1][0] < horizon_steps - 1:
        return False
    if pruner in RACES:
        return _race_prunes((GUESSED if guessed else RACES)[pruner], trial, others, horizon_steps, direction)
    rivals = [one for one in others if one.schedule.family == trial.schedule.family and one.number != trial.number]
    if sum(one.state in ("COMPLETED", "PRUNED") for one in rivals) < MIN_FINISHED:
        return False
    judge = _median_prunes if pruner == "median" else _hyperband_prunes
    return judge(trial, rivals, horizon_steps, direction)


def climb_steps(schedule: Schedule, horizon_steps: int) -> int:
    """The first step at which the rate has climbed to its highest; 0 for a schedule that starts there."""
    return math.ceil(schedule.rise_fraction * (horizon_steps - 1))


def _median_prunes(trial: Curve, rivals: list[Curve], horizon_steps: int, direction: Direction) -> bool:
    completed = [
        optuna_study.reported(one.number, _phase_reports(one, horizon_steps, direction), completed=True)
        for one in rivals
        if one.state == "COMPLETED"
    ]
    own = optuna_study.reported(trial.number, _phase_reports(trial, horizon_steps, direction))
    return optuna_study.median_prunes(own, completed, MIN_FINISHED)


def _race_prunes(
    rules: race.Rules, trial: Curve, others: Iterable[Curve], horizon_steps: int, direction: Direction
) -> bool:
    """Whether it falls behind at a rung that its last report is the first to pass."""
    before = sum(_phase(step, horizon_steps) >= rung for step, _ in trial.reports[-2:-1] for rung in rules.rungs)
    own = runner(rules, trial, horizon_steps, direction)
    if len(own.passed) <= before:
        return False
    rivals = [runner(rules, one, horizon_steps, direction) for one in others if one.number != trial.number]
    return race.falls_behind(own, rivals, rules)


def runner(rules: race.Rules, curve: Curve, horizon_steps: int, direction: Direction) -> race.Runner:
    """A trial in the race: its first report at each rung or behind it."""
    schedule, passed = curve.schedule, []
    for rung in rules.rungs:
        found = next((value for step, value in curve.reports if _phase(step, horizon_steps) >= rung), None)
        if found is None:
            break
        passed.append(as_loss(found, direction))
    if curve.state == "DIVERGED":
        passed += [math.inf] * (len(rules.rungs) - len(passed))
    top = schedule.max_lr
    heats = [schedule.lr_at(rung) / top if top > 0 and not schedule.adaptive else 1.0 for rung in rules.rungs]
    climbing = sum(rung < schedule.rise_fraction for rung in rules.rungs)
    return race.Runner(curve.number, passed, heats, climbing, has_ended=curve.state not in PENDING)


def _phase(step: int, horizon_steps: int) -> float:
    """The part of the horizon that is done after a step."""
    return (step + 1) / horizon_steps


def _hyperband_prunes(trial: Curve, rivals: list[Curve], horizon_steps: int, direction: Direction) -> bool:
    """Hyperband: brackets of successive halving, each with a later first rung and fewer trials.

    Source: Li et al., Hyperband, JMLR 18 (2018), algorithm 1; trials are dealt to the brackets
    by their number in the algorithm's proportions.
    """
    bracket = hyperband_bracket(trial.number)
    first_rung = max(1, round(horizon_steps * FIRST_RUNG_FRACTION)) * HALVING_FACTOR**bracket
    competing = [
        optuna_study.reported(
            one.number, dict(one.reports), _rung_values(one, one.reports, first_rung, horizon_steps, direction)
        )
        for one in rivals
        if hyperband_bracket(one.number) == bracket
    ]
    earlier = _rung_values(trial, trial.reports[:-1], first_rung, horizon_steps, direction)
    own = optuna_study.reported(
        trial.number, {step: as_loss(value, direction) for step, value in trial.reports[-1:]}, earlier
    )
    return optuna_study.halving_prunes(own, competing, first_rung, HALVING_FACTOR)


def hyperband_bracket(number: int) -> int:
    """The bracket a trial is dealt to; bracket b's first rung lies `HALVING_FACTOR`^b times later."""
    brackets = _bracket_count()
    weights = [
        math.ceil(brackets * HALVING_FACTOR ** (brackets - 1 - bracket) / (brackets - bracket))
        for bracket in range(brackets)
    ]
    remaining = draw_seed("bracket", number) % sum(weights)
    for bracket, weight in enumerate(weights):
        if remaining < weight:
            return bracket
        remaining -= weight
    raise AssertionError("the weights sum up to more than what remains")


def _bracket_count() -> int:
    return round(math.log(1 / FIRST_RUNG_FRACTION, HALVING_FACTOR)) + 1


def _phase_reports(curve: Curve, horizon_steps: int, direction: Direction) -> dict[int, float]:
    """The reports from behind the climb as losses."""
    climb = climb_steps(curve.schedule, horizon_steps)
    return {step: as_loss(value, direction) for step, value in curve.reports if step > climb}


def _rung_values(
    curve: Curve, reports: Reports, first_rung: int, horizon_steps: int, direction: Direction
) -> list[float]:
    """A trial's value at each rung it has passed: its first report from the rung on.

    A rung inside the climb is passed with the worst value there is: a report from behind the
    climb is later than the others' and would make them look bad.
    """
    climb = climb_steps(curve.schedule, horizon_steps)
    values: list[float] = []
    rung = first_rung
    for step, value in reports:
        while step >= rung:
            values.append(as_loss(value, direction) if rung > climb else math.inf)
            rung *= HALVING_FACTOR
    return values


class Curves:
    """The curves of a study's trials, family by family: running ones, and the newest finished ones."""

    def __init__(self, pruner: str, direction: Direction) -> None:
        self._pruner = pruner
        self._direction = direction
        self._running: dict[int, Curve] = {}
        self._finished: dict[str, dict[int, Curve]] = {}

    def tell(self, observation: Observation, schedule: Schedule | None) -> None:
        """Take note of a trial's reports; those without a known schedule are compared with nobody."""
        known = self._running.pop(observation.number, None)
        schedule = schedule or (known.schedule if known else None)
        if schedule is None or observation.state in ("FAILED", "CANCELLED"):
            return
        reports = observation.reports or (known.reports if known else ())
        curve = Curve(observation.number, schedule, observation.state, reports)
        if observation.state in PENDING:
            self._running[curve.number] = curve
            return
        finished = self._finished.setdefault(schedule.family, {})
        finished[curve.number] = curve
        if len(finished) > MAX_FINISHED:
            del finished[min(finished)]

    def should_prune(
        self, number: int, schedule: Schedule, horizon_steps: int, reports: Reports, *, guessed: bool = False
    ) -> bool:
        """Whether a running trial should stop at the last of its reports, which are kept."""
        trial = Curve(number, schedule, "RUNNING", reports)
        self._running[number] = trial
        families = self._finished.values() if self._pruner in RACES else [self._finished.get(schedule.family, {})]
        rivals = [*(curve for finished in families for curve in finished.values()), *self._running.values()]
        return should_prune(
            self._pruner,
            trial,
            rivals,
            horizon_steps=horizon_steps,
            direction=self._direction,
            guessed=guessed,
        )
