"""A schedule in Megatron-LM's flags."""

from __future__ import annotations

import math

from lehr.schedules.base import Schedule
from lehr.schedules.portable.discretized import HELD, CannotExpressError, Laid, lay, require

NOTE = "Flags of Megatron-LM's pretraining scripts."


def own(schedule: Schedule, horizon_steps: int) -> tuple[str, str]:
    """The flags, one a line, and a note. Raises CannotExpressError."""
    laid = lay(schedule, horizon_steps)
    require(laid.shape in (None, "linear"), f"it has no {laid.shape} warm-up")
    flags: dict[str, object] = {
        "--train-iters": horizon_steps,
        "--lr": laid.top,
        "--min-lr": laid.end,
        "--lr-decay-iters": laid.last,
        "--lr-warmup-iters": laid.rise,
        "--lr-warmup-init": laid.start if laid.rise else 0.0,
        **_style(laid),
    }
    return " \\\n".join(f"{flag} {value}" for flag, value in flags.items()) + "\n", NOTE


def _style(laid: Laid) -> dict[str, object]:
    family = laid.schedule.family
    if family == "one_cycle":
        require(laid.choice("phases") == "two", "it has no third phase")
        family = laid.choice("anneal")
    if family == "polynomial" and laid.parameter("power") == 1:
        family = "linear"
    if family in ("constant", "linear", "cosine"):
        return {"--lr-decay-style": family}
    if family == "inverse_sqrt":
        # Its time runs from the first step, so that the warm-up is the timescale.
        stretch = (laid.top / laid.end) ** 2 - 1
        require(math.isclose(stretch * laid.rise, laid.body, rel_tol=1e-9), "its timescale is the warm-up's length")
        return {"--lr-decay-style": "inverse-square-root"}
    if family in HELD:
        names = {"linear": "linear", "cosine": "cosine", "sqrt": "minus_sqrt"}
        cooldown, steps = laid.fall()
        require(cooldown in names, f"it has no {cooldown} cooldown")
        return {
            "--lr-decay-style": "WSD",
            "--lr-wsd-decay-style": names[cooldown],
            "--lr-wsd-decay-iters": steps,
        }
    raise CannotExpressError(f"it has no {family}")
