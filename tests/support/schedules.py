"""Hypothesis strategies that draw valid schedules of any registered family from its declarations."""

from __future__ import annotations

import math
import struct
import sys
from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from lehr.schedules import COMPOSITIONS, FAMILIES, Clipped, Joined, Scaled, Schedule, Stretched
from lehr.schedules.parameters import MAX_NAME_CHARACTERS, NAME_PATTERN, Parameter, parameter_of

CLOSED_FORM = [name for name, family in FAMILIES.items() if not family.adaptive]
COMMON = {field.name for field in fields(Schedule)}
RATES = st.one_of(
    st.floats(-6, 1).map(lambda exponent: 10.0**exponent),
    st.floats(-300, 300).map(lambda exponent: 10.0**exponent),
)


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Any value that the parameter allows; counts up to 20, numbers without an upper bound up to 0.5."""
    if parameter.kind == "choice":
        return st.sampled_from(parameter.choices)
    if parameter.kind == "name":
        return st.from_regex(NAME_PATTERN, fullmatch=True).filter(lambda name: len(name) <= MAX_NAME_CHARACTERS)
    if parameter.kind == "int":
        return st.integers(int(parameter.low), int(min(parameter.high, parameter.low + 20)))
    high = parameter.high if math.isfinite(parameter.high) else 0.5
    return st.floats(
        parameter.low,
        high,
        exclude_min=parameter.open_low,
        exclude_max=parameter.open_high and math.isfinite(parameter.high),
        width=32 if float32(parameter.low) == parameter.low and float32(high) == high else 64,
    )


def float32(value: float) -> float:
    """The float of half the digits nearest to a value."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def lists(parameter: Parameter, size: int) -> st.SearchStrategy[list[float]]:
    """Lists of a size that the parameter allows; without an upper bound, of rates."""
    if not parameter.increases:
        return st.lists(values(parameter) if math.isfinite(parameter.high) else RATES, min_size=size, max_size=size)
    return st.lists(values(parameter), min_size=size, max_size=size, unique=True).map(sorted)


@st.composite
def schedules(draw: st.DrawFn, family: str) -> Schedule:
    """A schedule of the family, with or without a warm-up, its rates anywhere from 1e-300 to 1e300."""
    cls = FAMILIES[family]
    declared = {field.name: field for field in fields(cls)}
    own: dict[str, Any] = {}
    size = draw(st.integers(1, 6), label="length of every list")
    for name in sorted(declared.keys() - COMMON - {"base_momentum", "max_momentum"}):
        parameter = parameter_of(declared[name])
        drawn = lists(parameter, size) if parameter.kind == "floats" else values(parameter)
        own[name] = draw(st.none() | drawn if declared[name].default is None else drawn, label=name)
    warmup = draw(
        st.one_of(st.just(declared["warmup_fraction"].default), st.floats(0.001, 0.99)), label="warmup_fraction"
    )
    if not all(cls.fits_after_rise(name, value, warmup) for name, value in own.items()):
        warmup = declared["warmup_fraction"].default
    low, middle, top = sorted(draw(st.tuples(RATES, RATES, RATES), label="rates"))
    start, end = draw(st.permutations([low, middle]), label="start and end")
    rises = cls.climbs or warmup > 0
    if not rises:
        start, end = middle, low
    if not cls.decays:
        end = top if rises else start
    if cls.cycles_momentum and draw(st.booleans(), label="cycles momentum"):
        own["base_momentum"], own["max_momentum"] = sorted(draw(st.tuples(st.floats(0.1, 0.99), st.floats(0.1, 0.99))))
    return cls(
        start_lr=start,
        end_lr=end,
        peak_lr=top if rises else None,
        warmup_fraction=warmup,
        warmup_shape=draw(st.sampled_from(["linear", "cosine", "exponential"]), label="warmup_shape"),
        **own,
    )


@st.composite
def moderate(draw: st.DrawFn, family: str) -> Schedule:
    """A schedule of the family with rates and parameters such as people use: those that a search draws."""
    cls = FAMILIES[family]
    own: dict[str, Any] = {}
    size = draw(st.integers(1, 6), label="length of every list")
    for each in fields(cls):
        parameter = parameter_of(each)
        if each.name in COMMON - {"warmup_fraction"}:
            continue
        if parameter.kind == "floats" and parameter.search is None:
            own[each.name] = draw(
                places(size) if parameter.increases else st.lists(usual_rates(), min_size=size, max_size=size)
            )
        elif parameter.search is not None and parameter.kind in ("float", "int"):
            numbers = st.floats if parameter.kind == "float" else st.integers
            own[each.name] = draw(numbers(*parameter.search), label=each.name)
        elif parameter.search is not None:
            own[each.name] = draw(st.sampled_from(parameter.search), label=each.name)
        elif parameter.kind == "choice":
            own[each.name] = draw(st.sampled_from(parameter.choices), label=each.name)
    low, middle, top = sorted(draw(st.tuples(usual_rates(), usual_rates(), usual_rates()), label="rates"))
    rises = cls.climbs or draw(st.booleans(), label="warms up")
    if rises and not cls.climbs:
        own["warmup_fraction"] = draw(st.floats(0.01, 0.2))
        rises = all(cls.fits_after_rise(name, value, 0.2) for name, value in own.items())
        own["warmup_fraction"] *= rises
    end = low if cls.decays else (top if rises else middle)
    shape = draw(st.sampled_from(["linear", "cosine", "exponential"]), label="warmup_shape")
    return cls(start_lr=middle, end_lr=end, peak_lr=top if rises else None, warmup_shape=shape, **own)


def usual_rates() -> st.SearchStrategy[float]:
    return st.floats(-5, 0).map(lambda exponent: 10.0**exponent)


def places(size: int) -> st.SearchStrategy[list[float]]:
    """Fractions of a horizon, a hundredth of it or more apart."""
    whole = st.lists(st.integers(21, 99), min_size=size, max_size=size, unique=True)
    return whole.map(lambda numbers: [number / 100 for number in sorted(numbers)])


def closed_form() -> st.SearchStrategy[Schedule]:
    """A schedule of any closed-form family."""
    return st.sampled_from(CLOSED_FORM).flatmap(schedules)


@st.composite
def compositions(draw: st.DrawFn, depth: int = 3) -> Schedule:
    """A composition of closed-form schedules, some of them compositions themselves."""
    parts = closed_form() if depth == 1 else closed_form() | compositions(depth - 1)
    part = draw(parts)
    kind = draw(st.sampled_from(sorted(COMPOSITIONS)))
    if kind == "scaled":
        largest = min(1e6, sys.float_info.max / 2 / part.max_lr)
        return Scaled(schedule=part, factor=draw(st.floats(1e-6, largest)))
    if kind == "stretched":
        begin, end = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True)))
        return Stretched(schedule=part, begin=begin, end=end)
    if kind == "clipped":
        low, high = sorted(draw(st.tuples(RATES, RATES)))
        low, high = draw(st.sampled_from([(low, high), (None, high), (low, None)]))
        return Clipped(schedule=part, low=low, high=high)
    cycled = part.momentum_levels is not None
    others = st.lists(parts.filter(lambda other: (other.momentum_levels is not None) == cycled), min_size=1, max_size=3)
    joined = [part, *draw(others)]
    at = draw(st.lists(st.floats(0.001, 0.999), min_size=len(joined) - 1, max_size=len(joined) - 1, unique=True))
    return Joined(parts=tuple(joined), at=tuple(sorted(at)))
