"""Invalid input gets the same clear 4xx on both databases, never a 500, and stores nothing."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import UNKNOWN_TASK, FakeWorker, study_spec

JSON_TYPE = {"Content-Type": "application/json"}


def post_raw(client: TestClient, body: str | bytes, path: str = "/v1/studies") -> Any:
    return client.post(path, content=body, headers=JSON_TYPE)


def spec_with(path: str, literal: str) -> str:
    """The small study with the value at a dotted path replaced by literal text, JSON or not."""
    spec = study_spec()
    *outer, last = path.split(".")
    place = spec
    for part in outer:
        place = place[part]
    place[last] = "@@"
    return json.dumps(spec).replace('"@@"', literal)


def assert_refused(client: TestClient, answer: Any, status: int = 422) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:lehr:problem:")
    assert client.get("/v1/studies").json()["items"] == []
    return problem


FAULTY_FIELDS = [
    ("name", '""', "name"),
    ("name", '"a\\u0000b"', "name"),
    ("name", '"\\ud800"', "name"),
    ("name", "7", "name"),
    ("task.name", '"No Spaces"', "task.name"),
    ("task.params", '{"x": NaN}', "task.params.x"),
    ("task.params", '{"x": 1e999}', "task.params.x"),
    ("task.params", '{"x": -Infinity}', "task.params.x"),
    ("task.params", '{"x": 9223372036854775808}', "task.params.x"),
    ("task.params", '{"x": "\\u0000"}', "task.params.x"),
    ("task.params", '{"\\ud800": 1}', "task.params.(key)"),
    ("task.params", "[]", "task.params"),
    ("space.families", "[]", "space.families"),
    ("space.families", '["constant", "cosinus"]', "space.families[1]"),
    ("space.families", '"cosine"', "space.families"),
    ("space.start_lr", '{"low": 0, "high": 1}', "space.start_lr.low"),
    ("space.start_lr", '{"low": -1, "high": 1}', "space.start_lr.low"),
    ("space.start_lr", '{"low": 1, "high": 0.1}', "space.start_lr"),
    ("space.start_lr", '{"low": true, "high": 1}', "space.start_lr.low"),
    ("space.start_lr", '{"low": "0.1", "high": 1}', "space.start_lr.low"),
    ("space.start_lr", "{}", "space.start_lr.low"),
    ("space.start_lr", '"any"', "space.start_lr"),
    ("space.end_lr", '{"low": 2, "high": 3}', "space.start_lr.high"),
    ("space.warmup_fraction", '{"low": 0, "high": 1.5}', "space.warmup_fraction"),
    ("space.parameters", '{"cosine": {"nope": {"low": 0, "high": 1}}}', "space.parameters.cosine.nope"),
    ("objective.metric", '""', "objective.metric"),
    ("objective.direction", '"up"', "objective.direction"),
    ("sampler.name", '"magic"', "sampler.name"),
    ("sampler.seed", "-1", "sampler.seed"),
    ("sampler.seed", "9223372036854775808", "sampler.seed"),
    ("sampler.seed", "1.0", "sampler.seed"),
    ("budget.trials", "0", "budget.trials"),
    ("budget.trials", "true", "budget.trials"),
    ("budget.trials", "10001", "budget.trials"),
    ("budget.trials", "9223372036854775807", "budget.trials"),
    ("budget.trials", "1e3", "budget.trials"),
    ("budget.parallel", "0", "budget.parallel"),
    ("confirm", '{"top": 0, "seeds": 5}', "confirm.top"),
    ("confirm", '{"top": 3, "seeds": 1}', "confirm.seeds"),
    ("priority", "1.5", "priority"),
    ("pruner", '{"name": "wilcoxon"}', "pruner.name"),
    ("unheard_of", "1", "unheard_of"),
]


@pytest.mark.parametrize(("path", "literal", "field"), FAULTY_FIELDS, ids=[f"{p}={v}" for p, v, _ in FAULTY_FIELDS])
def test_a_faulty_study_is_refused_with_field_bound_value_and_remedy(
    client: TestClient, path: str, literal: str, field: str
) -> None:
    problem = assert_refused(client, post_raw(client, spec_with(path, literal)))
    assert field in [fault["field"] for fault in problem["errors"]] or any(
        fault["field"].startswith(field) for fault in problem["errors"]
    )
    for fault in problem["errors"]:
        assert fault["bound"]
        assert fault["message"]
        assert fault["remedy"]
        assert "value" in fault


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "nonsense", '{"name": "a", "name": "b"}', "[" * 100_000, '{"a": ' * 5_000 + "1" + "}" * 5_000,
        b"\xff\xfe", "1" * 5_000, '"\\ud800',
    ],
    ids=["empty", "torn", "word", "repeated-key", "deep-list", "deep-object", "no-utf8", "long-number", "torn-string"],
)  # fmt: skip
def test_what_is_no_json_is_refused(client: TestClient, body: str | bytes) -> None:
    answer = post_raw(client, body)
    assert answer.status_code in (400, 422)
    assert_refused(client, answer, answer.status_code)


@pytest.mark.parametrize("body", ["null", "[]", "1", '"text"', "{}"])
def test_json_that_is_no_study_is_refused(client: TestClient, body: str) -> None:
    assert_refused(client, post_raw(client, body))


def test_another_content_type_is_refused_with_the_remedy(client: TestClient) -> None:
    answer = client.post("/v1/studies", content=json.dumps(study_spec()), headers={"Content-Type": "text/plain"})
    assert "Content-Type: application/json" in assert_refused(client, answer, 415)["detail"]


def test_a_huge_body_is_refused(client: TestClient) -> None:
    assert_refused(client, post_raw(client, b'{"name": "' + b"x" * (17 * 2**20) + b'"}'), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/studies/nobody", 404),
        ("GET", "/v1/studies/no%00body", 422),
        ("GET", "/v1/studies/" + "x" * 65, 422),
        ("GET", "/v1/studies/nobody/trials", 404),
        ("GET", "/v1/studies/nobody/trials/0", 404),
        ("GET", "/v1/studies/nobody/trials/9223372036854775808", 422),
        ("GET", "/v1/studies/nobody/trials/-1", 422),
        ("GET", "/v1/studies/nobody/trials/one", 422),
        ("GET", "/v1/studies/nobody/trials/0/curve?max_points=0", 422),
        ("GET", "/v1/studies/nobody/best", 404),
        ("GET", "/v1/studies/nobody/best?points=0", 422),
        ("POST", "/v1/studies/nobody/pause", 404),
        ("POST", "/v1/studies/nobody/cancel", 404),
        ("DELETE", "/v1/studies/nobody", 404),
        ("GET", "/v1/studies?limit=0", 422),
        ("GET", "/v1/studies?limit=501", 422),
        ("GET", "/v1/studies?limit=9223372036854775808", 422),
        ("GET", "/v1/studies?state=SLEEPING", 422),
        ("GET", "/v1/studies?cursor=nonsense", 422),
        ("GET", "/v1/studies?cursor=WyJhIiwgImIiXQ", 422),
        ("GET", "/v1/workers?cursor=WyJcdTAwMDAiXQ", 422),
        ("GET", "/v1/nowhere", 404),
        ("PUT", "/v1/studies", 405),
        ("DELETE", "/v1/studies", 405),
    ],
)
def test_bad_addresses_get_problem_documents(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert_refused(client, answer, status)


def test_a_bad_idempotency_key_is_refused(client: TestClient) -> None:
    for key in ("x" * 256, "with space"):
        answer = client.post("/v1/studies", json=study_spec(), headers={"Idempotency-Key": key})
        assert_refused(client, answer)


@pytest.mark.parametrize(
    "report",
    [
        '{"step": -1, "lr": 0.1}', '{"step": 1.5, "lr": 0.1}', '{"step": 9223372036854775808, "lr": 0.1}',
        '{"step": true, "lr": 0.1}', '{"step": 1, "lr": NaN}', '{"step": 1, "lr": -0.1}',
        '{"step": 1, "lr": 0.1, "metrics": {"val_accuracy": 1e999}}', '{"step": 1, "lr": 0.1, "metrics": {"": 1}}',
        '{"step": 1, "lr": 0.1, "metrics": {"val_accuracy": true}}', '{"step": 1, "lr": 0.1, "train_loss": "x"}',
        '{"step": 1, "lr": 0.1, "train_loss": 1, "train_loss": 2}', '{"step": 10, "lr": 0.1}',
        '{"step": 1, "lr": 0.1, "metrics": {"a\\u0000b": 1}}', '{"step": 1, "lr": 0.1, "metrics": {"a\\nb": 1}}',
        '{"step": 1, "lr": 0.1, "metrics": {"\\u001b[31m": 1}}', '{"step": 1, "lr": 0.1, "metrics": {"\\u202eb": 1}}',
        '{"step": 1, "lr": 0.1, "metrics": {"' + "e" * 201 + '": 1}}',
    ],
)  # fmt: skip
def test_a_bad_report_is_refused_and_nothing_of_it_is_kept(client: TestClient, worker: FakeWorker, report: str) -> None:
    study_id = client.post("/v1/studies", json=study_spec()).json()["study_id"]
    lease = worker.claim()
    assert lease is not None
    good = '{"step": 0, "lr": 0.1, "metrics": {"val_accuracy": 0.5}}'
    body = (
        f'{{"trials": [{{"trial": "{lease["trials"][0]["trial"]}", "attempt": 1, "horizon_steps": 10,'
        f' "reports": [{good}, {report}]}}]}}'
    )
    answer = post_raw(client, body, f"/v1/leases/{lease['lease_id']}/report")
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(f"/v1/studies/{study_id}/trials/0/curve").json()["step"] == []


BEYOND = [1.0000000000000002e100, 1e155, -1e155, 1e308, -1.7976931348623157e308]


@pytest.mark.parametrize("value", BEYOND)
def test_a_value_beyond_1e100_is_refused_in_a_report_and_in_a_result(
    client: TestClient, worker: FakeWorker, value: float
) -> None:
    study_id = client.post("/v1/studies", json=study_spec()).json()["study_id"]
    lease = worker.claim()
    assert lease is not None
    metrics = {"step": 1, "lr": 0.1, "metrics": {"val_accuracy": value}}
    loss = {"step": 1, "lr": 0.1, "train_loss": value}
    answers = {
        "trials[0].reports[0].metrics.val_accuracy": worker.report(lease, 1, 0.5, reports=[metrics]),
        "trials[0].reports[0].train_loss": worker.report(lease, 1, 0.5, reports=[loss]),
        "trials[0].value": worker.finish(lease, value=value),
    }
    for field, answer in answers.items():
        assert answer.status_code == 422, answer.text
        (fault,) = answer.json()["errors"]
        assert (fault["field"], fault["bound"]) == (field, "-1e+100 to 1e+100")
        assert float(fault["value"]) == value
        assert "In a report, send null" in fault["remedy"]
        assert "DIVERGED" in fault["remedy"]
    trial = client.get(f"/v1/studies/{study_id}/trials/0").json()
    assert (trial["state"], trial["value"], trial["step"]) == ("RUNNING", None, None)


def test_a_step_beyond_the_horizon_is_refused_with_the_bound_and_the_remedy(
    client: TestClient, worker: FakeWorker
) -> None:
    client.post("/v1/studies", json=study_spec())
    lease = worker.claim()
    assert lease is not None
    answer = worker.report(lease, 100, 0.5)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["bound"], fault["value"]) == ("0 to 99 (horizon_steps - 1)", 100)
    assert fault["remedy"] == "Count optimizer steps from 0."


@pytest.mark.parametrize("name", ["acc@1", "macro avg", "mAP50(B)", "val/loss", "précision", "損失", "\"';--", "a\\b"])
def test_a_metric_is_kept_under_the_name_that_it_was_reported_with(
    client: TestClient, worker: FakeWorker, name: str
) -> None:
    objective = {"metric": name, "direction": "maximize"}
    study_id = client.post("/v1/studies", json=study_spec(task=UNKNOWN_TASK, objective=objective)).json()["study_id"]
    lease = worker.claim()
    assert lease is not None
    assert lease["study"]["objective"]["metric"] == name
    for _ in range(2):  # a repeated call changes nothing
        report = {"step": 99, "lr": 0.1, "metrics": {name: 0.5}}
        assert worker.report(lease, 99, 0.5, reports=[report]).status_code == 200
    assert client.get(f"/v1/studies/{study_id}/trials/0/curve").json()["metrics"] == {name: [0.5]}
    assert worker.finish(lease, value=0.5).status_code == 200
    assert client.get(f"/v1/studies/{study_id}/best").json()["metric"] == name


@pytest.mark.parametrize(
    "change",
    [
        {"max_trials": 0}, {"max_trials": True}, {"wait_seconds": -1}, {"wait_seconds": 1e9}, {"worker": {}},
    ],
)  # fmt: skip
def test_a_bad_claim_is_refused(client: TestClient, change: dict[str, Any]) -> None:
    claim = {
        "worker": {"id": "w", "name": "w", "device": "cpu", "tasks": ["digits"]}, "max_trials": 1, "wait_seconds": 0,
    }  # fmt: skip
    assert_refused(client, client.post("/v1/leases", json={**claim, **change}))


@pytest.mark.parametrize(
    "tasks",
    [
        [],
        ["UPPER"],
        [""],
        ["a", "a"],
        [{"name": "a", "x": 1}],
        [{"name": "a", "params_schema": {"type": "nonsense"}}],
        [{"name": "a", "params_schema": {"pattern": "("}}],
    ],
)
def test_a_bad_offer_of_tasks_is_refused(client: TestClient, tasks: list[Any]) -> None:
    claim = {"worker": {"id": "w", "name": "w", "device": "cpu", "tasks": tasks}, "max_trials": 1}
    assert_refused(client, client.post("/v1/leases", json=claim))


@pytest.mark.parametrize(
    ("literal", "field", "bound"),
    [
        ("true", "budget.trials", "an integer"),
        ('"0.1"', "space.start_lr.low", "a number"),
        ("7", "name", "text"),
        ('"cosine"', "space.families", "a list"),
        ("[]", "task", "an object"),
        ("3", "space.start_lr", "an object"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_the_right_one(
    client: TestClient, literal: str, field: str, bound: str
) -> None:
    (fault,) = assert_refused(client, post_raw(client, spec_with(field, literal)))["errors"]
    assert (fault["field"], fault["bound"]) == (field, bound)


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("POST", "/v1/studies?validate_onyl=true", "validate_onyl"),
        ("GET", "/v1/studies?limit=3&stat=QUEUED", "stat"),
        ("GET", "/v1/workers?after=3", "after"),
        ("GET", "/v1/tasks?live=true", "live"),
        ("POST", "/v1/schedules/preview?points=3", "points"),
        ("POST", "/v1/leases/nobody/report?wait=3", "wait"),
    ],
)
def test_a_parameter_that_a_call_does_not_have_is_refused(
    client: TestClient, method: str, path: str, parameter: str
) -> None:
    body = {} if method == "GET" else {"json": study_spec()}
    (fault,) = assert_refused(client, client.request(method, path, **body))["errors"]
    assert fault["field"] == parameter
    assert fault["remedy"] == "Remove the parameter, or fix its name."


OFFER = {
    "name": UNKNOWN_TASK["name"],
    "params_schema": {
        "type": "object",
        "properties": {
            "model": {"enum": ["mlp", "cnn"], "default": "mlp"},
            "epochs": {"type": "integer", "minimum": 1},
        },
        "additionalProperties": False,
    },
    "metrics": ["val_loss", "val_accuracy"],
}


def test_a_study_is_checked_against_the_task_its_workers_offer(client: TestClient) -> None:
    FakeWorker(client, tasks=[OFFER]).claim()
    unknown = study_spec(task={**UNKNOWN_TASK, "params": {"modell": "mlp", "epochs": 0}})
    problem = assert_refused(client, client.post("/v1/studies", json=unknown))
    assert [fault["field"] for fault in problem["errors"]] == ["task.params", "task.params.epochs"]
    metric = study_spec(task=UNKNOWN_TASK, objective={"metric": "f1", "direction": "maximize"})
    problem = assert_refused(client, client.post("/v1/studies", json=metric))
    assert problem["errors"][0]["field"] == "objective.metric"
    assert "val_accuracy" in problem["errors"][0]["bound"]


def test_the_resolved_spec_holds_the_tasks_defaults(client: TestClient) -> None:
    FakeWorker(client, tasks=[OFFER]).claim()
    spec = study_spec(task={**UNKNOWN_TASK, "params": {}}, sampler={"name": "tpe"})
    resolved = client.post("/v1/studies?validate_only=true", json=spec)
    assert resolved.status_code == 200
    assert resolved.json()["spec"]["task"]["params"] == {"model": "mlp"}
    assert isinstance(resolved.json()["spec"]["sampler"]["seed"], int)
    assert client.get("/v1/studies").json()["items"] == []


def test_errors_are_what_the_openapi_document_says_of_them(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    refused = assert_refused(client, post_raw(client, spec_with("budget.trials", "0")))
    operations = [operation for calls in document["paths"].values() for operation in calls.values()]
    for operation in operations:
        assert not {"422", "default"} & set(operation["responses"])
        for status in ("4XX", "5XX"):
            (media_type, content), *_ = operation["responses"][status]["content"].items()
            assert media_type == "application/problem+json"
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
    jsonschema.validate(refused, {"$ref": "#/components/schemas/Problem", "components": document["components"]})
    assert set(refused["errors"][0]) == set(document["components"]["schemas"]["FaultDocument"]["properties"])
