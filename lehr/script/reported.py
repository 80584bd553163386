"""What a script has reported of its trial, and what that makes of the trial."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lehr.errors import suggest
from lehr.script.values import MetricReader
from lehr.wire.base import LARGEST_VALUE
from lehr.wire.leases import Report

TRAIN_LOSS = "train_loss"


class Reported:
    """`metric`: the objective. `followed`: what an adaptive schedule follows. `bounded`: what the study constrains."""

    def __init__(self, metric: str, followed: Collection[str] = (), bounded: Collection[str] = ()) -> None:
        self.step = -1
        """The last step reported."""
        self.last: Report | None = None
        self.value: float | None = None
        """The objective, as reported last."""
        self.train_loss: float | None = None
        self.divergence: str | None = None
        """Why the trial has diverged."""
        self._metric = metric
        self._needed = {metric, *followed, *bounded}
        self._awaited = {metric, *followed}
        self._names: dict[str, None] = {}
        self._reader = MetricReader(self._needed)

    def take(self, row: Report, metrics: Mapping[str, Any], train_loss: float | None) -> dict[str, float]:
        """Add metrics to a report, which becomes the last one, and return them as numbers.

        Raises InvalidValueError for a metric of the study that is not a number; nothing is taken then.
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
        """What is wrong where the objective, or what the schedule follows, was never reported: None where it was."""
        if self.value is not None and not self._awaited:
            return None
        name = min(self._awaited)
        text = f"the script never reported {name}: trial.report(step, {{{name!r}: …}})"
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
