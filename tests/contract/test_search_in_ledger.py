"""A transaction that is rolled back does not change the search."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from lehr.wire.leases import FinishBatch, ReportBatch
from lehr.wire.studies import StudySpec
from service.ledger.report_ingestion import ingest_reports
from service.services import Services
from service.store.tables import TrialRow
from tests.contract.test_concurrency import claim_as
from tests.support.ledgers import settings_for, study_spec


class BrokenOffError(Exception):
    """The connection broke before the commit."""


def test_a_judgement_that_was_rolled_back_loses_no_result(database_url: str) -> None:
    services = Services.of(settings_for(database_url))
    assert _search(services, breaks_off=True) == _search(services, breaks_off=False)
    services.database.close()


def test_two_servers_that_claim_in_turn_ask_for_the_trials_that_one_would(database_url: str) -> None:
    one, other = (Services.of(settings_for(database_url)) for _ in range(2))
    assert _claimed_in_turn([one, other]) == _claimed_in_turn([one])
    one.database.close()
    other.database.close()


def _claimed_in_turn(servers: list[Services]) -> list[Any]:
    """The schedules of 18 trials, each of which ends one claim late, by the next server."""
    spec = study_spec(sampler={"name": "tpe", "seed": 2}, budget={"trials": 18, "parallel": 2}, warm_start="off")
    servers[0].studies.create(StudySpec.model_validate(spec), None)
    schedules, before = [], None
    for turn in range(18):
        server = servers[turn % len(servers)]
        lease = claim_as(server, "w-1")
        assert lease is not None
        schedules.append(lease["trials"][0]["schedule"])
        if before is not None:
            server.finishes.finish(before["lease_id"], _completed(before))
        before = lease
    assert before is not None
    servers[0].finishes.finish(before["lease_id"], _completed(before))
    return schedules


def _search(services: Services, *, breaks_off: bool) -> list[Any]:
    """The schedules that a study of 30 trials asks for."""
    spec = study_spec(
        sampler={"name": "tpe", "seed": 1},
        pruner={"name": "median"},
        budget={"trials": 30, "parallel": 1},
        warm_start="off",
    )
    study_id = services.studies.create(StudySpec.model_validate(spec), None)
    for number in range(30):
        lease = claim_as(services, "w-1")
        assert lease is not None
        if breaks_off and number == 20:
            _break_off_a_report(services, study_id, lease)
        services.finishes.finish(lease["lease_id"], _completed(lease))
    with services.database.read() as transaction:
        query = select(TrialRow.schedule).where(TrialRow.study_id == study_id).order_by(TrialRow.number)
        return list(transaction.session.execute(query).scalars())


def _break_off_a_report(services: Services, study_id: str, lease: dict[str, Any]) -> None:
    """All that a report does, up to the commit of its answer, which fails. The report is kept."""
    trial = lease["trials"][0]
    row = {"step": 1, "lr": 0.1, "metrics": {"val_accuracy": 0.1}}
    entry = {"trial": trial["trial"], "attempt": 1, "horizon_steps": 10, "reports": [row]}
    batch = ReportBatch.model_validate({"trials": [entry]})

    def report() -> None:
        ingest_reports(services.database, lease["lease_id"], batch.trials, services.heartbeats.terms)
        with services.database.write() as transaction:
            study = transaction.known_study(study_id)
            for held in transaction.trials([trial["trial"]]):
                services.claims.searches.should_prune(transaction, study, held)
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        report()


def _completed(lease: dict[str, Any]) -> FinishBatch:
    trial = lease["trials"][0]
    value = 1.0 - abs(trial["schedule"]["start_lr"] - 0.1)
    result = {"trial": trial["trial"], "attempt": 1, "state": "COMPLETED", "value": value}
    return FinishBatch.model_validate({"trials": [result]})
