"""A study whose first stage is a range test, on both databases."""

from __future__ import annotations

import math
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.ledger.lost_leases import sweep as take_back
from tests.support.ledgers import FakeClock, FakeWorker, serving, study_spec

LOW, HIGH, STEPS = 1e-6, 10.0, 100
AUTO = {"families": ["constant", "cosine"], "start_lr": "auto", "end_lr": {"low": 1e-8, "high": 1e-2}}


def auto_spec(**changes: Any) -> dict[str, Any]:
    return study_spec(space=AUTO, range_test={"steps": STEPS, "seeds": 2}, **changes)


def post(client: TestClient, spec: dict[str, Any]) -> str:
    answer = client.post("/v1/studies", json=spec)
    assert answer.status_code == 201, answer.text
    study_id: str = answer.json()["study_id"]
    return study_id


def study_of(client: TestClient, study_id: str) -> dict[str, Any]:
    document: dict[str, Any] = client.get(f"/v1/studies/{study_id}").json()
    return document


def made_loss(lr: float) -> float | None:
    """Falls about 1e-3, lowest about 1e-2, lost from 1e-1 on, no number from 1 on."""
    decade = math.log10(lr)
    if decade >= 0:
        return None
    return 2.0 / (1 + math.exp(4 * (decade + 3))) + 0.1 + 2.0 / (1 + math.exp(-8 * (decade + 1)))


def reports(trial: dict[str, Any]) -> list[dict[str, Any]]:
    """A whole sweep's."""
    rates = [LOW * (HIGH / LOW) ** (step / (STEPS - 1)) for step in range(STEPS)]
    rows = [{"step": step, "lr": lr, "train_loss": made_loss(lr), "metrics": {}} for step, lr in enumerate(rates)]
    assert trial["report_every_steps"] == 1
    return rows


def sweep_all(worker: FakeWorker, state: str = "DIVERGED", max_trials: int = 8) -> None:
    lease = worker.claim(max_trials)
    assert lease is not None
    for trial in lease["trials"]:
        assert (trial["purpose"], trial["horizon_steps"]) == ("range_test", STEPS)
    if state != "FAILED":
        # The entries have one lease's trials in common, whose sweeps all look the same here.
        worker.report(lease, 0, 0.0, horizon_steps=STEPS, reports=reports(lease["trials"][0]))
    worker.finish(lease, state, error="no such data" if state == "FAILED" else None)


def assert_found(study: dict[str, Any]) -> None:
    found = study["range_test"]
    assert found["found"], found
    # Half of what was gained is lost where the made loss climbs through 1.1: at a tenth.
    assert found["divergence"]["lr"] == pytest.approx(0.1, rel=0.3)
    assert found["minimum"]["lr"] == pytest.approx(10**-1.8, rel=1.0)
    assert 1e-4 < found["bounds"]["low"] < 1e-2 < found["bounds"]["high"] < 0.1
    assert study["spec"]["space"]["start_lr"] == "auto"


def test_the_sweeps_come_first_and_the_search_keeps_to_their_bounds(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study_id = post(client, auto_spec())
    queued = study_of(client, study_id)
    assert queued["spec"]["range_test"] == {"low": LOW, "high": HIGH, "steps": STEPS, "seeds": 2}
    assert (queued["range_test"], queued["progress"]["planned"]) == (None, 6)
    first = worker.claim(max_trials=1)
    assert first is not None
    second = FakeWorker(client, "w-2").claim(max_trials=8)
    assert second is not None
    assert [one["purpose"] for one in (*first["trials"], *second["trials"])] == ["range_test"] * 2
    assert first["trials"][0]["seed"] != second["trials"][0]["seed"]
    assert worker.claim(max_trials=8) is None, "the search waits"
    for lease in (first, second):
        worker.report(lease, 0, 0.0, horizon_steps=STEPS, reports=reports(lease["trials"][0]))
        worker.finish(lease, "DIVERGED")
    found = study_of(client, study_id)
    assert_found(found)
    assert found["range_test"]["trials"] == [0, 1]
    clock.advance(60)  # the second worker waits no more
    searched = worker.claim(max_trials=8)
    assert searched is not None
    assert len(searched["trials"]) == 4, "sweeps spend nothing of the budget"
    bounds = found["range_test"]["bounds"]
    for trial in searched["trials"]:
        assert (trial["horizon_steps"], trial["report_every_steps"]) == (None, None)
        assert bounds["low"] <= trial["schedule"]["start_lr"] <= bounds["high"]
    worker.finish(searched, value=0.5)
    assert study_of(client, study_id)["state"] == "COMPLETED"
    curve = client.get(f"/v1/studies/{study_id}/trials/0/curve").json()
    assert len(curve["step"]) == STEPS
    assert client.get(f"/v1/studies/{study_id}/trials/0").json()["diagnosis"] == []


def test_bounds_hang_on_the_held_out_loss_where_workers_tell_of_it(client: TestClient, worker: FakeWorker) -> None:
    study_id = post(client, auto_spec())
    lease = worker.claim(max_trials=8)
    assert lease is not None
    rows = reports(lease["trials"][0])
    for row in rows[1::2]:
        row["metrics"] = {"val_loss": 2.0 - math.exp(-((math.log10(row["lr"]) + 3.5) ** 2))}
    worker.report(lease, 0, 0.0, horizon_steps=STEPS, reports=rows)
    worker.finish(lease, "DIVERGED")
    found = study_of(client, study_id)["range_test"]
    assert math.log10(found["held_out_minimum"]["lr"]) == pytest.approx(-3.5, abs=0.1)
    assert found["minimum"]["lr"] == pytest.approx(10**-1.8, rel=1.0), "the training loss falls for longer"
    assert found["bounds"]["low"] < 10**-3.5 < found["bounds"]["high"] < 10**-2.8
    searched = worker.claim(max_trials=8)
    assert searched is not None
    for trial in searched["trials"]:
        assert found["bounds"]["low"] <= trial["schedule"]["start_lr"] <= found["bounds"]["high"]


def test_sweeps_have_seeds_that_every_framework_accepts(client: TestClient, worker: FakeWorker) -> None:
    seeds = []
    for study_seed in range(4):
        post(client, auto_spec(sampler={"name": "random", "seed": study_seed}))
        lease = worker.claim(2)
        assert lease is not None
        seeds += [trial["seed"] for trial in lease["trials"]]
    assert len(set(seeds)) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_lost_worker_costs_no_sweep_and_another_server_goes_on(database_url: str, clock: FakeClock) -> None:
    with serving(database_url, clock) as client:
        study_id = post(client, auto_spec())
        assert FakeWorker(client).claim(max_trials=8) is not None
    clock.advance(61)
    with serving(database_url, clock) as client:
        assert take_back(client.app.state.services.database) == 1  # type: ignore[attr-defined]
        sweep_all(FakeWorker(client, "w-2"))
        assert_found(study_of(client, study_id))
    with serving(database_url, clock) as client:
        lease = FakeWorker(client, "w-3").claim(max_trials=8)
        assert lease is not None
        bounds = study_of(client, study_id)["range_test"]["bounds"]
        assert all(bounds["low"] <= one["schedule"]["start_lr"] <= bounds["high"] for one in lease["trials"])


def test_a_pause_in_the_middle_is_kept_and_resumed(client: TestClient, worker: FakeWorker) -> None:
    study_id = post(client, auto_spec())
    sweep_all(worker, max_trials=1)
    lease = worker.claim()
    assert lease is not None
    client.post(f"/v1/studies/{study_id}/pause")
    worker.report(lease, 0, 0.0, horizon_steps=STEPS, reports=reports(lease["trials"][0]))
    worker.finish(lease, "DIVERGED")
    assert study_of(client, study_id)["range_test"] is None
    assert worker.claim() is None
    assert client.post(f"/v1/studies/{study_id}/resume").json()["state"] == "RUNNING"
    assert_found(study_of(client, study_id))


@pytest.mark.parametrize(("verb", "state"), [("cancel", "CANCELLED"), ("stop", "CANCELLED")])
def test_it_ends_when_told_to(client: TestClient, worker: FakeWorker, verb: str, state: str) -> None:
    study_id = post(client, auto_spec())
    sweep_all(worker, max_trials=1)
    assert client.post(f"/v1/studies/{study_id}/{verb}").json()["state"] == state
    assert worker.claim() is None
    assert client.delete(f"/v1/studies/{study_id}").status_code == 204


def test_a_study_whose_sweeps_all_fail_fails_with_their_error_and_no_range(
    client: TestClient, worker: FakeWorker
) -> None:
    study_id = post(client, auto_spec())
    sweep_all(worker, "FAILED")
    study = study_of(client, study_id)
    assert (study["state"], study["reason"]) == ("FAILED", "all 2 sweeps of the range test failed: no such data")
    assert (study["range_test"]["found"], study["range_test"]["bounds"]) == (False, None)
    assert study["range_test"]["trials"] == [0, 1]
    assert worker.claim() is None
    for call in ("diagnosis", "trials", "leaderboard"):
        assert client.get(f"/v1/studies/{study_id}/{call}").status_code in (200, 409), call
    assert client.delete(f"/v1/studies/{study_id}").status_code == 204


def test_sweeps_of_which_one_fails_and_none_shows_a_fall_leave_the_usual_bounds_and_a_warning(
    client: TestClient, worker: FakeWorker
) -> None:
    study_id = post(client, auto_spec())
    sweep_all(worker, "FAILED", max_trials=1)
    lease = worker.claim()
    assert lease is not None
    worker.finish(lease, "DIVERGED")
    study = study_of(client, study_id)
    assert (study["state"], study["range_test"]["found"]) == ("RUNNING", False)
    assert "the sweeps failed: no such data; start_lr is searched from 0.0001 to 1" in study["range_test"]["reason"]
    assert study["range_test"]["bounds"] == {"low": 1e-4, "high": 1.0}
    assert "range_test_failed" in {warning["code"] for warning in study["warnings"]}
    assert worker.claim() is not None


def test_a_study_whose_own_baseline_trained_is_searched_though_its_sweeps_fail(
    client: TestClient, worker: FakeWorker
) -> None:
    study_id = post(client, auto_spec(baseline=[{"family": "constant", "start_lr": 0.01, "end_lr": 0.01}]))
    lease = worker.claim()
    assert lease is not None
    worker.finish(lease, value=0.9)
    sweep_all(worker, "FAILED")
    assert study_of(client, study_id)["range_test"]["bounds"] == {"low": 1e-4, "high": 1.0}
    assert worker.claim() is not None


def test_bounds_that_contradict_another_range_reach_up_to_it(client: TestClient, worker: FakeWorker) -> None:
    study_id = post(client, auto_spec() | {"space": {**AUTO, "end_lr": {"low": 0.5, "high": 1.0}}})
    sweep_all(worker)
    study = study_of(client, study_id)
    assert study["range_test"]["bounds"]["high"] == 0.5
    assert "range_test_contradicts" in {warning["code"] for warning in study["warnings"]}
    assert worker.claim(max_trials=8) is not None


def test_a_studys_own_baselines_are_its_first_trials_and_take_their_place(
    client: TestClient, worker: FakeWorker
) -> None:
    own = {"family": "constant", "start_lr": 0.01, "end_lr": 0.01}
    study_id = post(client, auto_spec(baseline=[own]))
    lease = worker.claim()
    assert lease is not None
    assert (lease["trials"][0]["number"], lease["trials"][0]["purpose"]) == (0, "search")
    worker.finish(lease, value=0.9)
    sweep_all(worker)
    rest = worker.claim(max_trials=8)
    assert rest is not None
    assert len(rest["trials"]) == 3
    worker.finish(rest, value=0.1)
    best = client.get(f"/v1/studies/{study_id}/best").json()
    assert (best["trial"], best["schedule"]["start_lr"]) == (0, 0.01)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"range_test": {"low": 1e-3, "high": 1e-3}}, "range_test.high"),
        ({"range_test": {"low": 0}}, "range_test.low"),
        ({"range_test": {"steps": 10}}, "range_test.steps"),
        ({"range_test": {"seeds": 0}}, "range_test.seeds"),
        ({"range_test": {}, "space": {"start_lr": {"low": 1e-3, "high": 1.0}}}, "range_test"),
        ({"space": {"start_lr": "automatic"}}, "space.start_lr"),
        ({"space": {"start_lr": {"low": "auto", "high": 1.0}}}, "space.start_lr.low"),
    ],
)
def test_what_contradicts_itself_is_refused(client: TestClient, changes: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/studies", json={**auto_spec(), **changes})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["remedy"]
