"""Stop rules end a search before its trials are spent, over HTTP, on both databases."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.ledger.overdue_searches import end_overdue
from tests.contract.test_studies import act, create
from tests.support.ledgers import UNKNOWN_TASK, FakeClock, FakeWorker, study_spec

LOSS = {"metric": "val_loss", "direction": "minimize"}
COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}


def read(client: TestClient, study: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = client.get(f"/v1/studies/{study['study_id']}").json()
    return document


def claimed(worker: FakeWorker, **asked: Any) -> dict[str, Any]:
    lease = worker.claim(**asked)
    assert lease is not None
    return lease


@pytest.mark.parametrize(
    ("direction", "values", "target"), [("maximize", (0.8, 0.95), 0.9), ("minimize", (0.8, 0.3), 0.3)]
)
def test_a_target_that_is_reached_ends_the_search_and_says_so(
    client: TestClient, worker: FakeWorker, direction: str, values: tuple[float, float], target: float
) -> None:
    objective = {"metric": "score", "direction": direction}
    budget = {"trials": 9, "parallel": 1, "target": target}
    study = create(client, task=UNKNOWN_TASK, objective=objective, budget=budget)
    worker.finish(claimed(worker), value=values[0])
    assert read(client, study)["state"] == "RUNNING"
    worker.finish(claimed(worker), value=values[1])
    ended = read(client, study)
    assert ended["state"] == "COMPLETED"
    assert ended["reason"] == f"budget.target: score {values[1]:g} of trial 1 reaches {target:g}"
    assert ended["best"]["value"] == values[1]
    assert worker.claim() is None


def test_what_runs_when_a_target_is_reached_ends_first_and_what_waits_is_cancelled(
    client: TestClient, worker: FakeWorker
) -> None:
    budget = {"trials": 9, "parallel": 2, "target": 0.9}
    study = create(client, budget=budget, confirm={"top": 2, "seeds": 2})
    first, second = claimed(worker), claimed(worker)
    client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": COSINE})
    worker.finish(first, value=0.95)
    stopping = read(client, study)
    assert (stopping["state"], stopping["progress"]["trials"]["CANCELLED"]) == ("STOPPING", 1)
    assert stopping["reason"].startswith("budget.target")
    worker.finish(second, value=0.97)
    assert read(client, study)["state"] == "CONFIRMING"
    while (lease := worker.claim()) is not None:
        worker.finish(lease, value=0.9)
    ended = read(client, study)
    assert ended["state"] == "COMPLETED"
    assert "0.95 of trial 0 reaches 0.9" in ended["reason"]


def test_a_search_whose_time_is_up_gives_no_more_trials(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study = create(client, budget={"trials": 9, "parallel": 1, "max_seconds": 100})
    clock.advance(500)  # waiting in the queue is no searching
    lease = claimed(worker)
    for _ in range(2):
        clock.advance(49)
        worker.renew(lease)
    worker.finish(lease, value=0.5)
    assert read(client, study)["state"] == "RUNNING"
    clock.advance(2)
    assert worker.claim() is None
    ended = read(client, study)
    assert (ended["state"], ended["reason"]) == ("COMPLETED", "budget.max_seconds: 100.0 of 100 s have passed")


def test_a_search_whose_time_is_up_ends_even_when_nobody_claims(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    timed = create(client, budget={"trials": 9, "parallel": 1, "max_seconds": 100})
    worker.finish(claimed(worker), value=0.5)
    create(client)
    database = client.app.state.services.database  # type: ignore[attr-defined]
    clock.advance(99)
    end_overdue(database)
    assert read(client, timed)["state"] == "RUNNING"
    clock.advance(2)
    end_overdue(database)  # or the server's own look, which comes by every second
    assert read(client, timed)["state"] == "COMPLETED"
    assert end_overdue(database) == 0


def test_time_passes_in_a_pause_and_counts_when_it_ends(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study = create(client, budget={"trials": 9, "parallel": 1, "max_seconds": 100})
    worker.finish(claimed(worker), value=0.5)
    act(client, study, "pause")
    clock.advance(1000)
    assert read(client, study)["state"] == "PAUSED"
    assert act(client, study, "resume").json()["state"] == "COMPLETED"


def test_steps_are_spent_exactly_and_what_pruning_saves_is_spent_again(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 9, "parallel": 8, "max_steps": 250})
    lease = claimed(worker, max_trials=8)
    assert len(lease["trials"]) == 1, "until it reports, nobody knows what a training costs"
    assert worker.claim() is None
    worker.report(lease, 9, 0.5)
    other = claimed(worker, max_trials=8)
    assert len(other["trials"]) == 1, "three trainings of 100 steps would be 300"
    worker.report(other, 39, 0.5)
    refused = client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": COSINE})
    assert refused.status_code == 409
    assert "budget.max_steps" in refused.json()["detail"]
    worker.finish(other, "PRUNED", value=None)
    third = claimed(worker, max_trials=8)
    assert len(third["trials"]) == 1
    for each in (lease, third):
        worker.report(each, 99, 0.5)
        worker.finish(each, value=0.5)
    ended = read(client, study)
    assert ended["state"] == "COMPLETED"
    assert ended["reason"] == "budget.max_steps: 240 of 250 steps are spent, and a training needs 100"


def test_a_training_longer_than_all_steps_ends_the_search_after_it(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 9, "parallel": 1, "max_steps": 50})
    lease = claimed(worker)
    worker.report(lease, 99, 0.5)
    assert worker.claim() is None
    worker.finish(lease, value=0.5)
    assert read(client, study)["reason"] == "budget.max_steps: 100 of 50 steps are spent"


def test_a_rule_that_ends_a_search_in_which_nothing_completed_fails_the_study(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study = create(client, budget={"trials": 9, "parallel": 1, "max_seconds": 10})
    worker.finish(claimed(worker), "DIVERGED", error="the loss is not finite")
    clock.advance(11)
    assert worker.claim() is None
    ended = read(client, study)
    assert ended["state"] == "FAILED"
    assert ended["reason"].startswith("budget.max_seconds: 11.0 of 10 s have passed, and no trial had completed")


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_seconds", 0), ("max_seconds", -1), ("max_seconds", 1e12), ("max_seconds", "60"),
     ("max_steps", 0), ("max_steps", -5), ("max_steps", 1.5), ("max_steps", True), ("target", "good"),
     ("target", 0), ("target", -0.5), ("target", 100.5)],
)  # fmt: skip
def test_a_bound_that_makes_no_sense_is_refused_by_name(client: TestClient, field: str, value: Any) -> None:
    budget = {"trials": 4, "parallel": 1, field: value}
    refused = client.post("/v1/studies", json=study_spec(budget=budget))
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["errors"]] == [f"budget.{field}"]
    assert refused.json()["errors"][0]["remedy"]


def test_an_error_below_nothing_is_no_target_and_a_loss_of_nothing_an_unlikely_one(client: TestClient) -> None:
    negative = {"metric": "val_error", "direction": "minimize"}
    spec = study_spec(objective=negative, budget={"trials": 4, "target": -0.1})
    assert client.post("/v1/studies", json=spec).status_code == 422
    for objective, target in ((LOSS, 0.0), (study_spec()["objective"], 97.0)):
        study = create(client, objective=objective, budget={"trials": 4, "target": target})
        assert "target_out_of_reach" in {warning["code"] for warning in study["warnings"]}


def search_until_it_stops(client: TestClient, worker: FakeWorker, url: str) -> int:
    """Answer each trial by how far its highest rate is from a tenth, and a little luck; returns how many there were."""
    luck, number = random.Random(0), 0
    while (lease := worker.claim()) is not None:
        rate = lease["trials"][0]["schedule"]["start_lr"]
        worker.finish(lease, value=0.9 - 0.1 * abs(math.log10(rate) + 1) + luck.gauss(0, 0.02))
        number += 1
    return number


def test_a_search_that_has_converged_stops_and_says_what_it_believes(client: TestClient, worker: FakeWorker) -> None:
    space = {**study_spec()["space"], "families": ["constant"]}
    budget = {"trials": 120, "parallel": 1, "stop_when": "converged"}
    study = create(client, space=space, budget=budget, sampler={"name": "tpe", "seed": 0})
    assert study["convergence"] is None
    number = search_until_it_stops(client, worker, study["study_id"])
    ended = read(client, study)
    assert 20 <= number < 120
    assert ended["state"] == "COMPLETED"
    assert ended["reason"].startswith("budget.stop_when: converged after")
    known = ended["convergence"]
    assert known["converged"] is True
    assert known["expected_improvement"] <= 0.3 * known["noise"]
    assert known["regret_bound"] > 0
    assert "arXiv 2104.08166" in known["method"]
    best = client.get(f"/v1/studies/{study['study_id']}/best").json()
    assert best["convergence"] == known
    assert abs(math.log10(best["schedule"]["start_lr"]) + 1) < 0.5


def test_a_search_too_short_to_converge_is_warned_of_and_another_rule_refused(client: TestClient) -> None:
    study = create(client, budget={"trials": 20, "stop_when": "converged"})
    assert "converges_never" in {warning["code"] for warning in study["warnings"]}
    refused = client.post("/v1/studies", json=study_spec(budget={"trials": 4, "stop_when": "bored"}))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "budget.stop_when"


def swept(client: TestClient, worker: FakeWorker, **budget: Any) -> str:
    space = {"families": ["constant", "cosine"], "start_lr": "auto", "end_lr": {"low": 1e-8, "high": 1e-2}}
    spec = study_spec(
        space=space,
        range_test={"steps": 100, "seeds": 2},
        budget={"trials": 4, "parallel": 1, **budget},
    )
    answer = client.post("/v1/studies", json=spec)
    assert answer.status_code == 201, answer.text
    study_id: str = answer.json()["study_id"]
    return study_id


def test_time_that_is_up_during_a_range_test_ends_the_study_and_says_so(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study = swept(client, worker, max_seconds=30)
    lease = worker.claim()
    assert lease is not None
    assert lease["trials"][0]["purpose"] == "range_test"
    clock.advance(31)
    worker.finish(lease, "DIVERGED", None)
    assert worker.claim() is None
    found = client.get(f"/v1/studies/{study}").json()
    assert (found["state"], found["range_test"]["found"]) == ("FAILED", False)
    assert found["reason"].startswith("budget.max_seconds: 31.0 of 30 s")
    assert found["progress"]["trials"]["WAITING"] == found["progress"]["trials"]["RUNNING"] == 0


def test_sweeps_count_for_neither_steps_nor_target(client: TestClient, worker: FakeWorker) -> None:
    study = swept(client, worker, max_steps=250, target=0.9)
    for _ in range(2):
        lease = worker.claim()
        assert lease is not None
        assert lease["trials"][0]["purpose"] == "range_test"
        worker.report(lease, 99, 0.99)
        worker.finish(lease, value=0.99)
    trained = 0
    while (lease := worker.claim()) is not None:
        worker.report(lease, 99, 0.5)
        worker.finish(lease, value=0.5)
        trained += 1
    found = client.get(f"/v1/studies/{study}").json()
    assert (found["state"], trained) == ("COMPLETED", 2)
    assert found["reason"].startswith("budget.max_steps: 200 of 250")
