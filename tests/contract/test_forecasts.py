"""Forecasts over HTTP, on both databases: available after enough trainings, refused with a reason before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from lehr.schedules import schedule_from_dict
from service.forecast.fitted_curves import rates_of
from service.search.law import Law
from tests.contract.test_studies import create
from tests.support.ledgers import FakeWorker

LOSS = {"metric": "val_loss", "direction": "minimize"}
COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}
TRUE = Law(floor=0.5, reach=0.8, decay=0.5, heat=0.3, patience=0.05, reference=0.1, span=10.0)
STEPS = np.arange(4.0, 100, 5)


def reports(schedule: dict[str, Any], luck: float = 1.0, count: int = 20) -> list[dict[str, Any]]:
    """What a training reports that obeys the law over 100 steps, its losses `luck` times as high."""
    grid, rates = rates_of(schedule_from_dict(schedule), 100)
    losses = luck * TRUE.predict(grid, rates, STEPS)
    return [
        {"step": int(step), "lr": 0.1, "train_loss": float(loss) / 2, "metrics": {"val_loss": float(loss)}}
        for step, loss in zip(STEPS[:count], losses, strict=False)
    ]


def train(worker: FakeWorker, luck: float = 1.0, *, whole: bool = True) -> dict[str, Any]:
    lease = worker.claim()
    assert lease is not None
    told = reports(lease["trials"][0]["schedule"], luck, 20 if whole else 12)
    worker.report(lease, 0, 0, reports=told)
    if whole:
        worker.finish(lease, value=told[-1]["metrics"]["val_loss"])
    return lease


def study_of(client: TestClient, **changes: Any) -> str:
    asked = {"objective": LOSS, "budget": {"trials": 30, "parallel": 2}, **changes}
    return f"/v1/studies/{create(client, **asked)['study_id']}"


def test_a_study_that_knows_enough_tells_what_a_schedule_will_come_to(client: TestClient, worker: FakeWorker) -> None:
    url = study_of(client)
    for number in range(8):
        train(worker, 1 + 0.004 * (-1) ** number)
    told = client.post(f"{url}/forecast", json={"schedule": COSINE}).json()
    truth = reports(COSINE)[-1]["metrics"]["val_loss"]
    held_out, trained = told["losses"]
    assert told["knows_enough"] is True
    assert (held_out["name"], held_out["curves"], held_out["doubt"]) == ("val_loss", 8, None)
    assert held_out["interval90"][0] <= truth <= held_out["interval90"][1]
    assert abs(held_out["value"] - truth) < 0.05
    assert trained["name"] == "train_loss"
    assert trained["value"] < held_out["value"]
    steps = [each["horizon_steps"] for each in told["horizons"]]
    assert steps == [25, 50, 100, 200, 400]
    values = [each["value"] for each in told["horizons"]]
    assert values == sorted(values, reverse=True), "a longer training is better, by this law"
    longer = client.post(f"{url}/forecast", json={"schedule": COSINE, "horizon_steps": 200}).json()
    assert longer["losses"][0]["value"] == told["horizons"][3]["value"]
    assert told["suggestion"]["value"] <= min(held_out["value"], client.get(url).json()["best"]["value"]) + 0.02
    enqueued = client.post(f"{url}/trials", json={"schedule": told["suggestion"]["schedule"], "origin": "law"})
    assert (enqueued.status_code, enqueued.json()["origin"]) == (201, "law")
    assert client.post(f"{url}/trials", json={"schedule": COSINE, "origin": "sampler"}).status_code == 422


def test_a_running_trial_and_a_preview_show_what_is_expected(client: TestClient, worker: FakeWorker) -> None:
    url = study_of(client)
    for number in range(8):
        train(worker, 1 + 0.004 * (-1) ** number)
    train(worker, whole=False)
    running, ended = (client.get(f"{url}/trials/{number}").json() for number in (8, 7))
    truth = reports(running["schedule"])[-1]["metrics"]["val_loss"]
    low, high = running["forecast"]["interval90"]
    assert low <= truth <= high
    assert ended["forecast"] is None
    asked = {"schedule": COSINE, "horizon_steps": 100, "study_id": url.rsplit("/", 1)[-1]}
    seen = client.post("/v1/schedules/preview", json=asked).json()
    assert seen["forecast"] == client.post(f"{url}/forecast", json={"schedule": COSINE}).json()["losses"][0]
    several = {"schedules": [COSINE, {**COSINE, "start_lr": 0.2}], "horizon_steps": 100, "study_id": asked["study_id"]}
    both = client.post("/v1/schedules/preview", json=several).json()["schedules"]
    assert both[0]["forecast"]["value"] != both[1]["forecast"]["value"]
    assert client.post("/v1/schedules/preview", json={**asked, "study_id": "none"}).status_code == 404


def test_what_a_study_does_not_know_it_says_with_the_reason(client: TestClient, worker: FakeWorker) -> None:
    url = study_of(client)
    assert client.post(f"{url}/forecast", json={}).status_code == 409
    assert client.post(f"{url}/forecast", json={"schedule": COSINE}).status_code == 409, "no horizon is known"
    for _ in range(3):
        train(worker)
    few = client.post(f"{url}/forecast", json={}).json()
    assert few["knows_enough"] is False
    assert few["losses"][0]["doubt"]["code"] == "few_curves"
    assert (few["horizons"], few["suggestion"]) == ([], None)
    for number in range(7):
        train(worker, 1.0 + number)
    lawless = client.post(f"{url}/forecast", json={}).json()["losses"][0]
    assert (lawless["doubt"]["code"], lawless["value"], lawless["curves"]) == ("law_misfits", None, 10)


def test_an_accuracy_is_forecast_by_the_loss_beside_it_or_not_at_all(client: TestClient, worker: FakeWorker) -> None:
    accuracy = {"metric": "val_accuracy", "direction": "maximize"}
    url = study_of(client, objective=accuracy)
    for number in range(6):
        train(worker, 1 + 0.004 * (-1) ** number)
    told = client.post(f"{url}/forecast", json={"schedule": COSINE}).json()
    assert [loss["name"] for loss in told["losses"]] == ["val_loss", "train_loss"]
    assert told["knows_enough"] is True
    client.post(f"{url}/cancel")
    silent = study_of(client, objective=accuracy)
    for value in (0.5, 0.6):
        lease = worker.claim()
        assert lease is not None
        worker.report(lease, 99, value)
        worker.finish(lease, value=value)
    doubt = client.post(f"{silent}/forecast", json={}).json()["losses"][0]["doubt"]
    assert doubt["code"] == "no_loss"
    assert "val_accuracy is not a loss" in doubt["message"]


def test_a_forecast_of_nonsense_is_refused_by_name(client: TestClient) -> None:
    url = f"{study_of(client)}/forecast"
    for body, field in (
        ({"schedule": {**COSINE, "end_lr": 5.0}}, "schedule"),
        ({"horizon_steps": 0}, "horizon_steps"),
        ({"horizon": 7}, "horizon"),
    ):
        refused = client.post(url, json=body)
        assert refused.status_code == 422, body
        assert refused.json()["errors"][0]["field"].startswith(field)
    assert client.post("/v1/studies/none/forecast", json={}).status_code == 404


@pytest.mark.parametrize("pruner", ["none", "median", "phases"])
def test_a_hopeless_forecast_stops_no_trial_by_itself(client: TestClient, worker: FakeWorker, pruner: str) -> None:
    url = study_of(client, pruner={"name": pruner}, confirm=None)
    for number in range(6):
        train(worker, 1 + 0.004 * (-1) ** number)
    lease = worker.claim()
    assert lease is not None
    # Behind by ten times what the law is ever off by, but at a report that no pruner judges: its very last.
    told = reports(lease["trials"][0]["schedule"], 1.5)
    answer = worker.report(lease, 0, 0, reports=[{**told[-1], "step": 99}]).json()
    running = client.get(f"{url}/trials/6").json()
    assert running["forecast"]["doubt"] is not None or running["forecast"]["interval90"][0] > 0
    assert list(answer["trials"].values()) == ["continue"]
