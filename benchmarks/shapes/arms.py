"""The searches compared on real trainings: samplers, spaces, and ways to alternate between shape and rate."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.pruning.bank import FAMILIES
from lehr.errors import InvalidSpaceError
from lehr.schedules import FAMILIES as KINDS
from lehr.schedules import Schedule
from lehr.space import Range, Space
from lehr.space.ranges import log_point
from service.search.observations import Observation, Point
from service.search.searcher import Searcher
from service.search.sequence import random_point

RATES, ENDS = Range(1e-3, 1.0), Range(1e-5, 1e-1)
BLOCK = 6
"""So many trials of a search in turns go to the rates before the shape has its turn, and so on."""
RATES_EACH = 5
"""Where shapes are compared at their best rate, each is trained at so many."""


class Search(Protocol):
    """One search: asked for a schedule, told its loss; None where it diverged."""

    def ask(self, number: int) -> Schedule: ...

    def tell(self, number: int, loss: float | None) -> None: ...


def space(families: Sequence[str] = FAMILIES) -> Space:
    return Space.of(families=families, start_lr=RATES, end_lr=ENDS)


class Sampled:
    """The server's own searcher."""

    def __init__(self, searched: Space, sampler: str, seed: int, trials: int) -> None:
        self._searcher = Searcher(searched, "minimize", sampler, seed, trials_budget=trials)
        self._asked: dict[int, Observation] = {}

    def ask(self, number: int) -> Schedule:
        found = self._searcher.ask(number)
        self._asked[number] = Observation(number, found.schedule.family, found.point, "RUNNING", None)
        return found.schedule

    def tell(self, number: int, loss: float | None) -> None:
        asked = self._asked.pop(number)
        self._searcher.tell(_ended(number, asked.family, asked.point, loss))


def _ended(number: int, family: str, point: Point | None, loss: float | None) -> Observation:
    return Observation(number, family, point, "DIVERGED" if loss is None else "COMPLETED", loss)


class _Absolute(Space):
    """The end rate drawn by itself, whatever the peak; above the peak it is the peak."""

    def _end(self, family: str, values: Mapping[str, float], top: float) -> float:
        if not KINDS[family].decays:
            return top
        return min(log_point(self.end_lr.low, self.end_lr.high, values["end_position"]), top)


class _Ratio(Space):
    """The end rate drawn as a part of the peak, between a ten-thousandth and all of it."""

    def _end(self, family: str, values: Mapping[str, float], top: float) -> float:
        position = values["end_position"] if KINDS[family].decays else 1.0
        fallen: float = 10.0 ** (-4 * (1 - position))
        return min(top, max(ENDS.low, top * fallen))


def _as(kind: type[Space]) -> Space:
    plain = space()
    return kind(**{name: getattr(plain, name) for name in plain.__dataclass_fields__})


class _AtRate(Space):
    """All shapes at one highest rate."""

    def top_lr(self, family: str) -> Range:
        top: float = self.__dict__["_top"]
        return Range(top, top)


@dataclass
class InTurns:
    """Shape and rate in turns, by TPE: the rates of the best shape so far, then the shapes at the best rate so far.

    It starts as the plain search does, by its start-up.
    """

    seed: int
    trials: int
    _told: dict[int, tuple[Schedule, float | None]] = field(default_factory=dict)
    _asked: dict[int, Schedule] = field(default_factory=dict)

    def ask(self, number: int) -> Schedule:
        start = self.trials // 3
        if number < start:
            searched = space()
        elif (number - start) // BLOCK % 2 == 0:
            searched = _rates_of(self._best())
        else:
            searched = _shapes_at(self._best().max_lr)
        searcher = Searcher(searched, "minimize", "tpe", self.seed, trials_budget=self.trials)
        for known, (schedule, loss) in self._told.items():
            if (point := _inside(searched, schedule)) is not None:
                searcher.tell(_ended(known, schedule.family, point, loss))
        self._asked[number] = searcher.ask(number).schedule
        return self._asked[number]

    def tell(self, number: int, loss: float | None) -> None:
        self._told[number] = self._asked.pop(number), loss

    def _best(self) -> Schedule:
        ended = [(loss, number) for number, (_, loss) in self._told.items() if loss is not None]
        return self._told[min(ended)[1]][0]


def _rates_of(schedule: Schedule) -> Space:
    """The highest and the last rate are free, all else is the schedule's."""
    family = schedule.family
    own = {name: [getattr(schedule, name)] for name in space([family]).own_values(family)}
    return Space.of(families=[family], start_lr=RATES, end_lr=ENDS, parameters={family: own} if own else {})


def _shapes_at(top: float) -> Space:
    plain = space()
    found = _AtRate(**{name: getattr(plain, name) for name in plain.__dataclass_fields__})
    object.__setattr__(found, "_top", top)
    return found


def _inside(searched: Space, schedule: Schedule) -> Point | None:
    """The schedule's point; where shapes are searched at one rate, that of its shape at that rate."""
    try:
        return searched.nearest(schedule) if isinstance(searched, _AtRate) else searched.point(schedule)
    except InvalidSpaceError:
        return None


@dataclass
class ShapeFirst:
    """Shapes at random, each at several rates, so that shapes are compared at their best one (arXiv 2603.10301)."""

    seed: int

    def ask(self, number: int) -> Schedule:
        shape, rate = divmod(number, RATES_EACH)
        generator = random.Random(f"{self.seed}:{shape}")
        order = random.Random(self.seed).sample(FAMILIES, len(FAMILIES))
        family = order[shape % len(FAMILIES)]
        searched = space()
        point = random_point(searched.coordinates(family), generator.randrange(2**31))
        name = "peak_lr" if searched.rises(family) else "start_lr"
        shift = generator.random()
        return searched.schedule(family, {**point, name: log_point(RATES.low, RATES.high, (rate + shift) / RATES_EACH)})

    def tell(self, number: int, loss: float | None) -> None:
        pass


@dataclass(frozen=True)
class Arm:
    name: str
    begin: Callable[[int, int], Search]
    """A search with a seed and a number of trials."""
    at_once: int = 1


def _sampled(name: str, sampler: str, searched: Callable[[], Space] = space, at_once: int = 1) -> Arm:
    return Arm(name, lambda seed, trials: Sampled(searched(), sampler, seed, trials), at_once)


SHAPE_ARMS = (
    *(_sampled(f"12 families, {sampler}", sampler) for sampler in ("random", "qmc", "tpe", "gp", "cmaes", "surrogate")),
    *(
        _sampled(f"`power`, {sampler}", sampler, lambda: space(["power"]))
        for sampler in ("tpe", "gp", "cmaes", "surrogate")
    ),
    Arm("shape and rate in turns, tpe", InTurns),
    Arm("random shapes, each at five rates", lambda seed, trials: ShapeFirst(seed)),
    _sampled("end rate absolute, tpe", "tpe", lambda: _as(_Absolute)),
    _sampled("end rate as a part of the peak, tpe", "tpe", lambda: _as(_Ratio)),
)
BATCH_ARMS = (
    _sampled("random", "random"),
    *(
        _sampled(f"{sampler}, {count} at a time", sampler, at_once=count)
        for sampler in ("tpe", "surrogate")
        for count in (1, 8, 64)
    ),
)
