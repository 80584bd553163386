"""The Pareto front of value and steps over HTTP, on both databases."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.contract.test_studies import create
from tests.support.ledgers import FakeWorker


def test_the_front_goes_from_the_soonest_to_the_best(client: TestClient, worker: FakeWorker) -> None:
    url = f"/v1/studies/{create(client)['study_id']}/front"
    assert client.get(url, params={"target": 0.5}).json()["items"] == []
    # Reached at step 20 and ended at .7; at 50 and .9; at 60 and .8, which the second beats; and never.
    for step, value in ((19, 0.7), (49, 0.9), (59, 0.8), (9, 0.4)):
        lease = worker.claim()
        assert lease is not None
        worker.report(lease, step, value)
        worker.finish(lease, value=value)
    front = client.get(url, params={"target": 0.5}).json()
    assert [(item["trial"], item["steps"], item["value"]) for item in front["items"]] == [(0, 20, 0.7), (1, 50, 0.9)]
    assert (front["reached"], front["examined"]) == (3, 4)


def test_a_front_needs_a_finite_target_and_a_study(client: TestClient) -> None:
    url = f"/v1/studies/{create(client)['study_id']}/front"
    for params in ({"target": "nan"}, {"target": "inf"}, {"target": "high"}):
        assert client.get(url, params=params).status_code == 422, params
    assert client.get("/v1/studies/none/front", params={"target": 1}).status_code == 404


def test_a_front_of_folds_takes_the_mean_of_their_steps_and_needs_all_of_them(client: TestClient) -> None:
    worker = FakeWorker(client, tasks=[{"name": "digits", "metrics": ["val_accuracy"], "folds": True}])
    assert worker.claim() is None
    objective = {"metric": "val_accuracy", "direction": "maximize", "folds": 2}
    study = create(client, objective=objective, budget={"trials": 2, "parallel": 1})["study_id"]
    # Both folds of the first get there, one of the second's does not.
    for step, value in ((19, 0.7), (39, 0.8), (9, 0.9), (9, 0.4)):
        lease = worker.claim()
        assert lease is not None
        worker.report(lease, step, value)
        worker.finish(lease, value=value)
    front = client.get(f"/v1/studies/{study}/front", params={"target": 0.6}).json()
    assert [(item["steps"], round(item["value"], 6)) for item in front["items"]] == [(30.0, 0.75)]
    assert (front["reached"], front["examined"]) == (1, 2)


def test_the_answer_carries_the_front_in_both_aims(client: TestClient, worker: FakeWorker) -> None:
    """The higher the rate the sooner .5 is reached, and the less is reached in the end; above .3 all is lost."""
    study = create(client, budget={"trials": 24, "parallel": 1}, warm_start="off")["study_id"]
    while (lease := worker.claim()) is not None:
        rate = lease["trials"][0]["schedule"]["start_lr"]
        value = 0.9 - rate if rate < 0.3 else 0.1
        worker.report(lease, round(60 - 50 * rate), value)
        worker.finish(lease, value=value)
    front = client.get(f"/v1/studies/{study}/best").json()["front"]
    assert front["aims"] == ["steps", "rate_sensitivity"]
    assert front["target"] > 0.5
    assert front["items"]
    steps = [item["steps"] for item in front["items"]]
    assert steps == sorted(steps)
    assert all(item["rate_sensitivity"] >= 0 for item in front["items"])
    params = {"target": front["target"], "aim": ["steps", "rate_sensitivity"]}
    assert client.get(f"/v1/studies/{study}/front", params=params).json() == front
    alone = client.get(f"/v1/studies/{study}/front", params={"target": front["target"]}).json()
    assert {item["trial"] for item in alone["items"]} <= {item["trial"] for item in front["items"]}
    only = client.get(f"/v1/studies/{study}/front", params={"target": 0.5, "aim": "rate_sensitivity"}).json()
    sensitivities = [item["rate_sensitivity"] for item in only["items"]]
    assert len(set(sensitivities)) == len(sensitivities)
    assert client.get(f"/v1/studies/{study}/front", params={"target": 0.5, "aim": "fun"}).status_code == 422


def test_without_a_target_the_front_takes_the_answers(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 4, "parallel": 1}, warm_start="off")["study_id"]
    url = f"/v1/studies/{study}"
    refused = client.get(f"{url}/front")
    assert refused.status_code == 409
    assert "No trial of this study has completed yet" in refused.json()["detail"]
    for value in (0.7, 0.9, 0.8):
        lease = worker.claim()
        assert lease is not None
        worker.report(lease, 49, value)
        worker.finish(lease, value=value)
    answered = client.get(f"{url}/best").json()["front"]
    assert client.get(f"{url}/front").json()["target"] == answered["target"]
    both = client.get(f"{url}/front", params={"aim": ["steps", "rate_sensitivity"]}).json()
    assert both == answered
