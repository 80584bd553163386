"""The schedule of one family that is nearest to some rates.

First many guesses of the family's own parameters are tried with the levels and the rise that can be read off the
rates, then the best of them are improved with the simplex method: the shape alone, then everything together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lehr.errors import InvalidScheduleError
from lehr.schedules.base import Schedule
from lehr.schedules.parameters import Parameter, parameter_of
from lehr.schedules.shapes import SHAPE_NAMES, SHAPES, ShapeName
from lehr.schedules.simplex import minimize
from lehr.schedules.steps import spaced_steps

COMMON = ("start_lr", "end_lr", "peak_lr", "warmup_fraction", "warmup_shape")
MOMENTA = ("base_momentum", "max_momentum")
EXACT = 1e-18
"""A mean square, relative to the highest rate's, that leaves nothing to improve."""
NEGLIGIBLE = 1e-14
"""A mean square below which a better one says nothing: printed rates have fewer digits."""
NEARLY = 0.97
COARSE = 3
"""How many rates there are to each one that guesses are compared with."""
GUESSES = 4
"""How many guesses are improved."""


@dataclass(frozen=True)
class Observed:
    """Some rates of a curve with their progress, relative to its highest rate, and what can be read off them."""

    progress: Sequence[float]
    heights: Sequence[float]
    highest: float
    rises: Sequence[float]
    """Where the rise may end: the progress of the first highest rate, and of the first that is nearly as high."""
    drops: Sequence[float]
    """The progress of each step whose rate is well below that of the step before."""
    restarts: int
    """How often, after the highest rate, a step's is well above that of the step before."""

    @classmethod
    def of(cls, rates: Sequence[float], points: int) -> Observed:
        """At most so many of the rates, evenly spaced."""
        steps, last, highest = spaced_steps(len(rates), points), len(rates) - 1, max(rates)
        top = max(range(len(rates)), key=rates.__getitem__)
        near = next(step for step, rate in enumerate(rates) if rate >= NEARLY * highest)
        changes = list(itertools.pairwise(rates))
        steepest = max(before / max(after, 1e-300) for before, after in changes)
        drops = [k + 1 for k, (before, after) in enumerate(changes) if before > max(1.05, steepest**0.5) * after]
        return cls(
            progress=[step / last for step in steps],
            heights=[rates[step] / highest for step in steps],
            highest=highest,
            rises=tuple({top / last: 1, near / last: 1}),
            drops=[each / last for each in drops[:100]],
            restarts=sum(after - before > 0.05 * highest for before, after in changes[top:]),
        )

    def error(self, schedule: Schedule, stride: int = 1) -> float:
        """The mean square of the differences, relative to the highest rate's, at every so many of the rates."""
        at, heights = self.progress[::stride], self.heights[::stride]
        pairs = zip(at, heights, strict=True)
        return sum((schedule.lr_at(at) / self.highest - height) ** 2 for at, height in pairs) / len(heights)


Guess = dict[str, Any]
Axis = tuple[str, float, float, bool]
"""A number to improve: its name, its bounds, and whether its logarithm is what is varied."""


def nearest(family: type[Schedule], observed: Observed) -> tuple[Schedule, int] | None:
    """The family's schedule likeliest to have made the rates, and how many parameters it took; None where none fits.

    It has a rise only if that brings it nearer by more than the rise's own parameters would anyway.
    """
    guesses = list(_guesses(family, observed))
    variants = [[guess for guess in guesses if (guess["warmup_fraction"] > 0) == rises] for rises in (False, True)]
    found = [_nearest(family, observed, variant) for variant in variants]
    points = len(observed.heights)
    best = min(
        (each for each in found if each is not None), key=lambda each: score(each[0], each[2], points), default=None
    )
    return None if best is None else (_schedule(family, observed, best[1]), best[2])


def score(mean_square: float, parameters: int, points: int) -> float:
    """The Bayesian information criterion of an error, up to a constant: lower is likelier."""
    return points * math.log(max(mean_square, NEGLIGIBLE)) + parameters * math.log(points)


def _nearest(family: type[Schedule], observed: Observed, guesses: Sequence[Guess]) -> tuple[float, Guess, int] | None:
    """The best guess after improving the promising ones, its error, and how many parameters it has."""
    tried = _promising(family, observed, guesses)
    if not tried:
        return None
    shape, levels = _axes(family, tried[0][1])
    if tried[0][0] > EXACT:
        tried = sorted((_improve(family, observed, guess, shape) for _, guess in tried), key=_first)
    for axes in ([*levels, *shape], [*shape, *levels]):
        if tried[0][0] > EXACT:
            tried[0] = min(tried[0], _improve(family, observed, tried[0][1], axes), key=_first)
    error, guess = tried[0]
    own = [each for each in fields(family) if each.name not in (*COMMON, *MOMENTA)]
    discrete = sum(_count(guess.get(each.name)) for each in own if parameter_of(each).kind != "float")
    return error, guess, len(shape) + len(levels) + discrete


def _count(value: object) -> int:
    """How many parameters a choice, a count or a list is."""
    return len(value) if isinstance(value, tuple) else 1


def _promising(family: type[Schedule], observed: Observed, guesses: Sequence[Guess]) -> list[tuple[float, Guess]]:
    """The best guesses, each the best of its choices and counts, after their errors; none where nothing fits."""
    stride = COARSE if len(observed.heights) > 10 * COARSE else 1
    best: dict[tuple[Any, ...], tuple[float, Guess]] = {}
    for guess in guesses:
        kind = tuple(value for value in guess.values() if isinstance(value, str | int))
        error = _error(family, observed, guess, stride)
        if error < best.get(kind, (math.inf, guess))[0]:
            best[kind] = error, guess
    chosen = [guess for _, guess in sorted(best.values(), key=_first)[:GUESSES]]
    return sorted(((_error(family, observed, guess), guess) for guess in chosen), key=_first)


def _first(tried: tuple[float, Guess]) -> float:
    return tried[0]


def _guesses(family: type[Schedule], observed: Observed) -> Iterator[Guess]:
    """Guesses: every combination of a rise and coarse values of the family's own parameters."""
    own = {each.name: parameter_of(each) for each in fields(family) if each.name not in (*COMMON, *MOMENTA)}
    grids = {name: _grid(name, parameter, observed) for name, parameter in own.items()}
    if "cycle_growth" in grids:  # its restarts can be seen, but those that the end hides
        grids["cycles"] = [observed.restarts + more for more in (1, 2, 3)]
        grids["cycle_growth"] = [1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0]
    if "timescale" in grids:
        grids["timescale"] = [None, *grids["timescale"]]
    if "curve_shape" in grids:  # the polynomial alone has the power
        grids["power"] = [1.0]
    for rise in _rises(family, observed):
        for values in itertools.product(*grids.values()):
            guess = {**rise, **dict(zip(grids, values, strict=True))}
            guess |= {"curve_top": 1.0, "curve_end": observed.heights[-1]}
            yield guess


def _rises(family: type[Schedule], observed: Observed) -> Iterator[Guess]:
    """How the curve may begin: at its top, or by a rise of the likeliest shape."""
    first = observed.heights[0]
    declared = {each.name: each for each in fields(family)}
    if not family.climbs:
        yield {"warmup_fraction": 0.0, "curve_start": first}
    for rise in observed.rises:
        if 0 < rise < 1 and first < 1:
            for shape in _rise_shapes(observed, rise):
                yield {"warmup_fraction": rise, "curve_start": first, "warmup_shape": shape}
    if family.climbs and "cycles" in declared:
        for shape in SHAPE_NAMES if first > 0 else SHAPE_NAMES[:2]:
            yield {"warmup_fraction": 0.0, "curve_start": first, "warmup_shape": shape}


def _rise_shapes(observed: Observed, rise: float) -> list[ShapeName]:
    """The two shapes nearest to the rates before the end of the rise."""
    first = max(observed.heights[0], 1e-12)

    def error(name: ShapeName) -> float:
        pairs = zip(observed.progress, observed.heights, strict=True)
        return sum((SHAPES[name](first, 1.0, at / rise) - height) ** 2 for at, height in pairs if at < rise)

    return sorted(SHAPE_NAMES if observed.heights[0] > 0 else SHAPE_NAMES[:2], key=error)[:2]


def _grid(name: str, parameter: Parameter, observed: Observed) -> list[Any]:
    """Coarse values of one of the family's own parameters."""
    if parameter.kind == "choice":
        return list(parameter.choices)
    if parameter.kind == "floats":
        return [tuple(observed.drops)]
    if parameter.kind == "int":
        return list(range(int(parameter.low), 13))
    if name.endswith("_fraction"):
        return [0.05, 0.15, 0.3, 0.5, 0.7, 0.9] if parameter.open_low else [0.0, 0.15, 0.3, 0.5, 0.7, 0.9]
    low, high = parameter.search or (0.01, 10.0)
    if parameter.log or parameter.search is None:
        return [low * (high / low) ** (k / 4) for k in range(5)]
    return [low + (high - low) * k / 4 for k in range(5)]


def _axes(family: type[Schedule], guess: Guess) -> tuple[list[Axis], list[Axis]]:
    """The numbers that shape the curve, and those that are its levels."""
    shape: list[Axis] = []
    for each in fields(family):
        parameter, value = parameter_of(each), guess.get(each.name)
        if each.name == "warmup_fraction":
            shape += [("warmup_fraction", 1e-4, 0.9999, False)] if guess["warmup_fraction"] > 0 else []
        elif parameter.kind == "float" and each.name not in (*COMMON, *MOMENTA) and isinstance(value, float):
            log = parameter.log or each.name == "timescale"
            low, high = max(parameter.low, 1e-9 if log or parameter.open_low else parameter.low), parameter.high
            shape.append((each.name, low, math.nextafter(high, 0) if parameter.open_high else high, log))
    levels: list[Axis] = [("curve_top", 0.1, 10.0, True)]
    if guess["warmup_fraction"] > 0 or family.climbs:
        levels.append(("curve_start", 0.0, 1.0, False))
    if family.decays and guess["curve_end"] > 0:
        levels.append(("curve_end", 1e-12, 1.0, True))
    return shape, levels


def _improve(family: type[Schedule], observed: Observed, guess: Guess, axes: Sequence[Axis]) -> tuple[float, Guess]:
    """The best guess that the simplex method finds on these axes, after its error."""
    moved = [axis for axis in axes if guess.get(axis[0]) is not None]
    if not moved:
        return _error(family, observed, guess), guess

    def at(point: Sequence[float]) -> Guess:
        values = {axis[0]: _within(value, axis) for axis, value in zip(moved, point, strict=True)}
        return {**guess, **values}

    start = [math.log(max(guess[name], low)) if log else guess[name] for name, low, _, log in moved]
    scales = [0.2 if log else _scale(guess[name], low, high) for name, low, high, log in moved]
    error: Callable[[Sequence[float]], float] = lambda point: _error(family, observed, at(point))  # noqa: E731
    point, value = minimize(error, start, scales, evaluations=80 * len(moved), enough=EXACT)
    return value, at(point)


def _scale(value: float, low: float, high: float) -> float:
    """A first step: a twentieth of the bounds, inwards."""
    step = min(high - low, 10.0) / 20
    return step if value + step <= high else -step


def _within(value: float, axis: Axis) -> float:
    _, low, high, log = axis
    return min(max(math.exp(min(value, 700.0)) if log else value, low), high)


def _error(family: type[Schedule], observed: Observed, guess: Mapping[str, Any], stride: int = 1) -> float:
    try:
        return observed.error(_schedule(family, observed, guess), stride)
    except InvalidScheduleError:
        return math.inf


def _schedule(family: type[Schedule], observed: Observed, guess: Mapping[str, Any]) -> Schedule:
    """The schedule of a guess, whose levels are relative to the highest rate."""
    own = {name: value for name, value in guess.items() if not name.startswith("curve_") or name == "curve_shape"}
    top = guess["curve_top"] * observed.highest
    rises = guess["warmup_fraction"] > 0 or family.climbs
    start = min(guess["curve_start"] * observed.highest, top) if rises else top
    end = min(guess["curve_end"] * observed.highest, top) if family.decays else top
    return family(start_lr=start, end_lr=end, peak_lr=top if rises else None, **own)
