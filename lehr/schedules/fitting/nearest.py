"""Finds the schedule of a family that is nearest to given rates.

It first tries many guesses of the family's own parameters, with the levels and the rise that `Observed` reads off the
rates. It improves the best guess for each combination of choices and counts a little with the simplex method, and the
best of these further: first the shape alone, then levels and shape together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from lehr.errors import InvalidScheduleError
from lehr.schedules.base import Schedule
from lehr.schedules.fitting.observed import Observed, cycles
from lehr.schedules.fitting.simplex import minimize
from lehr.schedules.interpolation import SHAPE_NAMES, SHAPES, ShapeName
from lehr.schedules.parameters import Parameter, parameter_of

COMMON = ("start_lr", "end_lr", "peak_lr", "warmup_fraction", "warmup_shape")
MOMENTA = ("base_momentum", "max_momentum")
EXACT = 1e-18
"""A mean square error, relative to the square of the highest rate, that needs no improvement."""
NEGLIGIBLE = 1e-14
"""A mean square error below which differences mean nothing: printed rates have fewer digits."""
COARSE = 3
"""Guesses are compared with every third rate."""
KINDS = 16
"""Number of combinations of choices and counts that are improved a little."""
HIGHEST = 1000.0
"""Upper bound of a curve's top, relative to the highest rate."""
GUESSES = 4
"""Number of these that are improved further."""
LITTLE, FURTHER = 25, 80
"""Evaluations for each parameter that is improved."""


Guess = dict[str, Any]
Tried = tuple[float, Guess]
"""The error of a guess, and the guess."""
Axis = tuple[str, float, float, bool]
"""A parameter to improve: its name, its bounds, and whether its logarithm is varied."""


def nearest(family: type[Schedule], observed: Observed) -> tuple[Schedule, int] | None:
    """The family's likeliest schedule for the rates, and its number of parameters; None if none fits.

    It has a rise only if that improves the fit by more than the rise's additional parameters would in any case.
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
    """The error of the best guess after improving the promising ones, the guess, and its number of parameters."""
    tried = _promising(family, observed, guesses)
    if not tried:
        return None
    if tried[0][0] > EXACT:
        for kept, parts in ((GUESSES, ("shape",)), (2, ("levels", "shape")), (1, ("shape", "levels"))):
            improved = [_improve(family, observed, each, parts, effort=FURTHER) for each in tried[:kept]]
            tried = sorted(improved, key=_first)
        tried[0] = _rounded(family, observed, tried[0])
    error, guess = tried[0]
    own = [each for each in fields(family) if each.name not in (*COMMON, *MOMENTA)]
    discrete = sum(_count(guess.get(each.name)) for each in own if parameter_of(each).kind != "float")
    return error, guess, sum(map(len, _axes(family, guess).values())) + discrete


def _count(value: object) -> int:
    """Number of parameters that a choice, a count or a list counts as."""
    return len(value) if isinstance(value, tuple) else 1


def _promising(family: type[Schedule], observed: Observed, guesses: Sequence[Guess]) -> list[Tried]:
    """The best guesses with their errors, each the best for its choices and counts; empty if nothing fits."""
    stride = COARSE if len(observed.heights) > 10 * COARSE else 1
    best: dict[tuple[Any, ...], Tried] = {}
    for guess in guesses:
        kind = tuple(value for value in guess.values() if isinstance(value, str | int))
        error = _error(family, observed, guess, stride)
        if error < best.get(kind, (math.inf, guess))[0]:
            best[kind] = error, guess
    kinds = sorted(best.values(), key=_first)[:KINDS]
    if len(kinds) > GUESSES and kinds[0][0] > EXACT:
        improved = (
            _improve(family, observed, each, ("shape", "levels"), effort=LITTLE, stride=stride) for each in kinds
        )
        kinds = sorted(improved, key=_first)[:GUESSES]
    return sorted(((_error(family, observed, guess), guess) for _, guess in kinds), key=_first)


def _first(tried: Tried) -> float:
    return tried[0]


def _guesses(family: type[Schedule], observed: Observed) -> Iterator[Guess]:
    """Yields every combination of a rise and coarse values of the family's own parameters."""
    own = {each.name: parameter_of(each) for each in fields(family) if each.name not in (*COMMON, *MOMENTA)}
    grids = {name: _grid(name, parameter, observed) for name, parameter in own.items()}
    restarts = "cycle_growth" in grids
    if restarts:
        grids = {}
    if "timescale" in grids:
        grids["timescale"] = [None, *grids["timescale"]]
    if "curve_shape" in grids:  # only the polynomial shape uses the power
        grids["power"] = [1.0]
    for rise in _rises(family, observed):
        combined = [dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())]
        for values in cycles(observed, rise["warmup_fraction"]) if restarts else combined:
            guess = {**rise, **values, "curve_end": observed.heights[-1]}
            yield {**guess, "curve_top": _top(observed, guess)}


def _top(observed: Observed, guess: Mapping[str, Any]) -> float:
    """The top of a curve whose highest rate is 1. It is above 1 if the swing shrinks from the first step on."""
    if "swing_decay" not in guess:
        return 1.0
    crest = guess["warmup_fraction"] or 1 / (2 * guess["cycles"])
    end, height = observed.heights[-1], observed.height(crest)
    top = end + (height - end) / float(guess["swing_decay"] ** crest)
    return min(max(top, 1 / HIGHEST), HIGHEST)


def _rises(family: type[Schedule], observed: Observed) -> Iterator[Guess]:
    """Yields possible beginnings of the curve: at its top, or with a rise of the likeliest shapes."""
    first = observed.heights[0]
    declared = {each.name: each for each in fields(family)}
    if not family.climbs:
        yield {"warmup_fraction": 0.0, "curve_start": first}
    if 0 < observed.held < 1:
        yield {"warmup_fraction": observed.held, "curve_start": 1.0, "warmup_shape": "linear"}
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
        return [*([] if parameter.open_low else [0.0]), 0.05, 0.15, 0.3, 0.5, 0.7, 0.9]
    low, high = parameter.search or (0.01, 10.0)
    if parameter.log or parameter.search is None:
        return [low * (high / low) ** (k / 4) for k in range(5)]
    return [low + (high - low) * k / 4 for k in range(5)]


def _axes(family: type[Schedule], guess: Guess) -> dict[str, list[Axis]]:
    """The parameters to improve: those of the curve's shape, and its levels."""
    shape: list[Axis] = []
    for each in fields(family):
        parameter, value = parameter_of(each), guess.get(each.name)
        if each.name == "warmup_fraction":
            shape += [("warmup_fraction", 1e-4, 0.9999, False)] if guess["warmup_fraction"] > 0 else []
        elif parameter.kind == "float" and each.name not in (*COMMON, *MOMENTA) and isinstance(value, float):
            log = parameter.log or each.name == "timescale"
            low, high = max(parameter.low, 1e-9 if log or parameter.open_low else parameter.low), parameter.high
            shape.append((each.name, low, math.nextafter(high, 0) if parameter.open_high else high, log))
    levels: list[Axis] = [("curve_top", 1 / HIGHEST, HIGHEST, True)]
    if guess["warmup_fraction"] > 0 or family.climbs:
        levels.append(("curve_start", 0.0, 1.0, False))
    if family.decays and guess["curve_end"] > 0:
        levels.append(("curve_end", 1e-12, 1.0, True))
    return {"shape": shape, "levels": levels}


def _improve(
    family: type[Schedule], observed: Observed, tried: Tried, parts: Sequence[str], *, effort: int, stride: int = 1
) -> Tried:
    """The best guess that the simplex method finds on these axes, with its error."""
    known, guess = tried
    axes = _axes(family, guess)
    moved = [axis for part in parts for axis in axes[part]]
    if not moved or known <= EXACT:
        return tried

    def at(point: Sequence[float]) -> Guess:
        values = {axis[0]: _within(value, axis) for axis, value in zip(moved, point, strict=True)}
        return {**guess, **values}

    start = [math.log(max(guess[name], low)) if log else guess[name] for name, low, _, log in moved]
    scales = [_scale(guess[axis[0]], axis) for axis in moved]
    error: Callable[[Sequence[float]], float] = lambda point: _error(family, observed, at(point), stride)  # noqa: E731
    point, value = minimize(error, start, scales, evaluations=effort * len(moved), enough=EXACT)
    return min((value, at(point)), tried, key=_first)


def _rounded(family: type[Schedule], observed: Observed, tried: Tried) -> Tried:
    """The guess, rounded to few digits or to whole steps wherever that improves the fit.

    People choose such numbers, and a rounding error must not delay a jump by a step.
    """
    for each in _axes(family, tried[1])["shape"]:
        value, last = tried[1][each[0]], observed.steps - 1
        for nicer in (*(float(f"{value:.{digits}g}") for digits in (2, 3, 4)), round(value * last) / last):
            guess = {**tried[1], each[0]: _within(math.log(nicer) if each[3] and nicer > 0 else nicer, each)}
            tried = min((_error(family, observed, guess), guess), tried, key=_first)
    return tried


def _scale(value: float, axis: Axis) -> float:
    """The initial step, inwards: 0.2 of the logarithm, or a twentieth of the range."""
    _, low, high, log = axis
    step = 0.2 if log else min(high - low, 10.0) / 20
    return step if (value * math.exp(step) if log else value + step) <= high else -step


def _within(value: float, axis: Axis) -> float:
    _, low, high, log = axis
    return min(max(math.exp(min(value, 700.0)) if log else value, low), high)


def _error(family: type[Schedule], observed: Observed, guess: Mapping[str, Any], stride: int = 1) -> float:
    try:
        return observed.error(_schedule(family, observed, guess), stride)
    except InvalidScheduleError:
        return math.inf


def _schedule(family: type[Schedule], observed: Observed, guess: Mapping[str, Any]) -> Schedule:
    """The schedule of a guess. The guess has levels relative to the highest rate."""
    own = {name: value for name, value in guess.items() if not name.startswith("curve_") or name == "curve_shape"}
    top = guess["curve_top"] * observed.highest
    rises = guess["warmup_fraction"] > 0 or family.climbs
    start = min(guess["curve_start"] * observed.highest, top) if rises else top
    end = min(guess["curve_end"] * observed.highest, top) if family.decays else top
    return family(start_lr=start, end_lr=end, peak_lr=top if rises else None, **own)
