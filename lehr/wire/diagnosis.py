"""Diagnosis on the wire: what a trial's curve, or all of a study's results, have against them."""

from __future__ import annotations

from typing import Literal

from lehr.wire.base import Response

FindingCode = Literal[
    "diverged",
    "rate_too_high",
    "rate_too_low",
    "warmup_too_short",
    "horizon_too_short",
    "overfits",
    "best_on_bound",
    "all_rates_alike",
    "too_noisy",
    "study_failed",
]


class Finding(Response):
    """One fault: `code` for programs, `message` and `remedy` for people, `evidence` the numbers it rests on.

    `field` names the part of the study's spec to change, where it is one. `trial` names whose curve shows it,
    where a study's finding is about one trial.
    """

    code: FindingCode
    message: str
    remedy: str
    evidence: dict[str, float]
    field: str | None = None
    trial: int | None = None
