"""The search ranges and choices of a family's own parameters: the defaults, or the space's overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from lehr.errors import Fault, suggest
from lehr.schedules import FAMILIES
from lehr.schedules.base import Schedule
from lehr.schedules.documents import unknown_family
from lehr.schedules.parameters import Parameter, parameter_of
from lehr.space.ranges import Range, range_faults

Values = Range | tuple[Any, ...]
"""The range or the choices that a parameter is drawn from."""
Overrides = Mapping[str, Mapping[str, Values]]

BY_SPACE = ("start_lr", "end_lr", "peak_lr", "warmup_fraction")
"""Fields for which a space itself has ranges."""


@cache
def searched(family: type[Schedule]) -> Mapping[str, Parameter]:
    """The family's parameters that a search draws by default or on request."""
    declared = {each.name: parameter_of(each) for each in fields(family)}
    return {name: each for name, each in declared.items() if each.search is not None or each.kind in ("choice", "name")}


def values_of(family: type[Schedule], overrides: Overrides, latest_rise: float) -> dict[str, Values]:
    """The range or choices of each searched parameter.

    Leaves out default choices that do not fit after a rise of `latest_rise` of the horizon.
    """
    own = overrides.get(family.family, {})
    values: dict[str, Values] = {}
    for name, parameter in searched(family).items():
        if name in own:
            values[name] = own[name]
        elif parameter.search is not None and parameter.kind in ("float", "int"):
            values[name] = Range(*parameter.search)
        elif parameter.search is not None:
            fitting = (value for value in parameter.search if family.fits_after_rise(name, value, latest_rise))
            values[name] = tuple(fitting)
    return values


def normal_overrides(parameters: Mapping[str, Mapping[str, Range | Sequence[Any]]]) -> Overrides:
    """Valid overrides, with each value converted to its field's type."""
    return {
        family: {name: _normal(searched(FAMILIES[family])[name], values) for name, values in own.items()}
        for family, own in parameters.items()
    }


def override_faults(parameters: Mapping[str, object]) -> Iterator[Fault]:
    """The faults of a space's overrides."""
    for family, own in parameters.items():
        field = f"parameters.{family}"
        if family not in FAMILIES:
            yield unknown_family(field, family)
        elif not isinstance(own, Mapping):
            yield Fault(field, "is not an object", "an object from parameter to range or choices", own, "Give one.")
        else:
            for name, values in own.items():
                yield from _parameter_faults(FAMILIES[family], name, values)


def _parameter_faults(family: type[Schedule], name: str, values: object) -> Iterator[Fault]:
    field = f"parameters.{family.family}.{name}"
    known = searched(family)
    if name not in known:
        remedy = f"Use the space's {name}." if name in BY_SPACE else suggest(name, known, "a parameter")
        yield Fault(field, "is not searched", "one of " + ", ".join(known), name, remedy)
    elif isinstance(values, Range):
        yield from _range_faults(field, known[name], values)
    elif not isinstance(values, Sequence) or isinstance(values, str) or not values:
        yield Fault(field, "is neither a range nor choices", "a range, or a list of choices", values, "Give one.")
    else:
        yield from _choice_faults(field, known[name], values)


def _range_faults(field: str, parameter: Parameter, values: Range) -> Iterator[Fault]:
    if parameter.kind in ("choice", "floats", "name"):
        yield Fault(field, "cannot be drawn from a range", parameter.bound, values, "List the choices.")
    else:
        yield from range_faults(field, _whole(parameter, values), parameter)


def _choice_faults(field: str, parameter: Parameter, values: Sequence[Any]) -> Iterator[Fault]:
    faults = [fault for index, value in enumerate(values) if (fault := parameter.fault(f"{field}[{index}]", value))]
    yield from faults
    if not faults and len({parameter.normal(value) for value in values}) < len(values):
        yield Fault(field, "repeats a choice", "different choices", list(values), "List each choice once.")


def _normal(parameter: Parameter, values: Range | Sequence[Any]) -> Values:
    if isinstance(values, Range):
        whole = _whole(parameter, values)
        return whole if parameter.kind == "int" else whole.normal()
    return tuple(parameter.normal(value) for value in values)


def _whole(parameter: Parameter, values: Range) -> Range:
    """The range, with whole floats as ints if the parameter is an int: JSON does not distinguish the two."""
    if parameter.kind != "int":
        return values
    return Range(_whole_end(values.low), _whole_end(values.high))


def _whole_end(end: Any) -> Any:
    return int(end) if isinstance(end, float) and end.is_integer() else end
