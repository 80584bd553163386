"""Models of the diagnosis: problems found in a trial's curve or in a study's results."""

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
    """One problem: `code` for programs, `message` and `remedy` for people, `evidence` the numbers behind it.

    `field`: the field of the study's spec to change, if there is one. `trial`: the trial whose curve shows the problem,
    if a study's finding is about a single trial.
    """

    code: FindingCode
    message: str
    remedy: str
    evidence: dict[str, float]
    field: str | None = None
    trial: int | None = None
