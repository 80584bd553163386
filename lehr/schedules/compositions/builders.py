"""Builds common schedules, such as a warm-up or a change of horizon, from the basic compositions."""

from __future__ import annotations

from lehr.errors import Fault, InvalidValueError
from lehr.schedules.base import Schedule
from lehr.schedules.compositions.joined import Joined
from lehr.schedules.compositions.stretched import Stretched
from lehr.schedules.families.constant import Constant
from lehr.schedules.interpolation import ShapeName
from lehr.schedules.sampling import require_whole


def warmed_up(schedule: Schedule, fraction: float, start_lr: float = 0.0, shape: ShapeName = "linear") -> Schedule:
    """The schedule, preceded by a climb from `start_lr` to its first rate over `fraction`, in (0, 1), of the horizon.

    A family has its own `warmup_fraction` for this; this function works for any composition, and compresses the
    whole schedule into the rest of the horizon. Raises InvalidScheduleError for a rate or a fraction out of bounds.

    >>> from lehr.schedules import Linear
    >>> schedule = warmed_up(Linear(start_lr=1.0, end_lr=0.0), 0.5)
    >>> [schedule.lr_at(p) for p in (0, 0.25, 0.75, 1)]
    [0.0, 0.5, 0.5, 0.0]
    """
    top = schedule.start_lr
    climb = Constant(start_lr=start_lr, peak_lr=top, end_lr=top, warmup_fraction=0.5, warmup_shape=shape)
    return Joined(parts=(Stretched(schedule=climb, end=0.5), schedule), at=(fraction,))


def change_of_horizon(schedule: Schedule, done_steps: int, horizon: int, new_horizon: int) -> Schedule:
    """The schedule of a run that trained `done_steps` of `horizon` and now takes `new_horizon` steps in all.

    The new schedule repeats the rates of the completed steps, and stretches the rest of the shape
    over the remaining steps: from the rate that step `done_steps` would have had, to end_lr.
    Raises InvalidValueError unless 0 < done_steps < horizon - 1 and done_steps < new_horizon - 1.

    >>> from lehr.schedules import Linear
    >>> longer = change_of_horizon(Linear(start_lr=1.0, end_lr=0.0), 50, 101, 201)
    >>> [round(longer.lr(step, 201), 6) for step in (0, 25, 50, 125, 200)]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    require_whole("horizon", horizon, 3, None)
    require_whole("new_horizon", new_horizon, 3, None)
    latest = min(horizon, new_horizon) - 2
    require_whole("done_steps", done_steps, 1, latest, "Stretch a run that has begun and has steps left.")
    if schedule.adaptive:
        raise InvalidValueError(Fault("schedule", "is adaptive", "closed-form", schedule.family, "Keep its state."))
    done = done_steps / (horizon - 1)
    parts = (Stretched(schedule=schedule, end=done), Stretched(schedule=schedule, begin=done))
    return Joined(parts=parts, at=(done_steps / (new_horizon - 1),))
