"""Finds a study by id, with or without its lock."""

from __future__ import annotations

from sqlalchemy import exists, select

from lehr.errors import NotFoundError
from service.store.database import Transaction
from service.store.tables import StudyRow


def find_study(transaction: Transaction, study_id: str) -> StudyRow:
    """The study. Raises NotFoundError."""
    study = transaction.session.get(StudyRow, study_id)
    if study is None:
        raise NotFoundError(f"there is no study {study_id}")
    return study


def locked_study(transaction: Transaction, study_id: str) -> StudyRow:
    """The study under its lock. Raises NotFoundError."""
    study = transaction.lock_study(study_id)
    if study is None:
        raise NotFoundError(f"there is no study {study_id}")
    return study


def study_exists(transaction: Transaction, study_id: str) -> bool:
    return transaction.session.execute(select(exists().where(StudyRow.id == study_id))).scalar_one()
