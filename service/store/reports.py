"""Reads a bounded number of reports: the database thins them, because a training may have a million."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, and_, func, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.store.tables import ReportRow


def thinned(trials: Sequence[str], most: int, *columns: Any, aligned: bool = False) -> Select[Any]:
    """At most `most` reports of each trial, evenly spread, including the first and the last; by trial and step.

    `aligned`: at the same positions in all trials, up to the end of the shortest.
    """
    of_trials = ReportRow.trial_id.in_(trials)
    counted = select(ReportRow.trial_id, func.count().label("count")).where(of_trials).group_by(ReportRow.trial_id)
    counts = counted.subquery()
    place = func.row_number().over(partition_by=ReportRow.trial_id, order_by=ReportRow.step) - 1
    # Only keys are numbered, so that metrics are read only for the reports that are kept.
    numbered = select(ReportRow.trial_id, ReportRow.step, place.label("place")).where(of_trials).subquery()
    last = (select(func.min(counts.c.count)).scalar_subquery() if aligned else counts.c.count) - 1
    kept = (
        select(numbered.c.trial_id, numbered.c.step)
        .join(counts, counts.c.trial_id == numbered.c.trial_id)
        .where(numbered.c.place <= last, or_(numbered.c.place == 0, _is_kept(numbered.c.place, last, most - 1)))
        .subquery()
    )
    is_it = and_(ReportRow.trial_id == kept.c.trial_id, ReportRow.step == kept.c.step)
    return select(*columns).join(kept, is_it).order_by(ReportRow.trial_id, ReportRow.step)


def _is_kept(place: ColumnElement[int], last: Any, intervals: int) -> ColumnElement[bool]:
    """Whether the place is k * last / intervals, rounded, for a whole number k."""

    def whole_below(twice_place: ColumnElement[int]) -> ColumnElement[Any]:
        """How many k have k * last / intervals below half of `twice_place`."""
        count: ColumnElement[Any] = (twice_place * intervals + 2 * last - 1) // func.nullif(2 * last, 0)
        return count

    return whole_below(2 * place + 1) > whole_below(2 * place - 1)


class metric_of(FunctionElement[float]):
    """`metric_of(ReportRow.metrics, name)`: a metric of a report; NULL if it has none, or if it is not a number.

    A name may have any characters. SQLite's JSON paths may not.
    """

    type = Double()
    inherit_cache = True


@compiles(metric_of, "sqlite")
def _metric_in_sqlite(element: metric_of, compiler: Any, **options: Any) -> str:
    metrics, name = (compiler.process(clause, **options) for clause in element.clauses)
    document = f"CASE WHEN json_valid({metrics}) THEN {metrics} END"
    return f"(SELECT value FROM json_each({document}) WHERE key = {name} AND type IN ('integer', 'real'))"


@compiles(metric_of, "postgresql")
def _metric_in_postgresql(element: metric_of, compiler: Any, **options: Any) -> str:
    metrics, name = (compiler.process(clause, **options) for clause in element.clauses)
    number = f"CAST({metrics} ->> CAST({name} AS TEXT) AS DOUBLE PRECISION)"
    return f"CASE json_typeof({metrics} -> CAST({name} AS TEXT)) WHEN 'number' THEN {number} END"
