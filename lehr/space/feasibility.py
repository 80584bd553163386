"""Checks that a space contains a valid schedule of each of its families."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from lehr.errors import Fault
from lehr.schedules import FAMILIES
from lehr.schedules.documents import unknown_family
from lehr.space.overrides import Values
from lehr.space.ranges import Range


class Ranges(Protocol):
    """The part of `lehr.space.space.Space` that the checks need."""

    @property
    def families(self) -> tuple[str, ...]: ...
    @property
    def start_lr(self) -> Range: ...
    @property
    def end_lr(self) -> Range: ...
    @property
    def peak_lr(self) -> Range | None: ...
    @property
    def warmup_fraction(self) -> Range | None: ...
    def top_lr(self, family: str) -> Range: ...
    def rises(self, family: str) -> bool: ...
    def warms_up(self, family: str) -> bool: ...
    def own_values(self, family: str) -> Mapping[str, Values]: ...


def family_faults(families: object) -> Iterator[Fault]:
    """The faults of a list of families."""
    if families is None:
        return
    if not isinstance(families, Sequence) or isinstance(families, str) or not families:
        yield Fault(
            "families",
            "is not a list of families",
            "one or more of " + ", ".join(FAMILIES),
            families,
            "List at least one family, or leave families out for the default ones.",
        )
        return
    for index, name in enumerate(families):
        if not isinstance(name, str) or name not in FAMILIES:
            yield unknown_family(f"families[{index}]", name)
        elif not FAMILIES[name].drawable:
            drawn = ", ".join(each for each, family in FAMILIES.items() if family.drawable)
            remedy = "Enqueue trials of it, or choose another family."
            yield Fault(
                f"families[{index}]", "has no parameters that a search could draw", f"one of {drawn}", name, remedy
            )
        elif name in families[:index]:
            yield Fault(f"families[{index}]", "is listed twice", "each family once", name, "Leave it out.")


def feasibility_faults(space: Ranges) -> Iterator[Fault]:
    """The causes that make a family's schedules impossible, each once."""
    seen: set[str] = set()
    for family in space.families:
        for fault in (*_rate_faults(space, family), *_fit_faults(space, family)):
            if fault.field not in seen:
                seen.add(fault.field)
                yield fault


def _rate_faults(space: Ranges, family: str) -> Iterator[Fault]:
    top = space.top_lr(family)
    if top.low > top.high:
        name = "peak_lr" if space.rises(family) and space.peak_lr is not None else "start_lr"
        other = "end_lr" if top.low == space.end_lr.low else "start_lr"
        yield Fault(
            f"{name}.high",
            f"is below {other}.low, so no {family} schedule fits",
            f">= {top.low!r}",
            top.high,
            f"Raise {name}.high or lower {other}.low.",
        )
    warmup = space.warmup_fraction
    if warmup is not None and warmup.low == 0 and space.warms_up(family) and space.start_lr.high < space.end_lr.low:
        yield Fault(
            "warmup_fraction.low",
            f"is 0, and without a warm-up a {family} schedule would start below end_lr",
            "> 0",
            warmup.low,
            "Raise warmup_fraction.low, or start_lr.high to at least end_lr.low.",
        )


def _fit_faults(space: Ranges, family: str) -> Iterator[Fault]:
    """Faults of a family's own parameters that leave no room for the longest rise."""
    own = space.own_values(family)
    rise = own.get("warmup_fraction") or (space.warmup_fraction if space.warms_up(family) else None)
    if not isinstance(rise, Range):
        return
    latest = rise.high
    for name, values in own.items():
        field = f"parameters.{family}.{name}"
        remedy = f"Lower warmup_fraction.high, or give other values in {field}."
        candidates = (values.low, values.high) if isinstance(values, Range) else values
        if not candidates:
            yield Fault(
                "warmup_fraction.high", f"leaves no room for {family}'s {name}", "a shorter warm-up", latest, remedy
            )
        for value in candidates:
            if not FAMILIES[family].fits_after_rise(name, value, latest):
                yield Fault(
                    field,
                    f"does not fit after a warm-up of {latest!r}",
                    "room after warmup_fraction.high",
                    value,
                    remedy,
                )
