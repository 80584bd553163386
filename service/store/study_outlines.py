"""Reads studies for lists: the database extracts a few parts of each spec, which may have a megabyte."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlalchemy import JSON, ColumnElement, Select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import defer
from sqlalchemy.orm.attributes import set_committed_value

from lehr.wire.objectives import ObjectiveSpec
from lehr.wire.ranges import RangeTestSpec
from lehr.wire.studies import BaselineSpec, ConfirmSpec
from service.store.database import Transaction
from service.store.resolved_spec import ResolvedSpec
from service.store.tables import StudyRow

LONG = (StudyRow.spec_document, StudyRow.warnings, StudyRow.convergence, StudyRow.range_test, StudyRow.data)
PARTS = ("objective", "confirm", "range_test", "constant", "schedules")
"""The spec's parts in the order of the statements below. The last two are the baseline's: its schedules are counted."""


class _Outline(ColumnElement[list[Any]]):
    """The short parts of a study's spec as a JSON array; null if the spec is not JSON."""

    type = JSON()
    inherit_cache = True


@compiles(_Outline, "sqlite")
def _outline_in_sqlite(_outline: _Outline, _compiler: Any, **_options: Any) -> str:
    return """CASE WHEN json_valid(studies.spec) THEN json_array(
        json_extract(studies.spec, '$.objective'), json_extract(studies.spec, '$.confirm'),
        json_extract(studies.spec, '$.range_test'), json_extract(studies.spec, '$.baseline.constant'),
        json_array_length(studies.spec, '$.baseline.schedules')) END"""


@compiles(_Outline, "postgresql")
def _outline_in_postgresql(_outline: _Outline, _compiler: Any, **_options: Any) -> str:
    return """json_build_array(
        studies.spec -> 'objective', studies.spec -> 'confirm',
        studies.spec -> 'range_test', studies.spec #> '{baseline,constant}',
        CASE json_typeof(studies.spec #> '{baseline,schedules}') WHEN 'array'
        THEN json_array_length(studies.spec #> '{baseline,schedules}') ELSE 0 END)"""


def read_outlines(transaction: Transaction, query: Select[StudyRow]) -> list[StudyRow]:
    """The studies of a query. Their specs have only the parts needed to count trainings and to find the best trial."""
    without_long = query.options(*(defer(column, raiseload=True) for column in LONG)).add_columns(_Outline())
    rows = []
    for study, outline in transaction.session.execute(without_long):
        try:
            study.outline = _spec(outline or [None] * len(PARTS))
        except ValidationError:
            # Reading the outline then fails as reading the whole spec does.
            set_committed_value(study, "spec_document", outline)
        rows.append(study)
    return rows


def _spec(outline: list[Any]) -> ResolvedSpec:
    """Raises pydantic.ValidationError."""
    objective, confirm, range_test, constant, schedules = outline
    baseline: dict[str, Any] = {"constant": constant != 0, "schedules": [None] * (schedules or 0)}
    fields: dict[str, Any] = {
        "objective": ObjectiveSpec.model_validate(objective),
        "confirm": confirm and ConfirmSpec.model_validate(confirm),
        "range_test": range_test and RangeTestSpec.model_validate(range_test),
        "baseline": BaselineSpec.model_construct(**baseline),
    }
    return ResolvedSpec.model_construct(**fields)
