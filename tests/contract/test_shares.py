"""Waiting workers share what is left of a study; a worker without competition gets all of it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from service.ledger.lost_leases import sweep
from tests.support.ledgers import LEASE_SECONDS, FakeClock, FakeWorker, study_spec

FOLDABLE = [{"name": "digits", "params_schema": None, "metrics": ["val_accuracy"], "folds": True}]


def post(client: TestClient, trials: int, parallel: int, **changes: Any) -> str:
    answer = client.post("/v1/studies", json=study_spec(budget={"trials": trials, "parallel": parallel}, **changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["study_id"])


def waiting(client: TestClient, name: str, tasks: list[Any] | None = None) -> FakeWorker:
    """A worker that has asked and was given nothing."""
    worker = FakeWorker(client, name, tasks)
    assert worker.claim(max_trials=64) is None
    return worker


def taken(worker: FakeWorker, most: int = 64) -> int:
    lease = worker.claim(max_trials=most)
    return 0 if lease is None else len(lease["trials"])


def test_two_idle_workers_halve_a_small_parallel(client: TestClient) -> None:
    first, second = waiting(client, "w-1"), waiting(client, "w-2")
    post(client, 100, 9)
    assert [taken(first), taken(second), taken(first)] == [5, 4, 0]


def test_what_is_left_of_the_budget_is_shared_too(client: TestClient) -> None:
    workers = [waiting(client, name) for name in ("w-1", "w-2", "w-3")]
    post(client, 10, 64)
    assert [taken(worker) for worker in workers] == [4, 3, 3]


def test_steps_that_do_not_suffice_for_the_budget_are_what_is_shared(client: TestClient) -> None:
    first, second = waiting(client, "w-1"), waiting(client, "w-2")
    study = study_spec(budget={"trials": 100, "parallel": 64, "max_steps": 700})
    assert client.post("/v1/studies", json=study).status_code == 201
    lease = first.claim(max_trials=64)
    assert lease is not None
    assert len(lease["trials"]) == 1, "until the first has told the horizon"
    first.report(lease, 5, 0.5)
    first.finish(lease)
    assert [taken(first), taken(second)] == [3, 3]


def test_more_workers_than_trials_are_given_one_each(client: TestClient) -> None:
    workers = [waiting(client, f"w-{number}") for number in range(4)]
    post(client, 2, 64)
    assert [taken(worker) for worker in workers] == [1, 1, 0, 0]


def test_a_large_study_gives_everybody_all_that_is_asked_for(client: TestClient) -> None:
    first, second = waiting(client, "w-1"), waiting(client, "w-2")
    post(client, 100, 64)
    assert [taken(first, 16), taken(second, 16)] == [16, 16]


def test_who_is_alone_is_given_everything(client: TestClient) -> None:
    worker = waiting(client, "w-1")
    post(client, 100, 9)
    assert taken(worker) == 9


def test_no_place_is_kept_for_a_worker_that_trains(client: TestClient) -> None:
    post(client, 1, 1)
    busy = FakeWorker(client, "w-2")
    assert taken(busy, 1) == 1
    post(client, 100, 9)
    assert taken(FakeWorker(client, "w-1")) == 9


def test_a_worker_whose_study_was_cancelled_waits(client: TestClient) -> None:
    cancelled = post(client, 1, 1)
    assert taken(FakeWorker(client, "w-2"), 1) == 1
    client.post(f"/v1/studies/{cancelled}/cancel")
    post(client, 100, 9)
    assert taken(FakeWorker(client, "w-1")) == 5


def test_no_place_is_kept_for_a_worker_that_was_not_heard_of_lately(client: TestClient, clock: FakeClock) -> None:
    waiting(client, "w-2")
    clock.advance(31)
    post(client, 100, 9)
    assert taken(FakeWorker(client, "w-1")) == 9


def test_no_place_is_kept_for_a_worker_that_cannot_train_the_study(client: TestClient) -> None:
    first = waiting(client, "w-1", FOLDABLE)
    waiting(client, "w-2", ["other"])
    waiting(client, "w-3", ["digits"])
    post(client, 100, 9, objective={"metric": "val_accuracy", "direction": "maximize", "folds": 3})
    assert taken(first) == 9


def test_trainings_of_one_search_trial_are_shared(client: TestClient) -> None:
    first, second = waiting(client, "w-1", FOLDABLE), waiting(client, "w-2", FOLDABLE)
    study = post(client, 1, 64, objective={"metric": "val_accuracy", "direction": "maximize", "folds": 5})
    assert [taken(first), taken(second)] == [3, 2]
    progress = client.get(f"/v1/studies/{study}").json()["progress"]["trials"]
    assert (progress["RUNNING"], progress["WAITING"]) == (5, 0)


def test_asking_for_one_at_a_time_gets_all_places_while_another_waits(client: TestClient) -> None:
    first = waiting(client, "w-1")
    waiting(client, "w-2")
    post(client, 100, 4)
    assert [taken(first, 1) for _ in range(5)] == [1, 1, 1, 1, 0]


@pytest.mark.parametrize(("held", "more"), [(2, 3), (5, 1), (8, 1)])
def test_what_a_worker_holds_is_a_part_of_its_share(client: TestClient, held: int, more: int) -> None:
    """As when it leases ahead: of 10 places two workers have 5 each, but whoever asks is given one."""
    first = FakeWorker(client, "w-1")
    post(client, 100, 10)
    assert taken(first, held) == held
    second = FakeWorker(client, "w-2", ["digits"])
    assert second.claim(study="none") is None
    assert taken(first) == more
    assert taken(second) == 10 - held - more


def test_trials_of_a_lost_worker_are_shared_among_those_who_wait(client: TestClient, clock: FakeClock) -> None:
    post(client, 8, 8)
    assert taken(FakeWorker(client, "lost")) == 8
    clock.advance(LEASE_SECONDS + 1)
    first, second = waiting(client, "w-1"), waiting(client, "w-2")
    assert sweep(client.app.state.services.database) == 1  # type: ignore[attr-defined]
    assert [taken(first), taken(second)] == [4, 4]


def test_confirmation_and_a_users_own_trials_are_shared(client: TestClient) -> None:
    first, second = waiting(client, "w-1"), waiting(client, "w-2")
    study = post(client, 4, 64, confirm={"top": 2, "seeds": 4})
    for rate in (0.1, 0.2):
        schedule = {"family": "constant", "start_lr": rate, "end_lr": rate}
        assert client.post(f"/v1/studies/{study}/trials", json={"schedule": schedule}).status_code == 201
    leases = [worker.claim(max_trials=64) for worker in (first, second)]
    assert [len(lease["trials"]) for lease in leases if lease] == [2, 2]
    for index, lease in enumerate(leases):
        assert lease is not None
        first.finish(lease, value=0.5 + index / 10)
    assert client.get(f"/v1/studies/{study}").json()["state"] == "CONFIRMING"
    left = client.get(f"/v1/studies/{study}").json()["progress"]["trials"]["WAITING"]
    assert left > 1
    assert [taken(first), taken(second)] == [-(-left // 2), left // 2]


def test_a_repeated_claim_gets_its_share_again(client: TestClient) -> None:
    first = waiting(client, "w-1")
    waiting(client, "w-2")
    post(client, 100, 8)
    lease = first.claim(max_trials=64, key="k")
    assert lease is not None
    assert len(lease["trials"]) == 4
    assert first.claim(max_trials=64, key="k") == lease
