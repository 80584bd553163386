"""Validates and converts the steps, metrics and checkpoints that scripts report."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lehr.errors import Fault, InvalidValueError
from lehr.schedules.sampling import require_whole
from lehr.wire.base import LARGEST_VALUE, MetricName
from lehr.wire.leases import MAX_CHECKPOINT_CHARACTERS, MAX_METRICS

COUNTING = (
    "Count optimizer steps over the whole training, not batches within an epoch, from 0 to trial.horizon_steps - 1."
)
_NAME: TypeAdapter[str] = TypeAdapter(MetricName)

log = logging.getLogger("lehr.script")


def as_step(step: object, last: int, horizon_steps: int) -> int:
    """The step of a report that follows one at step `last` (-1: none).

    Raises InvalidValueError for a step that is not a whole number, beyond the horizon, or not after the last one.
    """
    allowed = f"a whole number in [{last + 1}, {horizon_steps - 1}]"
    bound = allowed if last + 1 < horizon_steps else f"none: {last} is the last step"
    whole = require_whole("step", step, 0, None, COUNTING)
    if whole >= horizon_steps:
        raise InvalidValueError(Fault("step", "is beyond the trial's horizon", bound, whole, COUNTING))
    if whole == last:
        remedy = f"Report each step once with all its metrics, or add metrics with trial.amend(metrics). {COUNTING}"
        raise InvalidValueError(Fault("step", "was already reported", bound, whole, remedy))
    if whole < last:
        message = f"is before step {last}, the last one reported"
        raise InvalidValueError(Fault("step", message, bound, whole, COUNTING))
    return whole


def as_number(name: str, value: Any) -> float:
    """Convert a scalar of Python, NumPy or torch, a Decimal or a Fraction to a float.

    Raises InvalidValueError for anything else. Values too large for a float become infinite.
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        # float() warns for a tensor that requires a gradient and for an array of one element; item() does not.
        return float(value.item() if hasattr(value, "item") else value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, RuntimeError):
        remedy = "Report a float, or a NumPy or torch value with one element."
        raise InvalidValueError(Fault(name, "is not a number", "a single number", value, remedy)) from None


def as_epoch(epoch: Any) -> float:
    """Convert an epoch to a float. Raises InvalidValueError unless it is a number from 0 to LARGEST_VALUE."""
    number = as_number("epoch", epoch)
    if not 0 <= number <= LARGEST_VALUE:
        remedy = "Report the number of completed passes over the data, or omit it."
        raise InvalidValueError(Fault("epoch", "is out of bounds", f"0 to {LARGEST_VALUE:g}", epoch, remedy))
    return number


def as_checkpoint(path: object) -> str:
    """Convert a path to text. Raises InvalidValueError if it is not a path, or too long."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not 0 < len(text) <= MAX_CHECKPOINT_CHARACTERS or "\x00" in text:
        bound, remedy = f"1 to {MAX_CHECKPOINT_CHARACTERS} characters", "Pass the path of the saved checkpoint."
        raise InvalidValueError(Fault("checkpoint", "is not a path", bound, path, remedy))
    return text


class MetricReader:
    """Reads the metrics of each report. Those in `needed` must be numbers; other metrics that cannot be stored are left
    out with one warning each, so that they do not fail the training.
    """

    def __init__(self, needed: Collection[str]) -> None:
        self._needed = needed
        self._left_out: set[object] = set()

    def read(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The metrics as floats. Raises InvalidValueError if a needed metric is not a number."""
        needed = {name: as_number(name, metrics[name]) for name in self._needed if name in metrics}
        return needed | dict(self._others(metrics, MAX_METRICS - len(needed)))

    def _others(self, metrics: Mapping[str, Any], room: int) -> Iterator[tuple[str, float]]:
        for name, value in metrics.items():
            if name in self._needed:
                continue
            try:
                if room <= 0:
                    raise InvalidValueError(
                        Fault(
                            name,
                            "exceeds the limit of metrics in a report",
                            f"at most {MAX_METRICS} metrics",
                            len(metrics),
                            "Report fewer metrics.",
                        )
                    )
                number = as_number(_checked(name), value)
            except InvalidValueError as error:
                self._warn(name, error)
            else:
                room -= 1
                yield name, number

    def _warn(self, name: object, error: InvalidValueError) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            log.warning("a metric is left out of the reports: %s", error)


def _checked(name: object) -> str:
    try:
        return _NAME.validate_python(name, strict=True)
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"]
        bound = "1 to 200 characters without control characters"
        raise InvalidValueError(Fault("metrics", message, bound, name, "Rename the metric.")) from None
