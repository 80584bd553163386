"""The server has the schema of every built-in task that its workers offer, and refuses what they would refuse."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import FakeWorker, study_spec
from workers.tasks.params import InvalidParamsError, parse_params
from workers.tasks.registry import TASKS, find_task, offers

METRIC = {"tabular": "val_score"}


@pytest.fixture
def _offered(client: TestClient) -> None:
    FakeWorker(client, tasks=[offer.model_dump(mode="json") for offer in offers(TASKS)]).claim()


def posted(client: TestClient, task: str, **params: Any) -> Any:
    metric = METRIC.get(task, "val_accuracy")
    spec = study_spec(task={"name": task, "params": params}, objective={"metric": metric, "direction": "maximize"})
    return client.post("/v1/studies", json=spec)


@pytest.mark.usefixtures("_offered")
def test_every_task_is_listed_with_its_schema_and_metrics(client: TestClient) -> None:
    listed = {task["name"]: task for task in client.get("/v1/tasks").json()["items"]}
    assert set(listed) == set(TASKS)
    for name, task in listed.items():
        model = find_task(name).params_model
        assert task["params_schema"] == model.model_json_schema()
        assert task["params_schema"]["additionalProperties"] is False
        assert task["metrics"] == list(find_task(name).metrics)


@pytest.mark.usefixtures("_offered")
@pytest.mark.parametrize("task", TASKS)
def test_a_study_says_every_parameter_it_will_train_with(task: str, client: TestClient) -> None:
    resolved = posted(client, task).json()["spec"]["task"]["params"]
    assert resolved == find_task(task).params_model().model_dump()


@pytest.mark.usefixtures("_offered")
@pytest.mark.parametrize(
    ("task", "field", "value"),
    [
        ("digits", "epochs", 0),
        ("digits", "model", "resnet"),
        ("digits", "momentum", 1),
        ("images", "data", "imagenet"),
        ("images", "folder", "../secrets"),
        ("images", "side", 4),
        ("images", "precision", "float8"),
        ("images", "crop", 2.5),
        ("text", "file", "/etc/passwd"),
        ("text", "file", ".hidden"),
        ("text", "context", "long"),
        ("tabular", "goal", "clustering"),
        ("tabular", "target", ""),
        ("tabular", "dropout", 1.0),
        *((task, "learning_rate", 0.1) for task in TASKS),
    ],
)
def test_a_bad_parameter_is_refused_before_anything_is_queued(
    task: str, field: str, value: Any, client: TestClient
) -> None:
    answer = posted(client, task, **{field: value})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"].startswith("task.params")
    assert field in fault["field"] + fault["message"]
    assert client.get("/v1/studies").json()["items"] == []
    with pytest.raises(InvalidParamsError):
        parse_params(find_task(task).params_model, {field: value})
