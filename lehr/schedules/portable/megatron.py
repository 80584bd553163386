"""Exports a schedule as Megatron-LM flags."""

from __future__ import annotations

import math

from lehr.schedules.base import Schedule
from lehr.schedules.portable.discretized import HELD, CannotExpressError, Discretized, discretize, require

NOTE = "Flags of Megatron-LM's pretraining scripts."


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The flags, one per line, and a note. Raises CannotExpressError."""
    discrete = discretize(schedule, horizon_steps)
    require(discrete.shape in (None, "linear"), f"it has no {discrete.shape} warm-up")
    flags: dict[str, object] = {
        "--train-iters": horizon_steps,
        "--lr": discrete.top,
        "--min-lr": discrete.end,
        "--lr-decay-iters": discrete.last,
        "--lr-warmup-iters": discrete.rise,
        "--lr-warmup-init": discrete.start if discrete.rise else 0.0,
        **_style(discrete),
    }
    return " \\\n".join(f"{flag} {value}" for flag, value in flags.items()) + "\n", NOTE


def _style(discrete: Discretized) -> dict[str, object]:
    family = discrete.schedule.family
    if family == "one_cycle":
        require(discrete.choice("phases") == "two", "it has no third phase")
        family = discrete.choice("anneal")
    if family == "polynomial" and discrete.parameter("power") == 1:
        family = "linear"
    if family in ("constant", "linear", "cosine"):
        return {"--lr-decay-style": family}
    if family == "inverse_sqrt":
        # Megatron counts time from the first step, so that the warm-up is the timescale.
        stretch = (discrete.top / discrete.end) ** 2 - 1
        require(
            math.isclose(stretch * discrete.rise, discrete.body, rel_tol=1e-9), "its timescale is the warm-up's length"
        )
        return {"--lr-decay-style": "inverse-square-root"}
    if family in HELD:
        names = {"linear": "linear", "cosine": "cosine", "sqrt": "minus_sqrt"}
        cooldown, steps = discrete.fall()
        require(cooldown in names, f"it has no {cooldown} cooldown")
        return {
            "--lr-decay-style": "WSD",
            "--lr-wsd-decay-style": names[cooldown],
            "--lr-wsd-decay-iters": steps,
        }
    raise CannotExpressError(f"it has no {family}")
