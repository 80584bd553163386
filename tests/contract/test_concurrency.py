"""Many concurrent calls on both databases, with the database's own clock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from lehr.errors import LostLeaseError
from lehr.wire.leases import Claim, FinishBatch, LeaseAnswer, ReportBatch
from lehr.wire.studies import StudySpec
from service.ledger.lifecycle import bump_revision, settle
from service.ledger.lost_leases import lose_lease
from service.services import Services
from service.store.database import Transaction
from service.store.tables import LeaseRow, ReportRow
from tests.support.ledgers import settings_for, study_spec

CLAIMERS = 32


def claim_as(services: Services, worker: str, key: str | None = None, max_trials: int = 1) -> dict[str, Any] | None:
    claim = Claim.model_validate(
        {
            "worker": {"id": worker, "name": worker, "device": "cpu", "tasks": ["digits"]},
            "max_trials": max_trials,
        }
    )
    return services.claims.claim(claim, key)


def create(services: Services, **changes: Any) -> str:
    return services.studies.create(StudySpec.model_validate(study_spec(**changes)), None)


def all_at_once(calls: list[Any]) -> list[Any]:
    barrier = Barrier(len(calls))

    def run(call: Any) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_of_32_claimers_of_one_remaining_trial_exactly_one_gets_it(database_url: str) -> None:
    services = Services.of(settings_for(database_url))
    create(services, budget={"trials": 1, "parallel": 32})
    leases = all_at_once([lambda n=n: claim_as(services, f"w-{n}") for n in range(CLAIMERS)])
    assert sum(lease is not None for lease in leases) == 1
    services.database.close()


def test_32_claimers_of_two_servers_never_exceed_the_budget_nor_share_a_trial(database_url: str) -> None:
    servers = [Services.of(settings_for(database_url)) for _ in range(2)]
    study_id = create(servers[0], budget={"trials": 20, "parallel": 100}, sampler={"name": "tpe", "seed": 0})
    calls = [lambda n=n: claim_as(servers[n % 2], f"w-{n}", max_trials=3) for n in range(CLAIMERS)]
    leases = [lease for lease in all_at_once(calls) if lease is not None]
    numbers = sorted(trial["number"] for lease in leases for trial in lease["trials"])
    assert numbers == list(range(20))
    schedules = {str(trial["schedule"]) for lease in leases for trial in lease["trials"]}
    assert len(schedules) == 20
    with servers[0].database.read() as transaction:
        assert servers[0].documents.study(transaction, study_id).progress.trials["RUNNING"] == 20
    for server in servers:
        server.database.close()


def test_one_key_claimed_by_many_at_once_gets_one_lease(database_url: str) -> None:
    services = Services.of(settings_for(database_url))
    create(services, budget={"trials": 8, "parallel": 8})
    create(services, budget={"trials": 8, "parallel": 8})
    leases = all_at_once([lambda: claim_as(services, "w-1", key="same") for _ in range(8)])
    assert len({lease["lease_id"] for lease in leases}) == 1
    services.database.close()


def test_one_study_created_by_many_with_one_key_is_created_once(database_url: str) -> None:
    services = Services.of(settings_for(database_url))
    spec = StudySpec.model_validate(study_spec())
    created = all_at_once([lambda: services.studies.create(spec, "key") for _ in range(8)])
    assert len(set(created)) == 1
    services.database.close()


def test_finishes_of_many_workers_at_once_end_the_study_once(database_url: str) -> None:
    services = Services.of(settings_for(database_url))
    study_id = create(services, budget={"trials": 16, "parallel": 16}, confirm={"top": 2, "seeds": 2})
    leases = [lease for n in range(16) if (lease := claim_as(services, f"w-{n}")) is not None]

    def finish(lease: dict[str, Any]) -> None:
        trial = lease["trials"][0]
        result = {"trial": trial["trial"], "attempt": 1, "state": "COMPLETED", "value": 0.1 + trial["number"] / 100}
        services.finishes.finish(lease["lease_id"], FinishBatch.model_validate({"trials": [result]}))

    all_at_once([lambda lease=lease: finish(lease) for lease in leases])
    with services.database.read() as transaction:
        study = services.documents.study(transaction, study_id)
    assert study.state == "CONFIRMING"
    assert study.progress.trials["WAITING"] == 2  # the first round of the race, of two racers with one seed
    services.database.close()


def test_a_report_that_waits_while_its_lease_is_lost_is_not_heard(database_url: str) -> None:
    def lose(transaction: Transaction, study_id: str, lease: dict[str, Any]) -> None:
        study, row = transaction.known_study(study_id), transaction.session.get(LeaseRow, lease["lease_id"])
        assert row is not None
        lose_lease(transaction, study, row)

    services = Services.of(settings_for(database_url))
    answer, _, kept = _report_while(services, lose)
    with pytest.raises(LostLeaseError):
        answer.result()
    assert kept == []
    services.database.close()


def test_a_report_that_waits_while_a_trial_is_cancelled_is_heard_for_the_others(database_url: str) -> None:
    def cancel_first(transaction: Transaction, study_id: str, lease: dict[str, Any]) -> None:
        study, (first,) = transaction.known_study(study_id), transaction.trials([lease["trials"][0]["trial"]])
        settle(transaction, study, first, "CANCELLED")
        bump_revision(study, first)

    services = Services.of(settings_for(database_url))
    answer, (first, second), kept = _report_while(services, cancel_first)
    assert answer.result().trials == {first: "cancel", second: "continue"}
    assert kept == [second]
    services.database.close()


def _report_while(
    services: Services, change: Callable[[Transaction, str, dict[str, Any]], None]
) -> tuple[Future[LeaseAnswer], list[str], list[str]]:
    """What a report of two trials answers that began before the change was committed: the trials, those it kept."""
    study_id = create(services)
    lease = claim_as(services, "w-1", max_trials=2)
    assert lease is not None
    row = {"step": 1, "lr": 0.1, "metrics": {"val_accuracy": 0.5}}
    entries = [{"trial": one["trial"], "attempt": 1, "horizon_steps": 9, "reports": [row]} for one in lease["trials"]]
    batch = ReportBatch.model_validate({"trials": entries})
    with ThreadPoolExecutor(1) as pool:
        with services.database.write() as transaction:
            transaction.lock_study(study_id)
            answer = pool.submit(services.heartbeats.report, lease["lease_id"], batch)
            assert not wait([answer], timeout=0.3).done
            change(transaction, study_id, lease)
        wait([answer])
    with services.database.read() as transaction:
        kept = list(transaction.session.execute(select(ReportRow.trial_id)).scalars())
    return answer, [one["trial"] for one in lease["trials"]], kept
