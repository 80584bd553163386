"""The state of an adaptive schedule during a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lehr.errors import Fault, InvalidValueError
from lehr.schedules.families.plateau import Plateau

FIELDS = {"lr", "best", "bad_evaluations", "cooling"}


class PlateauState:
    """The rate of a training with a `plateau` schedule, and the history of the metric that decides it.

    `state_dict` can be written as JSON; a state that loads it continues exactly where the original stopped.
    """

    def __init__(self, plateau: Plateau) -> None:
        self.plateau = plateau
        self.lr = plateau.levels.top
        """The rate after the warm-up, given the metrics so far."""
        self.best: float | None = None
        self.bad_evaluations = 0
        self.cooling = 0

    def step(self, metric: float) -> float:
        """The rate after an evaluation of the metric. NaN counts as not better."""
        if self.plateau.is_better(metric, self.best):
            self.best = float(metric)
            self.bad_evaluations = 0
        else:
            self.bad_evaluations += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.bad_evaluations = 0
        if self.bad_evaluations > self.plateau.patience:
            self._drop()
        return self.lr

    def lr_at(self, progress: float) -> float:
        """The rate at a progress: the warm-up's, and after it the rate that follows from the metrics so far."""
        in_warmup = progress < self.plateau.rise_fraction
        return self.plateau.lr_at(progress) if in_warmup else self.lr

    def state_dict(self) -> dict[str, Any]:
        return {"lr": self.lr, "best": self.best, "bad_evaluations": self.bad_evaluations, "cooling": self.cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state. Raises InvalidValueError, and changes nothing, if `state_dict` cannot have produced it."""
        faults = [*_missing(state), *self._wrong(state)]
        if faults:
            raise InvalidValueError(faults)
        self.lr, self.best = float(state["lr"]), None if state["best"] is None else float(state["best"])
        self.bad_evaluations, self.cooling = state["bad_evaluations"], state["cooling"]

    def _drop(self) -> None:
        lower = max(self.lr * self.plateau.factor, self.plateau.end_lr)
        if self.lr - lower > self.plateau.least_drop:
            self.lr = lower
        self.cooling = self.plateau.cooldown
        self.bad_evaluations = 0

    def _wrong(self, state: Mapping[str, Any]) -> list[Fault]:
        top, end = self.plateau.levels.top, self.plateau.end_lr
        faults = []
        if "lr" in state and not (_is_number(state["lr"]) and end <= state["lr"] <= top):
            faults.append(_fault("lr", f"a number in [{end!r}, {top!r}]", state["lr"]))
        if state.get("best") is not None and not _is_number(state["best"]):
            faults.append(_fault("best", "a number, or null before the first evaluation", state["best"]))
        for name, most in (("bad_evaluations", self.plateau.patience), ("cooling", self.plateau.cooldown)):
            if name in state and not (type(state[name]) is int and 0 <= state[name] <= most):
                faults.append(_fault(name, f"a whole number in [0, {most}]", state[name]))
        return faults


def _missing(state: Mapping[str, Any]) -> list[Fault]:
    return [_fault(name, "a field of the state", None) for name in sorted(FIELDS - state.keys())]


def _fault(name: str, bound: str, value: object) -> Fault:
    return Fault(name, "is not from a state of this schedule", bound, value, "Load what state_dict gave.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
