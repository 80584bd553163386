"""Models of a study's results: the answer, how certain it is, and the leaderboard."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lehr.wire.base import Response, ScheduleDocument, Warning_
from lehr.wire.convergence import Convergence
from lehr.wire.diagnosis import Finding
from lehr.wire.front import Front
from lehr.wire.objectives import Confirmation, ConstraintStanding, Evaluations
from lehr.wire.studies import BestTrial, Direction, StudyState

Verdict = Literal["better", "tie", "worse"]


class Baseline(Response):
    """The best constant rate, trained on the same fresh seeds. `constraints`: how it does on those of the study."""

    schedule: ScheduleDocument
    mean: float | None
    ci95: tuple[float, float] | None
    constraints: list[ConstraintStanding] = Field(default_factory=list)


class Gain(Response):
    """The winner's paired difference from the baseline; positive when the winner is better."""

    mean: float
    ci95: tuple[float, float] | None
    verdict: Verdict


class Comparison(Response):
    """A user's schedule that the answer was compared with, on the same fresh seeds."""

    trial: int
    schedule: ScheduleDocument
    mean: float | None
    ci95: tuple[float, float] | None
    gain: Gain | None
    constraints: list[ConstraintStanding] = Field(default_factory=list)


class Feasibility(Response):
    """Whether the answer satisfies the study's constraints: `code` for programs, `message` for people.

    `satisfied`: on average over its runs on fresh seeds. `satisfied_in_search`: only in its search trial, which may be
    luck. `nothing_feasible`: no search trial satisfied them; the answer is the closest. `refuted`: some search trials
    did, but no schedule measured on fresh seeds did; the answer is the closest of these.
    """

    code: Literal["satisfied", "satisfied_in_search", "nothing_feasible", "refuted"]
    message: str
    constraints: list[ConstraintStanding]


class Tied(Response):
    """A schedule that the race could not distinguish from the best one.

    `behind`: how much worse it was in the race, in units of the metric. `fields`: how many fields it has to choose.
    `rate_sensitivity`: how much worse the metric is expected to be with all rates doubled or halved.
    """

    trial: int
    schedule: ScheduleDocument
    behind: float
    fields: int
    rate_sensitivity: float | None


class Recommendation(Response):
    """Why this schedule is the answer: `code` for programs, `message` for people; `tied`: schedules as good as it."""

    code: Literal[
        "only_finalist", "clearly_best", "best_of_tied", "simplest_of_tied", "keeps_to_constraints", "nearest"
    ]
    message: str
    tied: list[Tied]


class EqualBudget(Response):
    """The expected value of the best of `trials` trials of a family, and its central 95% interval."""

    trials: int
    mean: float
    interval95: tuple[float, float]


class LeaderboardEntry(Response):
    """A family in the search: how many trials it had, its best one, and how it compares at an equal number of trials.

    `best`: its trial that was measured on fresh seeds (the answer, if it is of this family), otherwise its best trial
    of the search. `confirmation`: that trial's result on fresh seeds; null if it was not measured there.
    `infeasible`: how many of its trials violated the study's constraints.
    """

    rank: int
    family: str
    trials: int
    diverged: int
    infeasible: int = 0
    best: BestTrial | None
    equal_budget: EqualBudget | None
    confirmation: Confirmation | None


class Leaderboard(Response):
    """The families of a study, best first.

    `answer`: the trial that won the race on fresh seeds; its family ranks first. Null before the race has ended.
    `warnings`: the parts that were left out because they failed.
    """

    study_id: str
    state: StudyState
    metric: str
    direction: Direction
    answer: int | None = None
    items: list[LeaderboardEntry]
    warnings: list[Warning_] = Field(default_factory=list)


class LrCurve(Response):
    step: list[int]
    value: list[float]


class Answer(Response):
    """The best schedule found, and how certain that is. `evaluations`: the trainings that `value` is the mean of.

    `front`: the Pareto front of the search's trials in value, steps to a target, and robustness to the rate. The target
    is the bound of the study's constraint on the metric, or the value of the best constant rate if it has none.

    `feasibility`: whether it satisfies the study's constraints; null if there are none.

    `warnings`: the parts that were left out because they failed.
    """

    study_id: str
    state: StudyState
    metric: str
    direction: Direction
    trial: int
    value: float
    evaluations: Evaluations | None = None
    feasibility: Feasibility | None = None
    schedule: ScheduleDocument
    horizon_steps: int | None
    confirmation: Confirmation | None
    baseline: Baseline | None
    gain: Gain | None
    comparisons: list[Comparison] = Field(default_factory=list)
    recommendation: Recommendation | None = None
    convergence: Convergence | None = None
    lr: LrCurve | None
    code: dict[str, str]
    diagnosis: list[Finding] = Field(default_factory=list)
    front: Front | None = None
    warnings: list[Warning_] = Field(default_factory=list)
