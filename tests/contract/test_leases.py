"""The rules of the worker protocol over HTTP, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.ledger.lost_leases import sweep
from tests.support.ledgers import LEASE_SECONDS, UNKNOWN_TASK, FakeClock, FakeWorker, study_spec


def post_study(client: TestClient, **changes: Any) -> str:
    answer = client.post("/v1/studies", json=study_spec(**changes))
    assert answer.status_code == 201, answer.text
    study_id: str = answer.json()["study_id"]
    return study_id


def expire(client: TestClient, clock: FakeClock) -> None:
    clock.advance(LEASE_SECONDS + 1)
    sweep(client.app.state.services.database)  # type: ignore[attr-defined]


def trials(client: TestClient, study_id: str, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/studies/{study_id}/trials", params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_claim_gets_a_lease_with_what_the_worker_needs(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client, task=UNKNOWN_TASK)
    lease = worker.claim()
    assert lease is not None
    assert lease["beat_seconds"] == 15
    assert lease["study"]["study_id"] == study_id
    assert lease["study"]["task"] == UNKNOWN_TASK
    (trial,) = lease["trials"]
    assert trial["number"] == 0
    assert trial["attempt"] == 1
    assert trial["purpose"] == "search"
    assert trial["checkpoint"] is None
    assert trial["horizon_fraction"] == 1.0
    assert client.get(f"/v1/studies/{study_id}").json()["state"] == "RUNNING"


def test_a_claim_without_work_answers_204(worker: FakeWorker) -> None:
    assert worker.claim() is None


def test_a_claim_that_names_a_study_gets_trials_of_no_other(client: TestClient, worker: FakeWorker) -> None:
    urgent = post_study(client, priority=5, budget={"trials": 1, "parallel": 1})
    wanted = post_study(client, budget={"trials": 1, "parallel": 1})
    lease = worker.claim(study=wanted)
    assert lease is not None
    assert lease["study"]["study_id"] == wanted
    assert worker.claim(study=wanted) is None, "its budget is spent"
    assert worker.claim(study="unknown") is None
    other = worker.claim()
    assert other is not None
    assert other["study"]["study_id"] == urgent


def test_a_repeated_claim_gets_the_same_lease_and_never_a_second_one(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client)
    first = worker.claim(key="same")
    assert worker.claim(key="same") == first
    assert len(trials(client, study_id)) == 1


def test_two_workers_may_use_the_same_key(client: TestClient) -> None:
    post_study(client)
    first, second = FakeWorker(client, "w-1").claim(key="k"), FakeWorker(client, "w-2").claim(key="k")
    assert first is not None
    assert second is not None
    assert first["lease_id"] != second["lease_id"]


def test_a_worker_gets_no_trial_of_a_task_it_does_not_offer(client: TestClient) -> None:
    post_study(client)
    assert FakeWorker(client, tasks=["other"]).claim() is None


def test_the_budget_is_exact_and_parallel_is_respected(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client, budget={"trials": 5, "parallel": 3})
    first = worker.claim(max_trials=10)
    assert first is not None
    assert len(first["trials"]) == 3
    assert worker.claim(max_trials=10) is None
    assert worker.finish(first).status_code == 200
    second = worker.claim(max_trials=10)
    assert second is not None
    assert len(second["trials"]) == 2
    worker.finish(second)
    assert worker.claim() is None
    study = client.get(f"/v1/studies/{study_id}").json()
    assert study["state"] == "COMPLETED"
    assert study["progress"]["trials"]["COMPLETED"] == 5


def test_higher_priority_goes_first_and_then_the_older_study(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    names = [("old", 0), ("new", 0), ("urgent", 7)]
    for name, priority in names:
        post_study(client, name=name, priority=priority, budget={"trials": 1, "parallel": 1})
        clock.advance(1)
    order = []
    while (lease := worker.claim()) is not None:
        order.append(client.get(f"/v1/studies/{lease['study']['study_id']}").json()["name"])
    assert order == ["urgent", "old", "new"]


def test_a_stale_attempt_gets_409_and_changes_nothing(client: TestClient, worker: FakeWorker, clock: FakeClock) -> None:
    study_id = post_study(client, budget={"trials": 1, "parallel": 1})
    stale = worker.claim()
    assert stale is not None
    expire(client, clock)
    fresh = FakeWorker(client, "w-2").claim()
    assert fresh is not None
    assert fresh["trials"][0]["trial"] == stale["trials"][0]["trial"]
    assert fresh["trials"][0]["attempt"] == 2
    before = trials(client, study_id), client.get(f"/v1/studies/{study_id}").json()["revision"]
    for answer in (worker.renew(stale), worker.report(stale, 5, 0.9), worker.finish(stale), worker.release(stale)):
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
    assert (trials(client, study_id), client.get(f"/v1/studies/{study_id}").json()["revision"]) == before
    assert client.get(f"/v1/studies/{study_id}/trials/0/curve").json()["step"] == []


def test_a_repeated_finish_gets_200_and_the_same_body_even_after_beats(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    post_study(client)
    lease = worker.claim(max_trials=2)
    assert lease is not None
    one = {**lease, "trials": lease["trials"][:1]}
    first = worker.finish(one)
    clock.advance(20)
    worker.renew(lease)
    second = worker.finish(one)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert list(first.json()["trials"].values()) == ["done"]


def test_how_a_trial_was_trained_stands_in_its_document(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client, budget={"trials": 1, "parallel": 1})
    lease = worker.claim()
    assert lease is not None
    trial = lease["trials"][0]
    execution = {"mode": "cohort", "together": 64, "reason": "faster", "epoch_seconds": {"1": 0.02, "64": 0.2}}
    execution |= {"processes": 1, "processes_seconds": {}}
    result = {"trial": trial["trial"], "attempt": trial["attempt"], "state": "COMPLETED", "value": 0.5}
    url = f"/v1/leases/{lease['lease_id']}/finish"
    refused = client.post(url, json={"trials": [{**result, "execution": {**execution, "together": 0}}]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "trials[0].execution.together"
    assert client.get(f"/v1/studies/{study_id}/trials/0").json()["execution"] is None
    assert client.post(url, json={"trials": [{**result, "execution": execution}]}).status_code == 200
    assert client.get(f"/v1/studies/{study_id}/trials/0").json()["execution"] == execution


def test_a_second_finish_with_another_result_changes_nothing(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client)
    lease = worker.claim()
    assert lease is not None
    worker.finish(lease, value=0.25)
    assert worker.finish(lease, "DIVERGED").status_code == 200
    assert trials(client, study_id)[0]["state"] == "COMPLETED"
    assert trials(client, study_id)[0]["value"] == 0.25


def test_one_beat_renews_a_whole_cohort(client: TestClient, worker: FakeWorker, clock: FakeClock) -> None:
    study_id = post_study(client)
    lease = worker.claim(max_trials=4)
    assert lease is not None
    for _ in range(5):
        clock.advance(LEASE_SECONDS - 1)
        answer = worker.renew(lease)
        assert set(answer.json()["trials"].values()) == {"continue"}
        sweep(client.app.state.services.database)  # type: ignore[attr-defined]
    assert {trial["attempt"] for trial in trials(client, study_id)} == {1}


def test_a_late_beat_that_comes_before_anybody_noticed_is_heard(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    post_study(client)
    lease = worker.claim()
    assert lease is not None
    clock.advance(LEASE_SECONDS * 10)
    assert worker.renew(lease).status_code == 200
    assert sweep(client.app.state.services.database) == 0  # type: ignore[attr-defined]


def test_a_lost_trial_is_leased_again_three_times_and_then_fails(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study_id = post_study(client, budget={"trials": 1, "parallel": 1})
    for attempt in range(1, 5):
        lease = worker.claim()
        assert lease is not None
        assert lease["trials"][0]["attempt"] == attempt
        expire(client, clock)
    assert worker.claim() is None
    (trial,) = trials(client, study_id)
    assert trial["state"] == "FAILED"
    assert trial["losses"] == 4
    assert "worker was lost 4 times" in trial["error"]


def test_a_released_trial_is_no_loss_and_goes_on_from_its_checkpoint(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client, budget={"trials": 1, "parallel": 1})
    for attempt in range(1, 11):
        lease = worker.claim()
        assert lease is not None
        assert lease["trials"][0]["attempt"] == attempt
        assert lease["trials"][0]["checkpoint"] == (None if attempt == 1 else f"file:///c/{attempt - 1}")
        worker.report(lease, attempt, 0.1, checkpoint=f"file:///c/{attempt}")
        assert worker.release(lease).json()["trials"] == {lease["trials"][0]["trial"]: "done"}
    assert trials(client, study_id)[0]["losses"] == 0


def test_an_exception_of_the_training_code_is_not_retried(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client, budget={"trials": 2, "parallel": 1})
    lease = worker.claim()
    assert lease is not None
    worker.finish(lease, "FAILED", error="Traceback …\nValueError: no")
    following = worker.claim()
    assert following is not None
    assert following["trials"][0]["number"] == 1
    assert trials(client, study_id)[0]["error"].endswith("ValueError: no")


def test_reports_are_kept_in_order_of_their_steps_and_a_later_attempt_replaces_them(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study_id = post_study(client, budget={"trials": 1, "parallel": 1})
    first = worker.claim()
    assert first is not None
    for step, value in ((30, 0.3), (10, 0.1), (20, 0.2)):
        assert set(worker.report(first, step, value).json()["trials"].values()) == {"continue"}
    expire(client, clock)
    second = worker.claim()
    assert second is not None
    worker.report(second, 20, 0.25)
    curve = client.get(f"/v1/studies/{study_id}/trials/0/curve").json()
    assert curve["step"] == [10, 20, 30]
    assert curve["metrics"]["val_accuracy"] == [0.1, 0.25, 0.3]
    assert curve["lr"] == [0.1] * 3


def test_a_step_reported_twice_in_one_call_counts_once(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client)
    lease = worker.claim()
    assert lease is not None
    row = {"step": 1, "epoch": None, "lr": 0.1, "train_loss": None, "metrics": {"val_accuracy": 0.1}}
    better = {**row, "metrics": {"val_accuracy": 0.2}}
    assert worker.report(lease, 1, 0, reports=[row, better]).status_code == 200
    curve = client.get(f"/v1/studies/{study_id}/trials/0/curve").json()
    assert curve["metrics"]["val_accuracy"] == [0.2]
    assert curve["train_loss"] == [None]


def test_a_report_is_a_beat_too(client: TestClient, worker: FakeWorker, clock: FakeClock) -> None:
    study_id = post_study(client)
    lease = worker.claim(max_trials=2)
    assert lease is not None
    for step in range(5):
        clock.advance(LEASE_SECONDS - 1)
        ends = datetime.fromisoformat(worker.report(lease, step, 0.5).json()["expires_at"])
        assert ends == clock.time + timedelta(seconds=LEASE_SECONDS)
        sweep(client.app.state.services.database)  # type: ignore[attr-defined]
    assert {trial["attempt"] for trial in trials(client, study_id)[:2]} == {1}


def test_a_report_is_kept_for_those_that_are_held_and_for_no_other(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client)
    lease = worker.claim(max_trials=3)
    assert lease is not None
    held, ended, stale = lease["trials"]
    worker.finish({**lease, "trials": [ended]})
    answer = worker.report({**lease, "trials": [held, ended, {**stale, "attempt": 9}]}, 7, 0.5)
    assert answer.status_code == 200
    assert answer.json()["trials"] == {held["trial"]: "continue", ended["trial"]: "done", stale["trial"]: "lost"}
    steps = [client.get(f"/v1/studies/{study_id}/trials/{number}/curve").json()["step"] for number in range(3)]
    assert steps == [[7], [], []]


def test_a_reported_number_is_kept_to_the_last_bit(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client)
    lease = worker.claim()
    assert lease is not None
    numbers = [0.1 + 0.2, 1 / 3, 5e-324, 1e100, 2.2250738585072011e-308, 9007199254740993.0]
    rows = [
        {"step": step, "epoch": x, "lr": x, "train_loss": -x, "metrics": {"val_accuracy": -x}}
        for step, x in enumerate(numbers)
    ]
    assert worker.report(lease, 0, 0, reports=rows).status_code == 200
    curve = client.get(f"/v1/studies/{study_id}/trials/0/curve").json()
    assert curve["lr"] == numbers
    assert curve["train_loss"] == curve["metrics"]["val_accuracy"] == [-x for x in numbers]


def test_a_trial_named_twice_in_a_call_is_refused(client: TestClient, worker: FakeWorker) -> None:
    post_study(client)
    lease = worker.claim()
    assert lease is not None
    answer = worker.finish({**lease, "trials": lease["trials"] * 2})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "trials[1].trial"


def test_only_the_lost_among_the_named_are_lost(client: TestClient, worker: FakeWorker) -> None:
    post_study(client)
    lease = worker.claim(max_trials=2)
    assert lease is not None
    one, other = lease["trials"]
    answer = worker.renew(lease, [one, {**other, "attempt": 9}])
    assert answer.status_code == 200
    assert answer.json()["trials"] == {one["trial"]: "continue", other["trial"]: "lost"}


def test_a_lease_that_never_was_is_lost(client: TestClient, worker: FakeWorker) -> None:
    post_study(client)
    lease = worker.claim()
    assert lease is not None
    assert worker.renew({**lease, "lease_id": "nobody"}).status_code == 409


@pytest.mark.parametrize(
    ("state", "value"), [("COMPLETED", None), ("DIVERGED", 0.5), ("FAILED", 0.5), ("CANCELLED", 0.5)]
)
def test_a_result_that_contradicts_itself_is_refused_whole(
    client: TestClient, worker: FakeWorker, state: str, value: float | None
) -> None:
    study_id = post_study(client)
    lease = worker.claim()
    assert lease is not None
    answer = worker.finish(lease, state=state, value=value) if value is None else None
    answer = answer or client.post(
        f"/v1/leases/{lease['lease_id']}/finish",
        json={"trials": [{"trial": lease["trials"][0]["trial"], "attempt": 1, "state": state, "value": value}]},
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "trials[0].value"
    assert trials(client, study_id)[0]["state"] == "RUNNING"


def test_a_cancelled_study_tells_its_workers_with_their_next_call(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client)
    lease = worker.claim(max_trials=2)
    assert lease is not None
    assert client.post(f"/v1/studies/{study_id}/cancel").json()["state"] == "CANCELLED"
    assert set(worker.report(lease, 1, 0.9).json()["trials"].values()) == {"cancel"}
    assert set(worker.renew(lease).json()["trials"].values()) == {"cancel"}
    assert client.get(f"/v1/studies/{study_id}/trials/0/curve").json()["step"] == []
    assert {trial["state"] for trial in trials(client, study_id)} == {"CANCELLED"}
    assert worker.claim() is None


def test_a_paused_study_gives_no_new_trials_but_hears_the_running_ones(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client)
    lease = worker.claim()
    assert lease is not None
    assert client.post(f"/v1/studies/{study_id}/pause").json()["state"] == "PAUSED"
    assert worker.claim() is None
    assert worker.finish(lease).status_code == 200
    assert client.post(f"/v1/studies/{study_id}/resume").json()["state"] == "RUNNING"
    assert worker.claim() is not None


def test_a_stopped_study_lets_its_running_trials_end_and_answers(client: TestClient, worker: FakeWorker) -> None:
    study_id = post_study(client, confirm={"top": 1, "seeds": 2})
    lease = worker.claim()
    assert lease is not None
    assert client.post(f"/v1/studies/{study_id}/stop").json()["state"] == "STOPPING"
    assert worker.claim() is None
    worker.finish(lease, value=0.75)
    assert client.get(f"/v1/studies/{study_id}").json()["state"] == "CONFIRMING"
    while (confirming := worker.claim(max_trials=8)) is not None:
        assert {trial["purpose"] for trial in confirming["trials"]} == {"confirm"}
        worker.finish(confirming, value=0.7)
    study = client.get(f"/v1/studies/{study_id}").json()
    assert study["state"] == "COMPLETED"
    best = client.get(f"/v1/studies/{study_id}/best").json()
    assert best["confirmation"]["seeds"] == 2
    assert best["confirmation"]["mean"] == pytest.approx(0.7)
