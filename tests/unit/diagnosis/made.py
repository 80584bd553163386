"""Synthetic curves with one fault each, or none."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from lehr.schedules import Schedule, schedule_from_dict
from service.diagnosis.training_curve import TrialCurve

HORIZON = 1000
CONSTANT = schedule_from_dict({"family": "constant", "start_lr": 0.1, "end_lr": 0.1})
COSINE = schedule_from_dict({"family": "cosine", "start_lr": 0.1, "end_lr": 1e-4})
WARM = schedule_from_dict(
    {"family": "cosine", "start_lr": 0.004, "peak_lr": 0.1, "end_lr": 1e-4, "warmup_fraction": 0.05}
)
RESTARTS = schedule_from_dict({"family": "cosine_restarts", "start_lr": 0.1, "end_lr": 1e-4})

Loss = Callable[[float], float]
"""A loss by progress in [0, 1]."""


def curve(
    train: Loss | Sequence[float | None],
    held_out: Loss | Sequence[float | None] | None = None,
    schedule: Schedule = CONSTANT,
    *,
    reports: int = 12,
    **changes: Any,
) -> TrialCurve:
    """A trial that reports evenly; `held_out` None: as the training loss."""
    steps = [round((index + 1) * HORIZON / reports) - 1 for index in range(reports)]
    train_loss = _values(train, steps)
    val_loss = train_loss if held_out is None else _values(held_out, steps)
    facts: dict[str, Any] = {
        "state": "COMPLETED",
        "metric": "val_loss",
        "direction": "minimize",
        "horizon_steps": HORIZON,
        "max_lr": schedule.max_lr,
        "rise_fraction": schedule.rise_fraction,
        "steps": steps[: len(train_loss)],
        "rates": [schedule.lr(step, HORIZON) for step in steps[: len(train_loss)]],
        "train_loss": train_loss,
        "metrics": {"val_loss": val_loss},
    }
    return TrialCurve(**(facts | changes))


def _values(loss: Loss | Sequence[float | None], steps: Sequence[int]) -> list[float | None]:
    return [loss((step + 1) / HORIZON) for step in steps] if callable(loss) else list(loss)


def settling(floor: float = 0.3, fall: float = 2.0, speed: float = 15.0, noise: float = 0.0, seed: int = 0) -> Loss:
    """A training that has done most of its work by a fifth of its horizon; the noise is relative."""
    draw = random.Random(seed)
    return lambda progress: (floor + fall * math.exp(-speed * progress)) * (1 + noise * draw.gauss(0, 1))


def slow(progress: float) -> float:
    """A loss that falls in a straight line, and is far from done."""
    return 2.3 - 0.8 * progress


def restless(seed: int = 0) -> Loss:
    """A fast start, then up and down by a fifth around a level."""
    draw = random.Random(seed)
    return lambda progress: 1.5 * (1 + 2 * math.exp(-60 * progress)) * (1 + 0.2 * draw.uniform(-1, 1))


def language_model(progress: float) -> float:
    """The power law of a long pretraining, from about 10 down to 2.9: always falling, ever more slowly."""
    return 2.6 + 0.3 * math.pow(progress + 5e-5, -0.3)


def annealed(progress: float) -> float:
    """A noise floor that falls with a cosine's rate, below a fast start, and a hundredth of noise."""
    noise = random.Random(progress).gauss(1, 0.01)
    level = 0.2 + 0.1 * (1 + math.cos(math.pi * progress)) / 2 + 2 * math.exp(-40 * progress)
    return noise * level


def in_cycles(progress: float) -> float:
    """As annealed, but the rate restarts three times, and the loss with it."""
    within = (progress * 3) % 1.0 if progress < 1 else 1.0
    return 0.2 + 0.15 * (1 + math.cos(math.pi * within)) / 2 + 2 * math.exp(-40 * progress)
