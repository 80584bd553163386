"""The composition `joined`: runs several schedules one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lehr.errors import Fault
from lehr.schedules.base import JUMP_SLACK, Schedule
from lehr.schedules.compositions.composition import MAX_PARTS, PART_SCHEMA, Composed, part_value, part_values
from lehr.schedules.elementwise import reached
from lehr.schedules.parameters import parameter

if TYPE_CHECKING:
    from lehr.schedules.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Joined(Composed):
    """Goes through several schedules one after the other.

    With joins 0 = b0 < b1 < ... < bn = 1, of which `at` are the inner ones, part k has the progress
    (p - bk) / (bk+1 - bk). The later part begins at a join: the rate jumps there unless the earlier part ends at the
    rate at which the later one starts. Momentum is cycled if every part cycles it.

    >>> from lehr.schedules import Constant, Linear
    >>> parts = (Constant(start_lr=0.5, end_lr=0.5), Linear(start_lr=1.0, end_lr=0.0))
    >>> schedule = Joined(parts=parts, at=(0.5,))
    >>> [schedule.lr_at(p) for p in (0, 0.5, 0.75)]
    [0.5, 1.0, 0.5]

    First step: the first part's start_lr. Last and beyond: the last part's end_lr.
    """

    family: ClassVar[str] = "joined"
    formula: ClassVar[str] = "part k at (p - b_k) / (b_k+1 - b_k)"
    source: ClassVar[str] = "torch's SequentialLR and optax's join_schedules, which count in steps"
    continuous: ClassVar[bool] = False
    part_field: ClassVar[str] = "parts"

    parts: tuple[Schedule, ...]
    at: tuple[float, ...] = parameter(
        "floats",
        "the fractions of the horizon at which the later parts begin, increasing",
        low=0.0,
        high=1.0,
        open_low=True,
        open_high=True,
    )

    def __post_init__(self) -> None:
        given: object = self.parts
        if isinstance(given, list):
            object.__setattr__(self, "parts", tuple(given))
        super().__post_init__()

    @property
    def members(self) -> Sequence[Schedule]:
        return self.parts

    @property
    def rise_fraction(self) -> float:
        return self.parts[0].rise_fraction * self.at[0]

    def _bounds(self) -> tuple[float, float]:
        return min(each.min_lr for each in self.parts), max(each.max_lr for each in self.parts)

    def _value(self, progress: float, which: str) -> float:
        k = reached(progress + JUMP_SLACK, self.at)
        begin, end = (0.0, *self.at, 1.0)[k : k + 2]
        return part_value(self.parts[k], (progress - begin) / (end - begin), which)

    def _values(self, progress: Array, which: str) -> Array:
        values = progress * 0.0
        for k, (begin, end) in enumerate(itertools.pairwise((0.0, *self.at, 1.0))):
            here = progress + JUMP_SLACK >= begin
            values[here] = part_values(self.parts[k], (progress[here] - begin) / (end - begin), which)
        return values

    def _value_code(self, names: Sequence[str], which: str) -> list[str]:
        joins = (0.0, *self.at, 1.0)
        lines = []
        for k in reversed(range(len(names))):
            share = f"{names[k]}((progress - {joins[k]!r}) / {joins[k + 1] - joins[k]!r})"
            lines += [f"if progress + {JUMP_SLACK!r} >= {joins[k]!r}:", f"    return {share}"] if k else []
            lines += [] if k else [f"return {share}"]
        return lines

    @classmethod
    def part_schema(cls) -> dict[str, Any]:
        description = "closed-form schedules' documents, in their order"
        bounds = {"minItems": 2, "maxItems": MAX_PARTS}
        return {"type": "array", "items": PART_SCHEMA, **bounds, "description": description}

    def _part_faults(self) -> list[Fault]:
        bound = f"2 to {MAX_PARTS} schedules"
        given: object = self.parts
        if not isinstance(given, tuple) or not 2 <= len(self.parts) <= MAX_PARTS:
            return [Fault("parts", "is not a list of schedules to join", bound, self.parts, f"Give {bound}.")]
        return super()._part_faults()

    def _contradictions(self) -> Iterator[Fault]:
        yield from super()._contradictions()
        if len(self.at) != len(self.parts) - 1:
            bound = f"{len(self.parts) - 1} joins"
            yield Fault("at", "does not fit the number of parts", bound, self.at, "Give one join between two parts.")
        cycled = {each.momentum_levels is not None for each in self.parts}
        if len(cycled) > 1:
            bound = "momenta in every part or in none"
            remedy = "Give every part base_momentum and max_momentum, or none."
            yield Fault("parts", "cycle momentum only here and there", bound, None, remedy)
