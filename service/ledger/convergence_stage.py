"""Stops a search that has converged. The latest estimate of its convergence is stored with the study."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import structlog
from sqlalchemy import func, select

from lehr.schedules import schedule_from_dict
from service.answer.constraints import is_broken
from service.answer.convergence import FEWEST, SMALL, Convergence, convergence
from service.ranges.bounds import searched_space
from service.search.observations import as_loss
from service.store.database import Transaction
from service.store.tables import StudyRow, TrialRow
from service.store.trials import is_searched

EVERY = 12
"""Convergence is estimated again after 1/12 more trials have ended: it changes slowly, and an estimate takes 0.1 s."""
ENDED = ("COMPLETED", "PRUNED", "DIVERGED")

log = structlog.get_logger("lehr.ledger")


def reached_convergence(transaction: Transaction, study: StudyRow, _rule: str) -> str | None:
    """Why the search stops; None while it continues. Needs the study's lock and flushed rows."""
    query = select(func.count()).where(is_searched(study.id, *ENDED))
    ended = transaction.connection.execute(query).scalar_one()
    seen = (study.convergence or {}).get("trials", 0)
    if ended >= FEWEST and ended - seen >= max(1, ended // EVERY):
        _estimate_convergence(transaction, study)
    if study.convergence is None:
        return None
    latest = Convergence(**study.convergence)
    if not latest.converged:
        return None
    return (
        f"budget.stop_when: converged after {latest.trials} trials: the expected improvement of another trial is "
        f"{latest.expected_improvement:.3g}, at most {SMALL:g} times the noise of a training ({latest.noise:.3g}); "
        f"the estimated bound on the regret is {latest.regret_bound:.3g}"
    )


def _estimate_convergence(transaction: Transaction, study: StudyRow) -> None:
    query = (
        select(TrialRow.schedule, TrialRow.state, TrialRow.value, TrialRow.violation)
        .where(is_searched(study.id, *ENDED))
        .order_by(TrialRow.number)
    )
    rows = transaction.connection.execute(query).all()
    direction = study.spec.objective.direction
    losses = [as_loss(row.value if _counts(row) else None, direction) for row in rows]
    space = searched_space(study).to_space()
    estimate = convergence([schedule_from_dict(row.schedule) for row in rows], losses, space)
    if estimate is None:
        return
    study.convergence = asdict(estimate)
    log.info("search_looked_at", study=study.id, **study.convergence)


def _counts(row: Any) -> bool:
    """Whether the trial's value counts: it COMPLETED and keeps the constraints."""
    return row.state == "COMPLETED" and not is_broken(row.violation)
