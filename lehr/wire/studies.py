"""Models of studies: the spec that users submit, and the study's state, progress and best trial."""

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
from lehr.wire.base import ID_PATTERN, Name, Positive, Request, Response, ScheduleDocument, Warning_
from lehr.wire.convergence import Convergence
from lehr.wire.data import DataSummary
from lehr.wire.diagnosis import Finding
from lehr.wire.objectives import Confirmation, Evaluations, ObjectiveSpec
from lehr.wire.objectives import Direction as Direction  # noqa: PLC0414 - studies is where others look for it
from lehr.wire.ranges import AUTO, AutoRange, RangeResult, RangeSpec, RangeTestSpec
from lehr.wire.search_methods import PrunerName, SamplerName
from lehr.wire.tasks import TaskReference

StudyState = Literal["QUEUED", "RUNNING", "PAUSED", "STOPPING", "CONFIRMING", "COMPLETED", "CANCELLED", "FAILED"]
FINISHED_STUDY_STATES: tuple[StudyState, ...] = ("COMPLETED", "CANCELLED", "FAILED")

MAX_SECONDS = 10 * 366 * 86_400.0
"""The largest `max_seconds` of a search: ten years."""


ANYWHERE = Range(1e-30, 1e6)
"""A placeholder for bounds that a range test has yet to find; no other range conflicts with it."""


class SpaceSpec(Request):
    """The space of schedules to search. `families`: null for all searchable families.

    Rates are sampled on a log scale. `start_lr` "auto": the study first runs a range test, which sets the range.
    `warmup_fraction` is sampled uniformly; without it, only families with a built-in warmup have one. `parameters`
    narrows the parameters of a family: `{"polynomial": {"power": {"low": 1, "high": 2}}}` or
    `{"wsd": {"cooldown": ["linear"]}}`. `guesses`: schedules within the space to try first; they count against the
    budget.
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
        """The search space. `start_lr`: replaces "auto"; by default, any rate that a range test may find.

        Raises InvalidSpaceError with a fault for each invalid field.
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
            yield Fault(f"guesses[{at}]", "is a duplicate", "each guess once", guess.to_dict(), "Remove it.")


class SamplerSpec(Request):
    """The search algorithm. `seed`: if null, the server draws one and adds it to the resolved spec."""

    name: SamplerName = "tpe"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class PrunerSpec(Request):
    """The rule that stops unpromising trials early."""

    name: PrunerName = "none"


class BudgetSpec(Request):
    """Limits of the search. `trials`: the number of search trials. `parallel`: how many may run concurrently.

    The search stops early after `max_seconds`, when no further training fits in `max_steps` optimizer steps, when a
    trial's value is at least as good as `target`, or, with `stop_when` "converged", when the expected improvement from
    one more trial is small against the noise of a training. The study then goes on to confirmation.
    """

    trials: Positive
    parallel: Positive = 8
    max_seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] | None = None
    max_steps: Positive | None = None
    target: float | None = None
    stop_when: Literal["converged"] | None = None


class ConfirmSpec(Request):
    """Confirmation: a race of the `top` most promising schedules and the baseline on fresh seeds, with at most
    (`top` - 1) * `seeds` trainings; then the winner and the schedules it is compared with are measured on `seeds` more
    seeds each.
    """

    top: Annotated[int, Field(ge=1, le=100)] = 8
    seeds: Annotated[int, Field(ge=2, le=100)] = 4


class BaselineSpec(Request):
    """What the answer is compared with: the best constant rate, tuned in the search, and schedules given by the user.

    `schedules` are the first trials of the search and count against its budget.
    """

    constant: bool = True
    schedules: Annotated[list[ScheduleDocument], Field(max_length=20)] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: Any) -> Any:
        """Read `false` as no constant rate, and a list as `schedules`."""
        if isinstance(value, bool):
            return {"constant": value}
        return {"schedules": value} if isinstance(value, list) else value


MOST_SOURCES = 20


def _checked_warm_start(value: Any) -> Any:
    """Check `warm_start` with one clear error, where pydantic would list an error for each member of the union."""
    bound, remedy = f'"auto", "off", or a list of at most {MOST_SOURCES} ids', 'Omit it for the default, "auto".'
    ids = value if isinstance(value, list) else []
    if value not in ("auto", "off") and not (isinstance(value, list) and len(ids) <= MOST_SOURCES):
        raise InvalidStudyError(Fault("", "is not a valid warm start", bound, value, remedy))
    if wrong := [at for at, item in enumerate(ids) if not (isinstance(item, str) and re.match(ID_PATTERN, item))]:
        bound = "ids of studies"
        raise InvalidStudyError([Fault(f"[{at}]", "is not a study id", bound, ids[at], "Remove it.") for at in wrong])
    return value


WarmStart = Annotated[Literal["auto", "off"] | list[str], BeforeValidator(_checked_warm_start)]
"""The finished studies that a study starts from: the most similar ones, none, or the listed ones."""


class StudySpec(Request):
    """The spec of a study, the body of `POST /v1/studies`.

    `warm_start`: up to a quarter of the budget goes first to schedules that did well in similar finished studies and to
    common defaults. "auto" finds similar studies and lists them in the resolved spec; a list of ids selects them; []
    uses only the common defaults; "off" uses neither. `range_test`: the sweeps that are run if `space.start_lr` is
    "auto".
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
            bound, remedy = 'null, or space.start_lr "auto"', 'Remove it, or set space.start_lr to "auto".'
            message = 'requires space.start_lr to be "auto"'
            raise InvalidStudyError(Fault("range_test", message, bound, "a range test", remedy))
        return self


class Progress(Response):
    """A study's progress. `trials`: the number of trainings by state, including evaluations and confirmation.
    `fraction`: the share of planned trainings that have finished.
    """

    trials: dict[str, int]
    planned: int
    finished: int
    fraction: Annotated[float, Field(ge=0, le=1)]
    eta_seconds: float | None


class BestTrial(Response):
    """A search trial and its `value`. `evaluations`: the trainings that `value` is the mean of; null if there was only
    one.
    """

    trial: int
    value: float
    schedule: ScheduleDocument
    evaluations: Evaluations | None = None


class BestSoFar(BestTrial):
    """A study's best trial: the answer's; before that, the race's leader; before the race, the search's best.

    `confirmation`: its result on fresh seeds; null until it was measured there. Its `value` in the search is
    optimistic, since it was selected for it.
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
    """A study. `range_test`: the result of its sweeps; null until they have ended, or if there are none. `data`: a
    summary of the task's data; null until a worker has sent it.
    """

    spec: dict[str, Any]
    warnings: list[Warning_]
    convergence: Convergence | None = None
    range_test: RangeResult | None = None
    data: DataSummary | None = None


class StudyDiagnosis(Response):
    """The problems found in a study so far; no findings if none were detected. `warnings`: the checks that failed."""

    study_id: str
    state: StudyState
    findings: list[Finding]
    warnings: list[Warning_] = Field(default_factory=list)


class ResolvedStudy(Response):
    """The response to `?validate_only=true`."""

    spec: dict[str, Any]
    warnings: list[Warning_]
