"""Builds the documents of studies, range tests, trials and curves from the database's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from lehr.schedules import schedule_from_dict
from lehr.wire import convergence as wire
from lehr.wire.base import Warning_
from lehr.wire.data import DataSummary
from lehr.wire.diagnosis import Finding
from lehr.wire.forecasts import LossForecast
from lehr.wire.ranges import RangeResult, RangeTest, RangeTestSpec
from lehr.wire.studies import FINISHED_STUDY_STATES, Study, StudySummary
from lehr.wire.trials import Curve, Fold, Trial
from service.answer.convergence import METHOD, Convergence
from service.answer.warnings import warnings_after
from service.documents.best import best_document, best_trial, evaluations_of, known_state, nothing_feasible
from service.documents.curves import reports
from service.documents.progress import count_trainings, progress, unknown_progress
from service.fleet import Fleet, KnownTask
from service.parts import Parts
from service.ranges.bounds import searched_space
from service.store.database import Transaction
from service.store.studies import find_study
from service.store.tables import StudyRow, TrialRow
from service.store.trials import count_by_state
from service.studies.validation import NOT_OFFERED, waiting_reason


@dataclass(frozen=True)
class Documents:
    """Builds study documents. Unreadable parts of a row are omitted and named in the reason, so that no list fails."""

    fleet: Fleet

    def study(self, transaction: Transaction, study_id: str) -> Study:
        """Raises NotFoundError."""
        row = find_study(transaction, study_id)
        parts = Parts(row.id)
        best = parts.get("best", lambda: best_trial(transaction, row), None)
        waits_because = parts.get("reason", lambda: _waits_because(row, partial(self.fleet.task, transaction)), None)
        waits = waits_because is not None
        none: list[Warning_] = []
        warnings = parts.get("warnings", lambda: _standing_warnings(row, waits=waits) + _best_warnings(row, best), none)
        document = Study(
            spec=parts.get("spec", lambda: _readable_spec(row), {}),
            warnings=warnings,
            **_facts(parts, row, count_trainings(transaction, [row.id]).get(row.id, {})),
            best=parts.get("best", lambda: best_document(transaction, row, best), None),
            convergence=parts.get("convergence", lambda: convergence_document(row), None),
            range_test=parts.get("range_test", lambda: _range_result(row), None),
            reason=row.reason or waits_because,
            data=parts.get("data", lambda: _data(row), None),
        )
        return document.model_copy(
            update={
                "warnings": [*document.warnings, *parts.warnings],
                "reason": row.reason or _unreadable(parts) or waits_because,
            }
        )

    def summaries(self, transaction: Transaction, rows: Sequence[StudyRow]) -> list[StudySummary]:
        """The items of a list of studies. Their outlines are sufficient."""
        counts = count_trainings(transaction, [row.id for row in rows])
        # Many studies have the same task.
        task_of = cache(partial(self.fleet.task, transaction))
        return [_summary(transaction, row, counts.get(row.id, {}), task_of) for row in rows]


def _summary(
    transaction: Transaction, row: StudyRow, counts: dict[str, int], task_of: Callable[[str], KnownTask | None]
) -> StudySummary:
    parts = Parts(row.id)
    best = parts.get("best", lambda: best_trial(transaction, row), None)
    waits_because = parts.get("reason", lambda: _waits_because(row, task_of), None)
    return StudySummary(
        **_facts(parts, row, counts),
        best=parts.get("best", lambda: best_document(transaction, row, best), None),
        reason=row.reason or _unreadable(parts) or waits_because,
    )


def _facts(parts: Parts, row: StudyRow, counts: dict[str, int]) -> dict[str, Any]:
    """The fields that a study's document and its item in a list share."""
    return {
        "study_id": row.id,
        "name": row.name,
        "state": known_state(row, parts),
        "progress": parts.get("progress", lambda: progress(row, counts), unknown_progress(counts)),
        "horizon_steps": row.horizon_steps,
        "revision": row.revision,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


def _waits_because(row: StudyRow, task_of: Callable[[str], KnownTask | None]) -> str | None:
    if row.state in FINISHED_STUDY_STATES or row.state == "PAUSED":
        return None
    return waiting_reason(row.task_name, task_of(row.task_name), row.folds)


def _readable_spec(row: StudyRow) -> dict[str, Any]:
    """The spec as stored. Raises pydantic.ValidationError if it cannot be parsed."""
    _ = row.spec
    return row.spec_document


def _data(row: StudyRow) -> DataSummary | None:
    return None if row.data is None else DataSummary.model_validate(row.data)


def _range_result(row: StudyRow) -> RangeResult | None:
    return None if row.range_test is None else RangeResult.model_validate(row.range_test)


def _unreadable(parts: Parts) -> str | None:
    if not parts.missing:
        return None
    names = ", ".join(dict.fromkeys(parts.missing))
    return f"the database's row of this study cannot be read in full ({names}); the server's log says why"


def range_test_documents(transaction: Transaction, studies: Sequence[StudyRow]) -> list[RangeTest]:
    """The range test documents of studies that have a range test."""
    sweeps = count_by_state(transaction, [study.id for study in studies], TrialRow.purpose == "range_test")
    documents = (Parts(study.id).get("range test", partial(_range_test, study, sweeps), None) for study in studies)
    return [document for document in documents if document is not None]


def _range_test(study: StudyRow, sweeps: dict[str, dict[str, int]]) -> RangeTest:
    return RangeTest(
        range_test_id=study.id,
        name=study.name,
        state=study.state,
        reason=study.reason,
        task=study.spec_document["task"],
        range_test=study.spec.range_test or RangeTestSpec(),
        sweeps=sweeps.get(study.id, {}),
        result=_range_result(study),
        created_at=study.created_at,
        finished_at=study.finished_at,
    )


def convergence_document(study: StudyRow) -> wire.Convergence | None:
    """The latest convergence estimate of a study with `stop_when`; None before the first."""
    if study.convergence is None:
        return None
    latest = Convergence(**study.convergence)
    return wire.Convergence(**study.convergence, converged=latest.converged, method=METHOD)


def _standing_warnings(study: StudyRow, *, waits: bool) -> list[Warning_]:
    """The warnings from the study's creation, without those that no longer hold."""
    return [
        Warning_.model_validate(warning)
        for warning in study.warnings
        if warning["code"] != NOT_OFFERED or (waits or study.state == "PAUSED")
    ]


def _best_warnings(study: StudyRow, best: TrialRow | None) -> list[Warning_]:
    if best is not None and nothing_feasible(study, best):
        message = f"no trial has kept the constraints so far; trial {best.number} has the least violation"
        return [Warning_(code="nothing_feasible", field="objective.constraints", message=message)]
    if best is None or best.point is None:
        return []
    return warnings_after(searched_space(study), schedule_from_dict(best.schedule))


def trial_documents(study: StudyRow, rows: Sequence[TrialRow]) -> list[Trial]:
    """The documents of a list, without rows that cannot be read."""
    documents = (Parts(row.id).get("trial", partial(trial_document, study, row), None) for row in rows)
    return [document for document in documents if document is not None]


def trial_document(
    study: StudyRow,
    row: TrialRow,
    diagnosis: list[Finding] | None = None,
    forecast: LossForecast | None = None,
    warnings: Sequence[Warning_] = (),
) -> Trial:
    derived = {
        "trial": row.id,
        "worker": row.worker_id,
        "fold": None if row.fold is None or study.folds is None else Fold(index=row.fold, count=study.folds),
        "evaluations": evaluations_of(row),
        "diagnosis": diagnosis,
        "forecast": forecast,
        "warnings": list(warnings),
    }
    copied = {name: getattr(row, name) for name in Trial.model_fields.keys() - derived}
    return Trial.model_validate({**copied, **derived})


def curve(transaction: Transaction, trial: TrialRow, max_points: int) -> Curve:
    """The trial's reports by step, evenly thinned to `max_points`, including the first and the last."""
    trial_reports = reports(transaction, trial, max_points)
    rows = trial_reports.rows
    names = sorted({name for row in rows for name in row.metrics})
    return Curve(
        study_id=trial.study_id,
        number=trial.number,
        mean_of=trial_reports.mean_of,
        step=[row.step for row in rows],
        epoch=[row.epoch for row in rows],
        lr=[row.lr for row in rows],
        train_loss=[row.train_loss for row in rows],
        metrics={name: [row.metrics.get(name) for row in rows] for name in names},
    )
