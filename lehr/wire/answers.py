"""Answers on the wire: what came out of a study, and how sure that is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lehr.wire.base import Response, ScheduleDocument
from lehr.wire.convergence import Convergence
from lehr.wire.diagnosis import Finding
from lehr.wire.front import Front
from lehr.wire.objectives import Confirmation, ConstraintStanding, Evaluations
from lehr.wire.studies import BestTrial, Direction, StudyState

Verdict = Literal["better", "tie", "worse"]


class Baseline(Response):
    """The best constant rate, trained on the same fresh seeds; `constraints`: how it keeps to those of the study."""

    schedule: ScheduleDocument
    mean: float | None
    ci95: tuple[float, float] | None
    constraints: list[ConstraintStanding] = Field(default_factory=list)


class Gain(Response):
    """The winner's paired difference to the baseline, positive when the winner is better."""

    mean: float
    ci95: tuple[float, float] | None
    verdict: Verdict


class Comparison(Response):
    """A schedule of one's own that the answer was compared with, on the same fresh seeds."""

    trial: int
    schedule: ScheduleDocument
    mean: float | None
    ci95: tuple[float, float] | None
    gain: Gain | None
    constraints: list[ConstraintStanding] = Field(default_factory=list)


class Feasibility(Response):
    """Whether the answer keeps to the study's constraints: `code` for programs, `message` for people.

    `satisfied`: on the mean of its runs on fresh seeds. `satisfied_in_search`: in its trial of the search, which may be
    luck. `nothing_feasible`: no trial of the search kept to them, and the answer is the nearest. `refuted`: some did,
    but what was measured on fresh seeds did not, and the answer is the nearest of that.
    """

    code: Literal["satisfied", "satisfied_in_search", "nothing_feasible", "refuted"]
    message: str
    constraints: list[ConstraintStanding]


class Tied(Response):
    """A schedule that the race could not tell from its best one.

    `behind`: by how much it was worse there, in the metric. `fields`: how many of its fields there are to choose.
    `rate_sensitivity`: by how much the metric is expected to be worse with its rates twice or half as high.
    """

    trial: int
    schedule: ScheduleDocument
    behind: float
    fields: int
    rate_sensitivity: float | None


class Recommendation(Response):
    """Why this schedule is the answer: `code` for programs, `message` for people, and the schedules tied with it."""

    code: Literal[
        "only_finalist", "clearly_best", "best_of_tied", "simplest_of_tied", "keeps_to_constraints", "nearest"
    ]
    message: str
    tied: list[Tied]


class EqualBudget(Response):
    """What the best of `trials` trials of a family comes to: expected, and the central 95% of what it may be."""

    trials: int
    mean: float
    interval95: tuple[float, float]


class LeaderboardEntry(Response):
    """A family in the search: its counted trials, its best one, and how it compares at an equal number of trials.

    `best`: its trial that was measured on fresh seeds, where it has one (the answer before any other), else its best
    value of the search. `confirmation`: what this trial came to on fresh seeds; null where it was not measured.
    `infeasible`: how many of its trials broke the study's constraints.
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
    """The families of a study, the best first.

    `answer`: the trial that won the race on fresh seeds, whose family ranks first; null before there is one.
    """

    study_id: str
    state: StudyState
    metric: str
    direction: Direction
    answer: int | None = None
    items: list[LeaderboardEntry]


class LrCurve(Response):
    step: list[int]
    value: list[float]


class Answer(Response):
    """The best schedule found, and how sure that is. `evaluations`: what its `value` in the search is the mean of.

    `front`: the search's trials that no other beats in value, steps to a target and robustness to the rate. The target
    is the bound of the study's own constraint on the metric, or else what the best constant rate came to.

    `feasibility`: how it keeps to the study's constraints; null without any.
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
