"""A broken study never affects a healthy one, for each kind of fault."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from structlog.testing import CapturingLogger

from lehr.schedules import schedule_from_dict
from service.ledger.lost_leases import sweep
from tests.contract.test_range_tests import STEPS, sweep_all
from tests.support.ledgers import FakeClock, FakeWorker, serving, study_spec

LISTS = (
    "/v1/studies",
    "/v1/studies?state=FAILED",
    "/v1/range-tests",
    "/v1/tasks",
    "/v1/workers",
    "/metrics",
    "/readyz",
    "/v1/studies/{poisoned}",
    "/v1/studies/{healthy}",
    "/v1/studies/{healthy}/trials",
    "/v1/studies/{healthy}/best",
    "/v1/studies/{healthy}/leaderboard",
)
OWN = ("best", "diagnosis", "leaderboard", "front", "trials", "trials/0", "trials/0/curve")
OLD = [1e155, -1e155, 1e308, -1e308]
COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}


def execute(client: TestClient, statement: str, **values: Any) -> None:
    with client.app.state.services.database.write() as transaction:  # type: ignore[attr-defined]
        transaction.connection.execute(text(statement), values)


def read_spec(client: TestClient, study: str) -> dict[str, Any]:
    spec: dict[str, Any] = client.get(f"/v1/studies/{study}").json()["spec"]
    return spec


def change_spec(client: TestClient, study: str, **changes: Any) -> None:
    spec = {**read_spec(client, study), **changes}
    execute(client, "UPDATE studies SET spec = :spec WHERE id = :id", spec=json.dumps(spec), id=study)


def post(client: TestClient, **changes: Any) -> str:
    answer = client.post("/v1/studies", json=study_spec(**{"warm_start": "off", **changes}))
    assert answer.status_code == 201, answer.text
    study_id: str = answer.json()["study_id"]
    return study_id


def train_one(worker: FakeWorker, value: float) -> dict[str, Any] | None:
    lease = worker.claim()
    if lease is not None:
        assert worker.report(lease, 99, value).status_code in (200, 409, 422)
        assert worker.finish(lease, value=value).status_code in (200, 422)
    return lease


def train_whole(worker: FakeWorker, value: float) -> None:
    lease = worker.claim()
    assert lease is not None
    for step in (9, 29, 49, 69, 99):
        assert worker.report(lease, step, value).status_code == 200
    assert worker.finish(lease, value=value).status_code == 200


def plant_value(client: TestClient, study: str, value: float) -> None:
    """As an older server took it: in every second trial, and in its reports."""
    metrics = json.dumps({"val_accuracy": value, "val_loss": value})
    of = "SELECT id FROM trials WHERE study_id = :id AND number % 2 = 0"
    execute(
        client,
        f"UPDATE reports SET train_loss = :v, metrics = :m WHERE trial_id IN ({of})",
        v=value,
        m=metrics,
        id=study,
    )
    execute(client, "UPDATE reports SET train_loss = 1e-5 WHERE train_loss = 0.5")
    execute(client, "UPDATE trials SET value = :v WHERE study_id = :id AND number % 2 = 0", v=value, id=study)


def assert_own_answers(client: TestClient, study: str, but: str | None = None) -> None:
    """What is asked of the study itself is answered, too."""
    for path in OWN:
        answer = client.get(f"/v1/studies/{study}/{path}")
        assert answer.status_code == 200, (path, answer.text)
    for path, body in asked_of(study).items():
        answer = client.post(path, json=body)
        assert answer.status_code == 200 or path.endswith(but or "-"), (path, answer.text)


def asked_of(study: str) -> dict[str, dict[str, Any]]:
    return {
        f"/v1/studies/{study}/forecast": {"schedule": COSINE, "horizon_steps": 100},
        f"/v1/studies/{study}/transfer": {"horizon_steps": 200},
        "/v1/schedules/preview": {"schedule": COSINE, "horizon_steps": 100, "study_id": study},
    }


def unreadable_space(client: TestClient, study: str) -> None:
    change_spec(client, study, space={"families": ["no_such_family"], "start_lr": {"low": 1, "high": 0}})


def unknown_sampler(client: TestClient, study: str) -> None:
    change_spec(client, study, sampler={"name": "dowsing", "seed": 0})


def empty_spec(client: TestClient, study: str) -> None:
    execute(client, "UPDATE studies SET spec = '{}' WHERE id = :id", id=study)


def spec_that_is_a_list(client: TestClient, study: str) -> None:
    execute(client, "UPDATE studies SET spec = '[1, 2]' WHERE id = :id", id=study)


def no_objective(client: TestClient, study: str) -> None:
    change_spec(client, study, objective=None)


def bad_budget(client: TestClient, study: str) -> None:
    change_spec(client, study, budget={"trials": 4, "parallel": 4, "max_seconds": "soon"})


def bad_warnings(client: TestClient, study: str) -> None:
    execute(client, "UPDATE studies SET warnings = '[7, null]' WHERE id = :id", id=study)


def bad_range_test(client: TestClient, study: str) -> None:
    execute(client, "UPDATE studies SET range_test = '{\"bounds\": 3}' WHERE id = :id", id=study)


def bad_confirmation(client: TestClient, study: str) -> None:
    statement = "UPDATE studies SET state = 'CONFIRMING', finalists = '[0]', confirmation = '{}' WHERE id = :id"
    execute(client, statement, id=study)


def bad_waiting_trial(client: TestClient, study: str) -> None:
    """A schedule that a user enqueued, no longer readable when a worker is to train it."""
    schedule = {"family": "constant", "start_lr": 0.1, "end_lr": 0.1}
    assert client.post(f"/v1/studies/{study}/trials", json={"schedule": schedule}).status_code == 201
    execute(client, 'UPDATE trials SET schedule = \'{"family": "none"}\' WHERE study_id = :id', id=study)


def unknown_state(client: TestClient, study: str) -> None:
    execute(client, "UPDATE studies SET state = 'BROKEN' WHERE id = :id", id=study)


def bad_data(client: TestClient, study: str) -> None:
    execute(client, 'UPDATE studies SET data = \'{"rows": "many"}\' WHERE id = :id', id=study)


def bad_convergence(client: TestClient, study: str) -> None:
    execute(client, "UPDATE studies SET convergence = '{\"trials\": []}' WHERE id = :id", id=study)


def unreadable_schedules(client: TestClient, study: str) -> None:
    execute(client, 'UPDATE trials SET schedule = \'{"family": "none"}\' WHERE study_id = :id', id=study)


def one_unreadable_schedule(client: TestClient, study: str) -> None:
    """Not the best trial's."""
    statement = 'UPDATE trials SET schedule = \'{"family": "none"}\' WHERE study_id = :id AND number = 1'
    execute(client, statement, id=study)


def bad_reports(client: TestClient, study: str) -> None:
    of = "trial_id IN (SELECT id FROM trials WHERE study_id = :id)"
    execute(client, f"UPDATE reports SET metrics = '[1, \"x\"]' WHERE {of}", id=study)


def text_among_metrics(client: TestClient, study: str) -> None:
    of = "trial_id IN (SELECT id FROM trials WHERE study_id = :id)"
    execute(client, f'UPDATE reports SET metrics = \'{{"val_accuracy": "high"}}\' WHERE {of}', id=study)


def completed_without_a_value(client: TestClient, study: str) -> None:
    execute(client, "UPDATE trials SET value = NULL WHERE study_id = :id", id=study)


def unknown_trial_state(client: TestClient, study: str) -> None:
    execute(client, "UPDATE trials SET state = 'BROKEN' WHERE study_id = :id AND number = 1", id=study)


def bad_measured(client: TestClient, study: str) -> None:
    execute(client, "UPDATE trials SET measured = '[3]', violation = 1 WHERE study_id = :id", id=study)


def no_horizon(client: TestClient, study: str) -> None:
    execute(client, "UPDATE studies SET horizon_steps = -7 WHERE id = :id", id=study)


KINDS: list[Callable[[TestClient, str], None]] = [
    unreadable_space,
    unknown_sampler,
    empty_spec,
    spec_that_is_a_list,
    no_objective,
    bad_budget,
    bad_warnings,
    bad_range_test,
    bad_confirmation,
    bad_waiting_trial,
    unknown_state,
]
LATER = [
    *KINDS,
    bad_data,
    bad_convergence,
    unreadable_schedules,
    one_unreadable_schedule,
    bad_reports,
    text_among_metrics,
    completed_without_a_value,
    unknown_trial_state,
    bad_measured,
    no_horizon,
]
"""These are planted where trials have completed."""


def assert_all_answer(client: TestClient, poisoned: str, healthy: str) -> None:
    for path in LISTS:
        answer = client.get(path.format(poisoned=poisoned, healthy=healthy))
        assert answer.status_code == 200, (path, answer.text)
    listed = {study["study_id"] for study in client.get("/v1/studies").json()["items"]}
    assert {poisoned, healthy} <= listed


def assert_healthy_completes(client: TestClient, worker: FakeWorker, healthy: str) -> None:
    for _ in range(30):
        train_one(worker, 0.5)
        if client.get(f"/v1/studies/{healthy}").json()["state"] == "COMPLETED":
            return
    raise AssertionError(client.get(f"/v1/studies/{healthy}").json())


@pytest.mark.parametrize("plant", KINDS)
def test_a_broken_study_stops_neither_the_claims_nor_the_lists(
    client: TestClient, worker: FakeWorker, clock: FakeClock, plant: Callable[[TestClient, str], None]
) -> None:
    poisoned = post(client, name="poisoned", priority=9)
    plant(client, poisoned)
    healthy = post(client, name="healthy", budget={"trials": 2, "parallel": 1})
    assert_healthy_completes(client, worker, healthy)
    assert_all_answer(client, poisoned, healthy)
    assert client.post(f"/v1/studies/{poisoned}/cancel").status_code in (200, 409)
    assert client.get("/v1/studies").status_code == 200


@pytest.mark.parametrize("plant", LATER)
def test_what_is_asked_of_a_broken_study_itself_is_answered_or_refused(
    client: TestClient, worker: FakeWorker, plant: Callable[[TestClient, str], None]
) -> None:
    poisoned = post(client, budget={"trials": 9, "parallel": 2})
    for number in range(4):
        train_whole(worker, 0.9 - number / 100)
    lease = worker.claim()
    assert lease is not None
    assert worker.report(lease, 50, 0.5).status_code == 200
    plant(client, poisoned)
    more = ("trials/4", "trials?order=value", "front?target=0.5&aim=rate_sensitivity")
    answers = {path: client.get(f"/v1/studies/{poisoned}/{path}") for path in (*OWN, *more)}
    answers |= {path: client.post(path, json=body) for path, body in asked_of(poisoned).items()}
    assert client.get(f"/v1/studies/{poisoned}").status_code == 200
    answers |= {verb: client.post(f"/v1/studies/{poisoned}/{verb}") for verb in ("pause", "resume", "stop", "cancel")}
    assert {path: answer.text for path, answer in answers.items() if answer.status_code >= 500} == {}
    for answer in answers.values():
        if answer.status_code == 409 and "cannot be built" in answer.json()["detail"]:
            assert "the server's log has the error" in answer.json()["detail"]


def raises(*_arguments: Any, **_named: Any) -> Any:
    raise ZeroDivisionError("planted")


FAILING = [
    ("service.diagnosis.trial.rate_too_low", "diagnosis", "diagnosis.rate_too_low"),
    ("service.diagnosis.trial.overfits", "diagnosis", "diagnosis.overfits"),
    ("service.diagnosis.trial.diverged", "best", "diagnosis.diverged"),
    ("service.diagnosis.study.all_rates_alike", "diagnosis", "diagnosis.all_rates_alike"),
    ("service.diagnosis.study.best_on_bound", "best", "diagnosis.best_on_bound"),
    ("service.documents.diagnoses.neighbours", "best", "diagnosis.best"),
    ("service.documents.diagnoses.neighbours", "trials/0", "diagnosis"),
    ("service.documents.diagnoses.searched_space", "diagnosis", "diagnosis"),
    ("service.documents.fronts.pareto_front", "best", "front"),
    ("service.documents.fronts._sensitivities", "front?target=0.5", "rate_sensitivity"),
    ("service.documents.fronts._sensitivities", "best", "rate_sensitivity"),
    ("service.answer.document.torch_code", "best", "code"),
    ("service.answer.document.rates", "best", "lr"),
    ("service.documents.answers.convergence_document", "best", "convergence"),
    ("service.documents.answers.confirmed_trials", "best", "confirmation"),
    ("service.documents.answers.recommendation", "best", "recommendation"),
    ("service.answer.document.gain_over", "best", "gain"),
    ("service.documents.answers.confirmed_trials", "leaderboard", "confirmation"),
    ("service.documents.studies.warnings_after", "", "warnings"),
    ("service.documents.studies.progress", "", "progress"),
]


@pytest.mark.parametrize(("function", "path", "part"), FAILING)
def test_a_part_that_fails_is_left_out_logged_once_and_named(
    client: TestClient,
    worker: FakeWorker,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    path: str,
    part: str,
) -> None:
    study = post(client, budget={"trials": 4, "parallel": 2}, confirm={"top": 2, "seeds": 2})
    for number in range(4):
        train_whole(worker, 0.9 - number / 100)
    while train_one(worker, 0.5) is not None:
        pass
    url = f"/v1/studies/{study}/{path}".rstrip("/")
    whole = client.get(url).json()
    assert not any(warning["code"] == "part_left_out" for warning in whole["warnings"])
    monkeypatch.setattr(function, raises)
    log = CapturingLogger()
    monkeypatch.setattr("service.parts.log", log)
    first, second = client.get(url), client.get(url)
    assert (first.status_code, second.status_code) == (200, 200), first.text
    (warning,) = [warning for warning in first.json()["warnings"] if warning["code"] == "part_left_out"]
    assert warning["field"] == part
    assert "the server's log has the error" in warning["message"]
    assert first.json() == second.json()
    assert [call.kwargs["part"] for call in log.calls] == [part]
    monkeypatch.undo()
    assert client.get(url).json() == whole


def test_a_transfer_keeps_its_rates_where_its_code_fails(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = post(client, budget={"trials": 2, "parallel": 1})
    train_whole(worker, 0.9)
    url, asked = f"/v1/studies/{study}/transfer", {"horizon_steps": 200}
    whole = client.post(url, json=asked).json()
    monkeypatch.setattr("service.transfer.transfer.torch_code", raises)
    answer = client.post(url, json=asked)
    assert answer.status_code == 200, answer.text
    assert [warning["field"] for warning in answer.json()["warnings"]] == ["code"]
    assert answer.json() | {"code": whole["code"], "warnings": []} == whole


def test_a_range_test_whose_curve_cannot_be_drawn_has_a_picture_that_says_so(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = study_spec()["task"]
    url = client.post("/v1/range-tests", json={"task": task, "steps": STEPS, "seeds": 1}).headers["Location"]
    sweep_all(worker)
    monkeypatch.setattr("service.ranges.picture.linear_axis", raises)
    answer = client.get(url, headers={"Accept": "image/svg+xml"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert "the plot failed" in answer.text


@pytest.mark.parametrize("function", ["Forecaster.of", "completed_curves"])
def test_a_forecast_that_fails_is_not_known(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    study = post(client, budget={"trials": 9, "parallel": 2})
    for number in range(6):
        train_whole(worker, 0.9 - number / 100)
    lease = worker.claim()
    assert lease is not None
    assert worker.report(lease, 50, 0.5).status_code == 200
    monkeypatch.setattr(f"service.forecast.forecast_cache.{function}", raises)
    trial = client.get(f"/v1/studies/{study}/trials/6")
    assert trial.status_code == 200
    assert "part_left_out" in {warning["code"] for warning in trial.json()["warnings"]}
    assert_own_answers(client, study, but="forecast" if function == "completed_curves" else None)
    told = client.post(f"/v1/studies/{study}/forecast", json={"schedule": COSINE})
    assert told.status_code == (200 if function == "Forecaster.of" else 409)
    if told.status_code == 200:
        assert [loss["doubt"]["code"] for loss in told.json()["losses"]] == ["no_loss", "not_made"]
        assert {warning["field"] for warning in told.json()["warnings"]} == {"losses.val_loss", "losses.train_loss"}


@pytest.mark.parametrize("plant", [unreadable_space, unknown_sampler, empty_spec, no_objective, bad_waiting_trial])
def test_a_study_that_cannot_be_asked_fails_with_the_reason(
    client: TestClient, worker: FakeWorker, plant: Callable[[TestClient, str], None]
) -> None:
    assert worker.claim() is None  # now the server knows the task: what is wrong is found when the search is asked
    poisoned = post(client)
    plant(client, poisoned)
    assert worker.claim() is None
    study = client.get(f"/v1/studies/{poisoned}").json()
    assert study["state"] == "FAILED"
    assert study["reason"].startswith("no schedule could be chosen for the next trial: ")
    assert study["finished_at"] is not None
    assert study["progress"]["trials"]["WAITING"] == 0
    assert client.delete(f"/v1/studies/{poisoned}").status_code == 204


def test_a_study_whose_row_breaks_while_it_runs_loses_its_leases_alone(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    poisoned = post(client, priority=9)
    lease = worker.claim()
    assert lease is not None
    assert lease["study"]["study_id"] == poisoned
    empty_spec(client, poisoned)
    healthy = post(client, budget={"trials": 1, "parallel": 1})
    other = FakeWorker(client, "w-2").claim(study=healthy)
    assert other is not None
    assert worker.report(lease, 50, 0.5).status_code == 200
    assert worker.finish(lease).json()["trials"] == {lease["trials"][0]["trial"]: "cancel"}
    clock.advance(61)
    assert sweep(client.app.state.services.database) == 2  # type: ignore[attr-defined]
    assert sweep(client.app.state.services.database) == 0  # type: ignore[attr-defined]
    assert_healthy_completes(client, FakeWorker(client, "w-3"), healthy)
    assert_all_answer(client, poisoned, healthy)


@pytest.mark.parametrize("value", [1e100, -1e100, *OLD])
def test_huge_values_end_their_own_study_alone(client: TestClient, worker: FakeWorker, value: float) -> None:
    """The wire takes the first two. Databases of older servers hold the others, which are planted here."""
    poisoned = post(client, priority=9, budget={"trials": 9, "parallel": 1}, confirm={"top": 2, "seeds": 2})
    for number in range(8):
        train_whole(worker, 0.5 + number / 100)
    plant_value(client, poisoned, value)
    lease = worker.claim()
    assert lease is not None
    worker.report(lease, 50, 0.5)
    assert client.get(f"/v1/studies/{poisoned}/trials/8").status_code == 200
    assert_own_answers(client, poisoned)
    worker.finish(lease, value=0.5)
    assert client.get(f"/v1/studies/{poisoned}").json()["state"] == "CONFIRMING"
    train_one(worker, 0.5)
    assert_own_answers(client, poisoned)
    while train_one(worker, 0.5) is not None:
        pass
    assert_own_answers(client, poisoned)
    assert client.get(f"/v1/studies/{poisoned}").json()["state"] == "COMPLETED"
    healthy = post(client, budget={"trials": 2, "parallel": 1})
    assert_healthy_completes(client, worker, healthy)
    assert_all_answer(client, poisoned, healthy)


def test_an_answer_whose_rate_falls_at_once_is_diagnosed(client: TestClient, worker: FakeWorker) -> None:
    """One report of ten is left before the rate has annealed, and the loss falls by the same rule as ever."""
    start, end = {"low": 0.00446, "high": 0.00447}, {"low": 2e-5, "high": 2.1e-5}
    space = {"families": ["exponential"], "start_lr": start, "end_lr": end}
    objective = {"metric": "val_loss", "direction": "minimize"}
    study = post(client, space=space, objective=objective, budget={"trials": 4, "parallel": 1})
    for _ in range(4):
        lease = worker.claim()
        assert lease is not None
        schedule = schedule_from_dict(lease["trials"][0]["schedule"])
        losses = [2.2 - 0.4 * (1 - math.exp(-(epoch + 1) / 2)) for epoch in range(10)]
        worse = schedule.family != "exponential"
        reports = [
            {"step": step, "lr": schedule.lr(step, 230), "train_loss": loss, "metrics": {"val_loss": loss + worse}}
            for step, loss in zip(range(22, 230, 23), losses, strict=True)
        ]
        assert worker.report(lease, 0, 0, reports=reports, horizon_steps=230).status_code == 200
        worker.finish(lease, value=losses[-1] + worse)
    answer = client.get(f"/v1/studies/{study}/best")
    assert answer.status_code == 200, answer.text
    assert answer.json()["schedule"]["family"] == "exponential"
    assert "part_left_out" not in {warning["code"] for warning in answer.json()["warnings"]}
    assert_own_answers(client, study)


def test_a_training_that_no_finding_fits_stops_no_list(client: TestClient, worker: FakeWorker) -> None:
    """One report is left before the rate has annealed."""
    poisoned = post(client, priority=9, budget={"trials": 3, "parallel": 1})
    for _ in range(3):
        lease = worker.claim()
        assert lease is not None
        for step in (0, 1, 98, 99):
            worker.report(lease, step, 0.5)
        worker.finish(lease)
    healthy = post(client, budget={"trials": 2, "parallel": 1})
    assert_healthy_completes(client, worker, healthy)
    assert_all_answer(client, poisoned, healthy)
    assert_own_answers(client, poisoned)


BROKEN_SCHEMAS = [{"$ref": 1}, {"type": "nonsense"}, {"properties": 3}, {"pattern": "^(a+)+$"}, [], {"allOf": [7]}]


@pytest.mark.parametrize("schema", BROKEN_SCHEMAS)
def test_an_offer_with_a_broken_schema_stops_no_other_task(client: TestClient, worker: FakeWorker, schema: Any) -> None:
    """It is refused at the offer today; one that an older server took is in the database."""
    assert FakeWorker(client, "w-9", [{"name": "broken:task"}]).claim() is None
    execute(client, "UPDATE offers SET params_schema = :schema", schema=json.dumps(schema))
    answer = client.post("/v1/studies", json=study_spec(task={"name": "broken:task", "params": {"a": "aaaa!"}}))
    assert answer.status_code in (201, 422), answer.text
    poisoned = post(client, priority=9)
    healthy = post(client, budget={"trials": 2, "parallel": 1})
    assert_healthy_completes(client, worker, healthy)
    assert_all_answer(client, poisoned, healthy)


def test_a_broken_trial_is_left_out_of_the_lists(client: TestClient, worker: FakeWorker) -> None:
    study = post(client, pruner={"name": "median"})
    lease, other = worker.claim(), worker.claim()
    assert lease is not None
    assert other is not None
    broken = lease["trials"][0]["trial"]
    execute(client, 'UPDATE trials SET schedule = \'{"family": "none"}\' WHERE id = :id', id=broken)
    assert worker.report(lease, 50, 0.9).status_code == 200
    assert worker.finish(other).status_code == 200
    assert_all_answer(client, study, study)
    assert [trial["number"] for trial in client.get(f"/v1/studies/{study}/trials").json()["items"]] == [1]
    assert worker.finish(lease, value=0.9).status_code == 200
    document = client.get(f"/v1/studies/{study}").json()
    assert document["best"] is None
    assert "cannot be read in full (warnings, best)" in document["reason"]


def test_text_in_sqlite_that_is_no_json_fails_its_study_alone(sqlite_url: str) -> None:
    """PostgreSQL refuses to store it."""
    with serving(sqlite_url) as client:
        worker = FakeWorker(client)
        poisoned = post(client, priority=9)
        execute(client, "UPDATE studies SET spec = '{\"task\"= ', warnings = 'x' WHERE id = :id", id=poisoned)
        healthy = post(client, budget={"trials": 2, "parallel": 1})
        assert_healthy_completes(client, worker, healthy)
        assert_all_answer(client, poisoned, healthy)
        assert client.get(f"/v1/studies/{poisoned}").json()["state"] == "FAILED"
