"""Studies on the wire: what is asked for, and how far it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from lehr.errors import Fault, InvalidSpaceError, InvalidStudyError
from lehr.schedules import Schedule
from lehr.space import DEFAULT_END_LR, DEFAULT_START_LR, Range, Space
from lehr.space.equality import is_among
from lehr.wire.base import ID_PATTERN, Name, Positive, Request, Response, ScheduleDocument
from lehr.wire.convergence import Convergence
from lehr.wire.data import DataSummary
from lehr.wire.diagnosis import Finding
from lehr.wire.objectives import Confirmation, Evaluations, ObjectiveSpec
from lehr.wire.objectives import Direction as Direction  # noqa: PLC0414 - studies is where others look for it
from lehr.wire.ranges import AUTO, AutoRange, RangeResult, RangeSpec, RangeTestSpec
from lehr.wire.tasks import TaskReference

StudyState = Literal["QUEUED", "RUNNING", "PAUSED", "STOPPING", "CONFIRMING", "COMPLETED", "CANCELLED", "FAILED"]
FINISHED_STUDY_STATES: tuple[StudyState, ...] = ("COMPLETED", "CANCELLED", "FAILED")

MAX_SECONDS = 10 * 366 * 86_400.0
"""The longest time that a search may be given: ten years."""


ANYWHERE = Range(1e-30, 1e6)
"""Stands for bounds that are still to be found: no other range contradicts it."""


class SpaceSpec(Request):
    """Which schedules are searched. `families` None: all that can be searched.

    Rates are drawn on a log scale. `start_lr` "auto": from where a range test says, which is the study's first stage.
    `warmup_fraction` is drawn linearly; without it only the families that climb by themselves climb. `parameters`
    narrows a family's own parameters: `{"polynomial": {"power": {"low": 1, "high": 2}}}` or
    `{"wsd": {"cooldown": ["linear"]}}`. `guesses`: schedules of the space that are tried first, paid from the budget.
    """

    families: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    start_lr: AutoRange = RangeSpec(low=DEFAULT_START_LR.low, high=DEFAULT_START_LR.high)
    end_lr: RangeSpec = RangeSpec(low=DEFAULT_END_LR.low, high=DEFAULT_END_LR.high)
    peak_lr: RangeSpec | None = None
    warmup_fraction: RangeSpec | None = None
    parameters: dict[str, dict[str, RangeSpec | list[Any]]] = Field(default_factory=dict)
    guesses: Annotated[list[ScheduleDocument], Field(max_length=100)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check(self) -> SpaceSpec:
        if faults := list(_guess_faults(self.to_space(), self.guesses)):
            raise InvalidSpaceError(faults)
        return self

    def to_space(self, start_lr: Range | None = None) -> Space:
        """`start_lr`: in the place of "auto", by default all that a range test may find.

        Raises InvalidSpaceError, with a fault for each field that is wrong.
        """
        start = self.start_lr.to_range() if self.start_lr != AUTO else start_lr or ANYWHERE
        return Space.of(
            families=self.families,
            start_lr=start,
            end_lr=self.end_lr.to_range(),
            peak_lr=self.peak_lr.to_range() if self.peak_lr else None,
            warmup_fraction=self.warmup_fraction.to_range() if self.warmup_fraction else None,
            parameters={
                family: {
                    name: value.to_range() if isinstance(value, RangeSpec) else tuple(value)
                    for name, value in parameters.items()
                }
                for family, parameters in self.parameters.items()
            },
        )


def _guess_faults(space: Space, guesses: Sequence[Schedule]) -> Iterator[Fault]:
    for at, guess in enumerate(guesses):
        try:
            space.point(guess)
        except InvalidSpaceError as error:
            yield from (fault.under(f"guesses[{at}]") for fault in error.faults)
        if is_among(guess, guesses[:at]):
            yield Fault(f"guesses[{at}]", "is listed twice", "each guess once", guess.to_dict(), "Leave it out.")


class SamplerSpec(Request):
    """`seed` None: the server draws one and writes it into the resolved spec."""

    name: Literal["tpe", "surrogate", "random", "gp", "cmaes", "qmc", "grid"] = "tpe"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class PrunerSpec(Request):
    name: Literal["none", "median", "hyperband", "phases", "race", "wilcoxon"] = "none"


class BudgetSpec(Request):
    """`trials`: how many the search may spend. `parallel`: how many may run at once.

    The search stops sooner when `max_seconds` have passed since it started, when no further training fits
    `max_steps` optimizer steps, when a trial's value is as good as `target`, or, asked to `stop_when` "converged",
    when a further trial is expected to gain little against the noise of a training. The study is then confirmed.
    """

    trials: Positive
    parallel: Positive = 8
    max_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] | None = None
    max_steps: Positive | None = None
    target: float | None = None
    stop_when: Literal["converged"] | None = None


class ConfirmSpec(Request):
    """Race the `top` most promising schedules and the baseline on fresh seeds, with at most (`top` - 1) `seeds`
    trainings; then measure the answer and what it is compared with on `seeds` further seeds each.
    """

    top: Annotated[int, Field(ge=1, le=100)] = 8
    seeds: Annotated[int, Field(ge=2, le=100)] = 4


class BaselineSpec(Request):
    """What the answer is compared with: the best constant rate, tuned in the search, and schedules of one's own.

    `schedules` are the search's first trials, paid from its budget, and take part in everything.
    """

    constant: bool = True
    schedules: Annotated[list[ScheduleDocument], Field(max_length=20)] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: Any) -> Any:
        """`false` turns the constant off, a list adds schedules."""
        if isinstance(value, bool):
            return {"constant": value}
        return {"schedules": value} if isinstance(value, list) else value


MOST_SOURCES = 20


def _checked_warm_start(value: Any) -> Any:
    """Refused in its own words: pydantic's would name the members of the union."""
    bound, remedy = f'"auto", "off", or a list of at most {MOST_SOURCES} ids', "Leave it out for the default, auto."
    ids = value if isinstance(value, list) else []
    if value not in ("auto", "off") and not (isinstance(value, list) and len(ids) <= MOST_SOURCES):
        raise InvalidStudyError(Fault("", "is no warm start", bound, value, remedy))
    if wrong := [at for at, one in enumerate(ids) if not (isinstance(one, str) and re.match(ID_PATTERN, one))]:
        bound = "ids of studies"
        raise InvalidStudyError([Fault(f"[{at}]", "is no id", bound, ids[at], "Leave it out.") for at in wrong])
    return value


WarmStart = Annotated[Literal["auto", "off"] | list[str], BeforeValidator(_checked_warm_start)]
"""Which finished studies a study learns from before its first trial: those most like it, none, or these."""


class StudySpec(Request):
    """What `POST /v1/studies` takes.

    `warm_start`: at most a quarter of the budget goes first to schedules that did well in finished studies like
    this one and to defaults of the field. "auto" finds the studies, and the resolved spec names them; a list
    takes these, [] the defaults alone; "off" takes neither. `range_test`: how the rate is swept where
    `space.start_lr` is "auto".
    """

    name: Name
    task: TaskReference
    space: SpaceSpec = Field(default_factory=SpaceSpec)
    objective: ObjectiveSpec
    sampler: SamplerSpec = Field(default_factory=SamplerSpec)
    pruner: PrunerSpec = Field(default_factory=PrunerSpec)
    budget: BudgetSpec
    baseline: BaselineSpec = Field(default_factory=BaselineSpec)
    warm_start: WarmStart = "auto"
    confirm: ConfirmSpec | None = Field(default_factory=ConfirmSpec)
    range_test: RangeTestSpec | None = None
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0

    @model_validator(mode="after")
    def _check_range_test(self) -> StudySpec:
        if self.range_test is not None and self.space.start_lr != AUTO:
            bound, remedy = 'null, or space.start_lr "auto"', 'Leave it out, or set space.start_lr to "auto".'
            message = "is given though space.start_lr is a range already"
            raise InvalidStudyError(Fault("range_test", message, bound, "a range test", remedy))
        return self


class Warning_(Response):
    """Something legal but unwise; `code` is for programs, `message` for people."""

    code: str
    field: str | None = None
    message: str


class Progress(Response):
    """`trials` counts trainings by state, each evaluation and the confirmation included; `fraction` is of all planned
    ones.
    """

    trials: dict[str, int]
    planned: int
    finished: int
    fraction: Annotated[float, Field(ge=0, le=1)]
    eta_seconds: float | None


class BestTrial(Response):
    """A trial of the search and its `value` there. `evaluations`: what `value` is the mean of; null where it was
    measured once.
    """

    trial: int
    value: float
    schedule: ScheduleDocument
    evaluations: Evaluations | None = None


class BestSoFar(BestTrial):
    """A study's best trial: its answer's, the race's leader before that, and the search's best before the race.

    `confirmation`: what it came to on fresh seeds. Null until it was measured: its `value` in the search is then all
    that is known, and flattered by luck.
    """

    confirmation: Confirmation | None = None


class StudySummary(Response):
    """A study in a list."""

    study_id: str
    name: str
    state: StudyState
    reason: str | None = None
    progress: Progress
    best: BestSoFar | None
    horizon_steps: int | None
    revision: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Study(StudySummary):
    """A study's document. `range_test`: what its sweeps found, once they have ended; null where none were asked for.
    `data`: what the task made of its data, once a worker has told.
    """

    spec: dict[str, Any]
    warnings: list[Warning_]
    convergence: Convergence | None = None
    range_test: RangeResult | None = None
    data: DataSummary | None = None


class StudyDiagnosis(Response):
    """What is wrong with a study as far as it is. No findings: nothing that could be seen."""

    study_id: str
    state: StudyState
    findings: list[Finding]


class ResolvedStudy(Response):
    """What `?validate_only=true` answers."""

    spec: dict[str, Any]
    warnings: list[Warning_]
