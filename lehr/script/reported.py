"""Collects a script's reports of a trial and derives its value, divergence and missing metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lehr.errors import suggest
from lehr.script.values import MetricReader
from lehr.wire.base import LARGEST_VALUE
from lehr.wire.leases import Report

TRAIN_LOSS = "train_loss"


class Reported:
    """The reports of a trial. `metric`: the objective. `followed`: the metric that an adaptive schedule follows.
    `bounded`: the metrics that the study constrains.
    """

    def __init__(self, metric: str, followed: Collection[str] = (), bounded: Collection[str] = ()) -> None:
        self.step = -1
        """The last step reported."""
        self.last: Report | None = None
        self.value: float | None = None
        """The objective's last reported value."""
        self.train_loss: float | None = None
        self.divergence: str | None = None
        """Why the trial has diverged; None if it has not."""
        self._metric = metric
        self._needed = {metric, *followed, *bounded}
        self._awaited = {metric, *followed}
        self._names: dict[str, None] = {}
        self._reader = MetricReader(self._needed)

    def take(self, row: Report, metrics: Mapping[str, Any], train_loss: float | None) -> dict[str, float]:
        """Add metrics to a report, make it the last one, and return the metrics as floats.

        Raises InvalidValueError, and changes nothing, if a metric that the study needs is not a number.
        """
        values = self._reader.read(metrics)
        if train_loss is not None and TRAIN_LOSS in self._needed:
            values.setdefault(TRAIN_LOSS, train_loss)
        kept = {**row.metrics, **{name: _storable(value) for name, value in values.items()}}
        loss = row.train_loss if train_loss is None else _storable(train_loss)
        self.last = row.model_copy(update={"metrics": kept, "train_loss": loss})
        self.step = row.step
        self.train_loss = self.train_loss if train_loss is None else train_loss
        self.value = values.get(self._metric, self.value)
        self._awaited -= values.keys()
        self._names |= dict.fromkeys([*values, *([] if train_loss is None else [TRAIN_LOSS])])
        self._note_divergence(row.step, {TRAIN_LOSS: train_loss, self._metric: values.get(self._metric)})
        return values

    def missing(self) -> str | None:
        """An error text if the objective, or the metric that the schedule follows, was never reported; else None."""
        if self.value is not None and not self._awaited:
            return None
        name = min(self._awaited)
        text = f"the script never reported {name}; call trial.report(step, {{{name!r}: …}})"
        if not self._names:
            return f"{text}. It reported nothing."
        near = suggest(name, self._names, "the study's metric")
        return f"{text}. It reported {', '.join(self._names)}. {near}"

    def _note_divergence(self, step: int, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            if value is not None and _storable(value) is None and self.divergence is None:
                self.divergence = f"{name} became {value} at step {step}"


def _storable(value: float) -> float | None:
    return value if abs(value) <= LARGEST_VALUE else None
