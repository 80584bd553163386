"""In which order a study's trials are the best: those that keep to its constraints first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, case

from service.store.tables import StudyRow, TrialRow


def best_first(study: StudyRow) -> tuple[ColumnElement[Any], ...]:
    """For ORDER BY: the least broken constraints first, then by value, then by number; no value at the end.

    Without constraints the index of the values serves it.
    """
    spec = study.spec.objective
    value = TrialRow.value.desc() if spec.direction == "maximize" else TrialRow.value.asc()
    if not spec.constraints:
        return value, TrialRow.number.asc()
    return BROKEN.asc(), value, TrialRow.number.asc()


BROKEN: ColumnElement[Any] = case((TrialRow.violation > 0, TrialRow.violation), else_=0.0)
"""By how much a trial breaks its study's constraints."""
