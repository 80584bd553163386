"""One plain schedule of every family, for tests that run them in other frameworks."""

from __future__ import annotations

from typing import Any

from lehr.schedules import FAMILIES, Schedule, schedule_from_dict

PLAIN = sorted(name for name, family in FAMILIES.items() if not family.adaptive)
"""The families whose rates depend on the step alone."""


def example(
    family: str, warmup: float = 0.0, shape: str = "linear", *, start: float = 0.01, end: float = 0.001, **own: Any
) -> Schedule:
    """A schedule of a family with its own parameters' defaults, with or without a warm-up to 0.3."""
    cls = FAMILIES[family]
    document = {"family": family, "start_lr": start, "end_lr": end, **own}
    if warmup or cls.climbs:
        document |= {"peak_lr": 0.3, "warmup_shape": shape}
    if warmup:
        document["warmup_fraction"] = warmup
    if not cls.decays:
        document["end_lr"] = document.get("peak_lr", start)
    return schedule_from_dict(document)
