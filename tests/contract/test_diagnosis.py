"""The diagnosis of trials and studies over HTTP, on both databases."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.contract.test_studies import create
from tests.support.ledgers import UNKNOWN_TASK, FakeWorker, named

FALLING = [2.3 - 0.07 * index for index in range(10)]
SETTLED = [2.3 * 0.2**index + 0.3 + 0.01 * (index % 2) for index in range(10)]


def trained(worker: FakeWorker, losses: list[float | None], value: float | None = 0.5) -> None:
    """Claim one trial, report these losses at even steps of a hundred, and finish it."""
    lease = worker.claim()
    assert lease is not None
    (trial,) = lease["trials"]
    reports = [
        {
            "step": 10 * index + 9,
            "lr": trial["schedule"]["start_lr"],
            "train_loss": loss,
            "metrics": {"val_loss": loss, "val_accuracy": None if loss is None else 1 / (1 + loss)},
        }
        for index, loss in enumerate(losses)
    ]
    entry = {**named(trial), "horizon_steps": 100, "reports": reports}
    lease_url = f"/v1/leases/{lease['lease_id']}"
    assert worker.client.post(f"{lease_url}/report", json={"trials": [entry]}).status_code == 200
    worker.finish(lease, "DIVERGED" if losses[-1] is None else "COMPLETED", value)


def get(client: TestClient, study: dict[str, Any], *rest: object) -> Any:
    answer = client.get("/".join(["/v1/studies", study["study_id"], *map(str, rest)]))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_trial_tells_what_is_wrong_with_it_and_lists_do_not(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    trained(worker, FALLING)
    (finding,) = get(client, study, "trials", 0)["diagnosis"]
    assert finding["code"] == "rate_too_low"
    assert finding["remedy"]
    assert finding["evidence"]["last"] == FALLING[-1]
    (listed,) = get(client, study, "trials")["items"]
    assert listed["diagnosis"] is None


def test_a_healthy_trial_has_no_findings_and_one_that_runs_no_diagnosis(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    trained(worker, SETTLED)
    worker.claim()
    assert get(client, study, "trials", 0)["diagnosis"] == []
    assert get(client, study, "trials", 1)["diagnosis"] is None


def test_a_diverged_trial_names_the_step(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    trained(worker, [1.0, 5.0, None], None)
    (finding,) = get(client, study, "trials", 0)["diagnosis"]
    assert (finding["code"], finding["evidence"]["step"]) == ("diverged", 29)


def test_trials_without_a_result_of_their_own_have_no_findings(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    lease = worker.claim()
    assert lease is not None
    worker.finish(lease, "FAILED")
    assert get(client, study, "trials", 0)["diagnosis"] == []


def test_the_other_trials_have_their_say(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    for rate in (0.01, 0.05):
        schedule = {"family": "constant", "start_lr": rate, "end_lr": rate}
        assert client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": schedule}).status_code == 201
    trained(worker, FALLING, 0.9)
    assert [one["code"] for one in get(client, study, "trials", 0)["diagnosis"]] == ["rate_too_low"]
    trained(worker, SETTLED, 0.8)
    assert [one["code"] for one in get(client, study, "trials", 0)["diagnosis"]] == ["horizon_too_short"]


def test_a_study_tells_the_bound_its_best_trials_crowd_at(client: TestClient, worker: FakeWorker) -> None:
    space = {"families": ["constant"], "start_lr": {"low": 1e-3, "high": 1.0}}
    study = create(client, task=UNKNOWN_TASK, space=space, budget={"trials": 12, "parallel": 1})
    nothing = {"study_id": study["study_id"], "state": "QUEUED", "findings": [], "warnings": []}
    assert get(client, study, "diagnosis") == nothing
    for number in range(12):
        rate = 10 ** (-0.05 * number)
        schedule = {"family": "constant", "start_lr": rate, "end_lr": rate}
        client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": schedule})
        trained(worker, SETTLED, 0.9 - 0.01 * number)
    (finding,) = get(client, study, "diagnosis")["findings"]
    assert (finding["code"], finding["field"], finding["trial"]) == ("best_on_bound", "space.start_lr.high", 0)
    assert get(client, study, "best")["diagnosis"] == [finding]


def test_the_training_that_is_looked_at_is_the_answers_not_the_luckiest(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 2, "parallel": 1}, baseline=False, confirm={"top": 2, "seeds": 4})
    trained(worker, FALLING, 0.9)
    (finding,) = get(client, study, "diagnosis")["findings"]
    assert (finding["code"], finding["trial"]) == ("rate_too_low", 0)
    trained(worker, SETTLED, 0.8)
    while (lease := worker.claim()) is not None:
        worker.finish(lease, value=0.5 if lease["trials"][0]["schedule"]["family"] == "constant" else 0.8)
    best = get(client, study, "best")
    assert best["trial"] == 1
    assert best["diagnosis"] == get(client, study, "trials", 1)["diagnosis"] == []


def test_noise_is_learnt_from_the_confirmation(client: TestClient, worker: FakeWorker) -> None:
    draw = random.Random(1)
    study = create(client, budget={"trials": 8, "parallel": 1}, confirm={"top": 1, "seeds": 8})
    while (lease := worker.claim()) is not None:
        worker.finish(lease, value=draw.gauss(0.5, 0.1))
    (finding,) = get(client, study, "diagnosis")["findings"]
    assert finding["code"] == "too_noisy"
    assert finding["evidence"]["freedom"] >= 7


OWN_RATE = {"family": "constant", "start_lr": 0.9995, "end_lr": 0.9995}


def test_what_a_study_warns_of_its_best_trial_its_diagnosis_finds(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 3, "parallel": 1}, warm_start="off")
    client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": OWN_RATE})
    for value in (0.9, 0.5, 0.4):
        trained(worker, SETTLED, value)
    (warning,) = [one for one in get(client, study)["warnings"] if one["code"] == "best_on_bound"]
    (finding,) = [one for one in get(client, study, "diagnosis")["findings"] if one["code"] == "best_on_bound"]
    assert finding["field"] == warning["field"] == "space.start_lr.high"
    assert finding["trial"] == 0
    assert finding["evidence"] == {"value": pytest.approx(0.9995), "bound": 1.0}
    assert "Raise space.start_lr.high" in finding["remedy"]


def test_a_study_whose_training_code_is_broken_names_the_most_frequent_error(
    client: TestClient, worker: FakeWorker
) -> None:
    study = create(client, budget={"trials": 100, "parallel": 1})
    errors = ["Traceback …\nKeyError: 'x'", *["Traceback …\nValueError: 32 columns, not 64"] * 20]
    for error in errors:
        if (lease := worker.claim()) is not None:
            worker.finish(lease, "FAILED", error=error)
    document = get(client, study)
    assert document["state"] == "FAILED"
    (finding,) = get(client, study, "diagnosis")["findings"]
    assert (finding["code"], finding["trial"]) == ("study_failed", 1)
    assert document["reason"] in finding["message"]
    assert "9 of 10 failed trainings ended with ValueError: 32 columns, not 64" in finding["message"]
    assert finding["evidence"] == {"trainings": 10, "failed": 10, "diverged": 0, "same_error": 9}
    assert "trial 1" in finding["remedy"]


def test_a_study_whose_trials_all_diverged_names_the_bound_to_lower(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    while (lease := worker.claim()) is not None:
        worker.finish(lease, "DIVERGED", error="loss became non-finite at step 1")
    document = get(client, study)
    failed = get(client, study, "diagnosis")["findings"][0]
    assert (document["state"], failed["code"], failed["field"]) == ("FAILED", "study_failed", "space.start_lr.high")
    assert document["reason"] in failed["message"]
    assert failed["evidence"]["diverged"] == 4


def test_a_study_that_fails_without_a_training_gives_its_reason(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, task=UNKNOWN_TASK, sampler={"name": "tpe", "seed": 0})
    with client.app.state.services.database.write() as transaction:  # type: ignore[attr-defined]
        statement = text("UPDATE studies SET spec = '{}' WHERE id = :id")
        transaction.connection.execute(statement, {"id": study["study_id"]})
    worker.claim()
    document = get(client, study)
    assert document["state"] == "FAILED"
    (finding,) = get(client, study, "diagnosis")["findings"]
    assert finding["code"] == "study_failed"
    assert document["reason"] in finding["message"]
    assert finding["remedy"]


def test_a_range_test_that_failed_names_the_error_of_its_sweeps(client: TestClient, worker: FakeWorker) -> None:
    asked = {"task": {"name": "digits", "params": {"model": "mlp"}}, "seeds": 3}
    test = client.post("/v1/range-tests", json=asked).json()
    while (lease := worker.claim()) is not None:
        worker.finish(lease, "FAILED", error="FileNotFoundError: nope.csv")
    (finding,) = client.get(f"/v1/studies/{test['range_test_id']}/diagnosis").json()["findings"]
    assert finding["code"] == "study_failed"
    assert "FileNotFoundError: nope.csv" in finding["message"]


def test_there_is_no_diagnosis_of_what_does_not_exist(client: TestClient) -> None:
    assert client.get("/v1/studies/none/diagnosis").status_code == 404
