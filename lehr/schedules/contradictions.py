"""Checks that a schedule's rates and warm-up do not contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from lehr.errors import Fault


class Rates(Protocol):
    """The fields of a schedule that can contradict each other."""

    @property
    def start_lr(self) -> float: ...
    @property
    def end_lr(self) -> float: ...
    @property
    def peak_lr(self) -> float | None: ...
    @property
    def warmup_shape(self) -> str: ...
    @property
    def rise_fraction(self) -> float: ...
    @property
    def max_lr(self) -> float: ...


def rate_faults(schedule: Rates) -> Iterator[Fault]:
    """Contradictions between the rates and the warm-up of a schedule whose fields are individually valid."""
    rises = schedule.rise_fraction > 0
    if rises and schedule.peak_lr is None:
        yield Fault(
            "peak_lr",
            "is missing though the rate climbs",
            ">= start_lr",
            None,
            "Give the rate that it climbs to, or a warmup_fraction of 0 where the family allows it.",
        )
        return
    if not rises and schedule.peak_lr is not None:
        yield Fault(
            "peak_lr",
            "is given though nothing climbs to it",
            "absent without a warm-up",
            schedule.peak_lr,
            "Give a warmup_fraction above 0, or leave peak_lr out.",
        )
    elif schedule.peak_lr is not None and schedule.peak_lr < schedule.start_lr:
        yield Fault(
            "peak_lr",
            "is below start_lr",
            f">= {schedule.start_lr!r}",
            schedule.peak_lr,
            "Raise peak_lr or lower start_lr.",
        )
    if schedule.start_lr == 0 and (not rises or schedule.warmup_shape == "exponential"):
        yield Fault(
            "start_lr",
            "is 0 though nothing leads away from it",
            "> 0",
            schedule.start_lr,
            "Give a rate above 0, or a linear or cosine warm-up.",
        )
    if schedule.end_lr > schedule.max_lr:
        yield Fault(
            "end_lr",
            "is above the highest rate",
            f"<= {schedule.max_lr!r}",
            schedule.end_lr,
            "Lower end_lr or raise the highest rate.",
        )
