"""A study may be posted before a worker of its task: it is checked against built-in tasks at once, and against others
when a worker first offers them.
"""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import FakeClock, FakeWorker, study_spec

SCHEMA = {"type": "object", "properties": {"depth": {"type": "integer", "default": 3}}, "additionalProperties": False}
OWN = {"name": "own:task", "params_schema": SCHEMA, "metrics": ["val_loss", "val_accuracy"]}


def post(client: TestClient, task: str = "own:task", metric: str = "val_accuracy", **params: Any) -> Any:
    objective = {"metric": metric, "direction": "maximize"}
    return client.post("/v1/studies", json=study_spec(task={"name": task, "params": params}, objective=objective))


def document(client: TestClient, study_id: str) -> Any:
    return client.get(f"/v1/studies/{study_id}").json()


def codes(study: Any) -> set[str]:
    return {warning["code"] for warning in study["warnings"]}


@pytest.mark.parametrize(
    ("metric", "params", "field", "remedy"),
    [
        ("val_acuracy", {}, "objective.metric", "Did you mean val_accuracy?"),
        ("val_accuracy", {"epoch": 3}, "task.params", "Did you mean epochs?"),
        ("val_accuracy", {"model": "mpl"}, "task.params.model", "Did you mean mlp?"),
    ],
)
def test_a_built_in_task_is_known_before_any_worker(
    client: TestClient, metric: str, params: dict[str, Any], field: str, remedy: str
) -> None:
    answer = post(client, "digits", metric, **params)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["field"], fault["remedy"]) == (field, remedy)


def test_a_mistyped_task_suggests_the_one_that_is_known(client: TestClient) -> None:
    (warning,) = [one for one in post(client, "digit").json()["warnings"] if one["code"] == "task_not_offered"]
    assert "did you mean digits?" in warning["message"]


@pytest.mark.parametrize("path", ["/home/me/data.csv", "C:\\data.csv", "../data.csv"])
def test_a_path_outside_the_data_folder_is_refused_with_a_word_about_it(client: TestClient, path: str) -> None:
    answer = post(client, "tabular", "val_score", file=path)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert "data folder" in fault["remedy"]
    assert "^" not in fault["message"] + fault["bound"]


@pytest.mark.parametrize(("metric", "params"), [("val_los", {}), ("val_accuracy", {"dept": 2})])
def test_a_study_that_its_task_refuses_fails_at_the_first_offer(
    client: TestClient, metric: str, params: dict[str, Any]
) -> None:
    bad, good = (post(client, metric=metric, **params).json()["study_id"], post(client).json()["study_id"])
    lease = FakeWorker(client, tasks=[OWN]).claim()
    assert lease is not None
    assert lease["study"]["study_id"] == good
    assert lease["study"]["task"]["params"] == {"depth": 3}
    study = document(client, bad)
    assert study["state"] == "FAILED"
    assert "the task refuses this study" in study["reason"]
    assert "Did you mean" in study["reason"]
    assert "task_not_offered" not in codes(study) | codes(document(client, good))


def test_another_workers_offer_fails_no_study_that_was_checked(client: TestClient) -> None:
    study_id = post(client, "digits").json()["study_id"]
    FakeWorker(client, "rogue", tasks=[OWN]).claim()
    checked = post(client).json()["study_id"]
    FakeWorker(client, "rogue-2", tasks=[{**OWN, "metrics": ["other"]}]).claim()
    assert document(client, checked)["state"] == "RUNNING"
    assert document(client, study_id)["state"] == "QUEUED"


DIFFERENT: dict[str, dict[str, Any]] = {
    "other parameters": {"params_schema": SCHEMA, "metrics": ["val_loss", "val_accuracy"]},
    "parameters that nothing satisfies": {"params_schema": {"enum": []}, "metrics": ["val_accuracy"]},
    "other metrics": {"params_schema": None, "metrics": ["val_acc"]},
    "nothing known": {"params_schema": None, "metrics": None},
}


@pytest.mark.parametrize("different", DIFFERENT)
def test_no_offer_changes_what_is_known_of_a_built_in_task(client: TestClient, different: str) -> None:
    """A rogue or an old worker comes first: good studies are trained by the next, bad ones are refused as before."""
    offer = {"name": "digits", **DIFFERENT[different]}
    before = post(client, "digits", model="mlp").json()["study_id"]
    sweeps = client.post("/v1/range-tests", json={"task": {"name": "digits"}}).json()["range_test_id"]
    lease = FakeWorker(client, "rogue", tasks=[offer]).claim()
    for study_id in (before, sweeps):
        assert document(client, study_id)["state"] != "FAILED"
    after = post(client, "digits", model="mlp")
    assert after.status_code == 201, after.text
    assert after.json()["spec"]["task"]["params"] == document(client, before)["spec"]["task"]["params"]
    assert post(client, "digits", epoch=3).json()["errors"][0]["remedy"] == "Did you mean epochs?"
    assert post(client, "digits", "val_acc").status_code == 422
    (listed,) = client.get("/v1/tasks").json()["items"]
    assert (listed["live"], listed["metrics"]) == (True, ["val_loss", "val_accuracy"])
    assert "epochs" in listed["params_schema"]["properties"]
    assert lease is not None, "its own program may train it all the same"


def test_what_a_dead_worker_offered_blocks_no_corrected_study(client: TestClient, clock: FakeClock) -> None:
    FakeWorker(client, tasks=[{**OWN, "metrics": ["val_los"]}]).claim()
    assert post(client, metric="val_loss").status_code == 422
    clock.advance(3600)
    answer = post(client, metric="val_loss")
    assert answer.status_code == 201
    lease = FakeWorker(client, "w-2", tasks=[OWN]).claim()
    assert lease is not None
    assert lease["study"]["study_id"] == answer.json()["study_id"]


def test_a_completed_study_no_longer_warns_that_no_worker_offers_its_task(client: TestClient, clock: FakeClock) -> None:
    study_id = client.post("/v1/studies", json=study_spec()).json()["study_id"]
    assert "task_not_offered" in codes(document(client, study_id))
    worker = FakeWorker(client)
    while (lease := worker.claim()) is not None:
        worker.finish(lease)
    clock.advance(3600)
    study = document(client, study_id)
    assert study["state"] == "COMPLETED"
    assert "task_not_offered" not in codes(study)


def test_a_missing_field_a_mistyped_choice_and_a_reversed_direction_are_said_briefly(client: TestClient) -> None:
    spec = {name: value for name, value in study_spec().items() if name != "budget"}
    (fault,) = client.post("/v1/studies", json=spec).json()["errors"]
    assert (fault["field"], fault["value"]) == ("budget", None)
    (fault,) = client.post("/v1/studies", json=study_spec(pruner={"name": "medain"})).json()["errors"]
    assert fault["remedy"] == "Did you mean median?"
    reversed_ = study_spec(objective={"metric": "val_loss", "direction": "maximize"})
    assert "direction_unusual" in codes(client.post("/v1/studies", json=reversed_).json())
    (fault,) = client.post("/v1/studies", json=study_spec(budget={"trials": 4, "paralell": 2})).json()["errors"]
    assert fault["remedy"] == "Did you mean parallel? Or remove it."
