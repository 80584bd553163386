"""Documents of trainings with very many reports are correct, and do not load all reports into memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

from service.store.tables import ReportRow
from tests.contract.test_studies import create
from tests.support.ledgers import FakeWorker

MIB = 2**20
REPORTS = 40_000
METRIC = 'val "acc"'
OBJECTIVE = {"metric": METRIC, "direction": "maximize"}
TASK = {"name": "any:task", "params": {}}


def accuracy(place: int) -> float | None:
    """Rises to .9 by steps of 0.9/40000, with a gap where it was not finite."""
    return None if place == 12_345 else 0.9 * (place + 1) / REPORTS


def train(client: TestClient, worker: FakeWorker, reports: int = REPORTS) -> None:
    """A training that reports at each step."""
    lease = worker.claim()
    assert lease is not None
    entry = {"trial": lease["trials"][0]["trial"], "attempt": 1, "horizon_steps": REPORTS, "reports": []}
    assert client.post(f"/v1/leases/{lease['lease_id']}/report", json={"trials": [entry]}).status_code == 200
    services = client.app.state.services  # type: ignore[attr-defined]
    with services.database.write() as transaction:
        rows = [
            {
                "trial_id": lease["trials"][0]["trial"],
                "step": place,
                "attempt": 1,
                "lr": 0.1 + place / REPORTS,
                "train_loss": 1.0 - place / REPORTS,
                "metrics": {METRIC: accuracy(place), "val_loss": 1.0 - place / REPORTS},
            }
            for place in range(reports)
        ]
        transaction.session.execute(insert(ReportRow), rows)
    assert worker.finish(lease, value=accuracy(reports - 1)).status_code == 200


@contextmanager
def little_memory(mebibytes: float = 12) -> Iterator[None]:
    """All the reports take 40 MiB."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mebibytes * MIB
    finally:
        tracemalloc.stop()


@pytest.fixture
def study(client: TestClient, worker: FakeWorker) -> str:
    study_id: str = create(client, task=TASK, objective=OBJECTIVE, budget={"trials": 3, "parallel": 1})["study_id"]
    train(client, worker)
    return study_id


def get(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_curve_is_thinned_and_keeps_its_ends(client: TestClient, study: str) -> None:
    with little_memory():
        curve = get(client, f"/v1/studies/{study}/trials/0/curve", max_points=101)
    assert curve["step"] == [round(k * (REPORTS - 1) / 100) for k in range(101)]
    assert curve["metrics"][METRIC] == [accuracy(step) for step in curve["step"]]
    assert curve["lr"] == [0.1 + step / REPORTS for step in curve["step"]]
    assert len(get(client, f"/v1/studies/{study}/trials/0/curve")["step"]) == 10_000
    assert get(client, f"/v1/studies/{study}/trials/0/curve", max_points=1)["step"] == [0]


@pytest.mark.parametrize("target", [accuracy(0), accuracy(31_415), accuracy(REPORTS - 1)])
def test_the_front_finds_the_first_report_as_good_as_the_target(client: TestClient, study: str, target: float) -> None:
    with little_memory():
        front = get(client, f"/v1/studies/{study}/front", target=target)
    expected = next(place + 1 for place in range(REPORTS) if (accuracy(place) or 0) >= target)
    assert [item["steps"] for item in front["items"]] == [expected]


def test_a_target_that_no_report_reaches_has_no_front(client: TestClient, study: str) -> None:
    assert get(client, f"/v1/studies/{study}/front", target=0.91)["items"] == []


@pytest.mark.parametrize("path", ["/diagnosis", "/best", "/trials/0"])
def test_other_documents_need_few_of_the_reports(client: TestClient, study: str, path: str) -> None:
    get(client, f"/v1/studies/{study}{path}")  # what is loaded once counts for no study
    with little_memory():
        get(client, f"/v1/studies/{study}{path}")


def test_the_front_of_a_falling_metric_and_of_several_trainings(client: TestClient, worker: FakeWorker) -> None:
    objective = {"metric": "val_loss", "direction": "minimize", "seeds": 2}
    study = create(client, task=TASK, objective=objective, budget={"trials": 1, "parallel": 2})["study_id"]
    train(client, worker, 30_000)
    train(client, worker, 20_000)
    with little_memory():
        curve = get(client, f"/v1/studies/{study}/trials/0/curve", max_points=1000)
    assert curve["mean_of"] == [1, 2]
    assert curve["step"] == [int(k * 19_999 / 999 + 0.5) for k in range(1000)]
    assert curve["metrics"]["val_loss"] == pytest.approx([1.0 - step / REPORTS for step in curve["step"]])
    assert [item["steps"] for item in get(client, f"/v1/studies/{study}/front", target=0.75)["items"]] == [10_001]
    assert get(client, f"/v1/studies/{study}/front", target=0.4)["items"] == []
