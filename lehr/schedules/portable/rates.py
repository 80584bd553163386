"""Exports a schedule as its rates by step, in CSV and JSON."""

from __future__ import annotations

import csv
import io
import json

from lehr.schedules.base import Schedule

MAX_ROWS = 100_000
"""Maximum number of listed steps; a longer horizon is sampled at evenly spaced steps."""


def as_csv(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, str]:
    """A table with the columns step, lr and, if the schedule cycles it, momentum."""
    curve = schedule.curve(horizon_steps, MAX_ROWS)
    columns = {"step": curve.step, "lr": curve.lr} | ({"momentum": curve.momentum} if curve.momentum else {})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue(), *_told(horizon_steps)


def as_json(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, str]:
    """An object with the schedule's document, the horizon, and lists of steps, rates and momenta."""
    curve = schedule.curve(horizon_steps, MAX_ROWS)
    document = {
        "schedule": schedule.to_dict(),
        "horizon_steps": horizon_steps,
        "step": curve.step,
        "lr": curve.lr,
        "momentum": curve.momentum,
    }
    return json.dumps(document, allow_nan=False) + "\n", *_told(horizon_steps)


def instead(framework: str, schedule: Schedule, horizon_steps: int, reason: str) -> tuple[str, bool, str]:
    """The table for a framework that supports neither the schedule nor code."""
    text, _, note = as_csv(schedule, horizon_steps)
    return text, False, f"{framework} cannot express the schedule: {reason}. {note}"


def _told(horizon_steps: int) -> tuple[bool, str]:
    if horizon_steps <= MAX_ROWS:
        return True, "The rate of every step."
    return False, f"The rates of {MAX_ROWS} evenly spaced steps of {horizon_steps}."
