"""What every learning-rate schedule is: an immutable, closed-form function of progress.

Progress runs from 0 at the first step to 1 at the last: step i of a horizon of n steps has
progress i / (n - 1). All fractions are of the whole horizon, warm-up included.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self

from lehr.errors import Fault, InvalidScheduleError

WARMUP_SHAPES = ("linear", "cosine", "exponential")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a family's own parameter may be, and what the search draws it from.

    `low` and `high` are the bounds of validity (either may be excluded); `search` is the
    default range of the search, or the choices for a `choice`, None when it is not searched.
    """

    kind: str  # "float" | "int" | "choice" | "floats" | "knots"
    doc: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: tuple[Any, ...] = ()
    search: tuple[Any, ...] | None = None
    log: bool = False

    @property
    def bound(self) -> str:
        if self.kind == "choice":
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


def parameter(default: Any, kind: str, doc: str, **bounds: Any) -> Any:
    """A dataclass field of a family, carrying its `Parameter`. `default` MISSING: required."""
    metadata = {"parameter": Parameter(kind=kind, doc=doc, **bounds)}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)
