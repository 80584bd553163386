"""Search trials that are trained on several folds and seeds."""

from __future__ import annotations

from random import Random
from statistics import mean, stdev
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.ledger.lost_leases import sweep
from tests.support.ledgers import LEASE_SECONDS, UNKNOWN_TASK, FakeClock, FakeWorker, named, study_spec

CONSTANT = {"family": "constant", "start_lr": 0.1, "end_lr": 0.1}
FOLDABLE = [{"name": "digits", "params_schema": None, "metrics": ["val_accuracy"], "folds": True}]


@pytest.fixture
def worker(client: TestClient) -> FakeWorker:
    """One that can hold out folds, and has said so."""
    worker = FakeWorker(client, tasks=FOLDABLE)
    assert worker.claim() is None
    return worker


def submit(client: TestClient, **changes: Any) -> str:
    objective = {"metric": "val_accuracy", "direction": "maximize", **changes.pop("objective", {"folds": 3})}
    answer = client.post("/v1/studies", json=study_spec(objective=objective, **changes))
    assert answer.status_code == 201, answer.text
    study_id: str = answer.json()["study_id"]
    return study_id


def trial(client: TestClient, study: str, number: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/studies/{study}/trials/{number}").json()
    return found


def items(client: TestClient, study: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/v1/studies/{study}/trials", params=query).json()["items"]
    return found


def study_of(client: TestClient, study: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/studies/{study}").json()
    return found


def finish_all(worker: FakeWorker, *values: float) -> None:
    for value in values:
        lease = worker.claim()
        assert lease is not None
        assert worker.finish(lease, value=value).status_code == 200


def test_a_trials_value_is_the_mean_over_its_folds_with_its_spread(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client, budget={"trials": 1, "parallel": 3})
    lease = worker.claim(max_trials=8)
    assert lease is not None
    assert [one["fold"] for one in lease["trials"]] == [{"index": index, "count": 3} for index in range(3)]
    assert len({one["seed"] for one in lease["trials"]}) == 3
    assert {one["purpose"] for one in lease["trials"]} == {"evaluation"}
    assert trial(client, study, 0)["state"] == "RUNNING"
    values = [0.5, 0.7, 0.9]
    for one, value in zip(lease["trials"], values, strict=True):
        worker.finish({**lease, "trials": [one]}, value=value)
    document = trial(client, study, 0)
    assert document["state"] == "COMPLETED"
    assert document["value"] == pytest.approx(mean(values))
    assert document["evaluations"] == {"count": 3, "completed": 3, "std": pytest.approx(stdev(values))}
    evaluations = items(client, study, evaluates=0)
    assert [one["value"] for one in evaluations] == values
    assert all(one["evaluates"] == 0 and one["purpose"] == "evaluation" for one in evaluations)
    answer = client.get(f"/v1/studies/{study}/best").json()
    assert (answer["trial"], answer["value"]) == (0, document["value"])
    assert answer["evaluations"] == document["evaluations"]
    assert client.get(f"/v1/studies/{study}/leaderboard").json()["items"][0]["best"]["evaluations"]["count"] == 3
    assert study_of(client, study)["best"]["evaluations"]["count"] == 3


def test_the_budget_counts_search_trials_and_progress_counts_trainings(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client, objective={"folds": 2, "seeds": 2}, budget={"trials": 3, "parallel": 2})
    assert study_of(client, study)["progress"]["planned"] == 12
    finish_all(worker, *[0.5] * 12)
    assert worker.claim() is None
    done = study_of(client, study)
    assert done["state"] == "COMPLETED"
    assert done["progress"]["trials"]["COMPLETED"] == done["progress"]["finished"] == 12
    assert len(items(client, study, purpose="search")) == 3


@pytest.mark.parametrize("pruner", ["none", "wilcoxon"])
def test_seeds_alone_need_no_folds_and_are_paired_for_the_pruner_that_compares_pairs(
    client: TestClient, worker: FakeWorker, pruner: str
) -> None:
    study = submit(client, objective={"seeds": 3}, budget={"trials": 2, "parallel": 1}, pruner={"name": pruner})
    finish_all(FakeWorker(client, "plain"), *[0.5] * 6)
    first, second = ([one["seed"] for one in items(client, study, evaluates=number)] for number in (0, 4))
    assert (first == second) == (pruner == "wilcoxon")
    assert len(set(first)) == 3
    assert {one["fold"] is None for one in items(client, study)} == {True}


def test_no_more_run_at_once_than_the_budget_allows(client: TestClient, worker: FakeWorker) -> None:
    submit(client, objective={"folds": 5}, budget={"trials": 2, "parallel": 3})
    lease = worker.claim(max_trials=8)
    assert lease is not None
    assert len(lease["trials"]) == 3
    assert worker.claim() is None


def test_a_lease_takes_folds_of_several_search_trials(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client, budget={"trials": 4, "parallel": 8})
    lease = worker.claim(max_trials=8)
    assert lease is not None
    assert [one["fold"]["index"] for one in lease["trials"]] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert len(items(client, study, purpose="search", state="RUNNING")) == 3


@pytest.mark.parametrize("state", ["DIVERGED", "FAILED", "PRUNED"])
def test_a_training_that_ends_otherwise_ends_its_search_trial(
    client: TestClient, worker: FakeWorker, state: str
) -> None:
    study = submit(client, budget={"trials": 2, "parallel": 8})
    lease = worker.claim(max_trials=3)
    assert lease is not None
    first, second, third = ({**lease, "trials": [one]} for one in lease["trials"])
    worker.finish(first, value=0.4)
    worker.finish(second, state, None)
    document = trial(client, study, 0)
    assert document["state"] == state
    assert document["evaluations"]["completed"] == 1
    assert document["value"] == (0.4 if state == "PRUNED" else None)
    assert worker.renew(third).json()["trials"] == {third["trials"][0]["trial"]: "cancel"}
    finish_all(worker, 0.5, 0.5, 0.5)
    assert study_of(client, study)["state"] == "COMPLETED"


def test_a_lost_worker_costs_a_fold_no_more_than_another_attempt(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study = submit(client, budget={"trials": 1, "parallel": 1})
    lost = worker.claim()
    assert lost is not None
    clock.advance(LEASE_SECONDS + 1)
    sweep(client.app.state.services.database)  # type: ignore[attr-defined]
    again = worker.claim()
    assert again is not None
    assert again["trials"][0]["number"] == lost["trials"][0]["number"]
    assert again["trials"][0]["fold"] == lost["trials"][0]["fold"]
    worker.finish(again, value=0.5)
    finish_all(worker, 0.5, 0.5)
    assert trial(client, study, 0)["value"] == 0.5


def test_stop_lets_a_search_trial_that_has_begun_complete_its_folds(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client, budget={"trials": 5, "parallel": 1})
    lease = worker.claim()
    assert lease is not None
    client.post(f"/v1/studies/{study}/trials", json={"schedule": CONSTANT})
    client.post(f"/v1/studies/{study}/stop")
    worker.finish(lease, value=0.6)
    finish_all(worker, 0.6, 0.6)
    assert worker.claim() is None
    assert study_of(client, study)["state"] == "COMPLETED"
    states = {one["number"]: one["state"] for one in items(client, study, purpose="search")}
    assert sorted(states.values()) == ["CANCELLED", "COMPLETED"]


def test_cancel_ends_search_trials_with_their_trainings(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client)
    lease = worker.claim()
    assert lease is not None
    client.post(f"/v1/studies/{study}/cancel")
    assert {one["state"] for one in items(client, study)} == {"CANCELLED"}
    assert worker.renew(lease).json()["trials"] == {lease["trials"][0]["trial"]: "cancel"}


def test_hopeless_trials_end_early_by_the_wilcoxon_test(client: TestClient, worker: FakeWorker) -> None:
    study = submit(
        client,
        objective={"folds": 8},
        pruner={"name": "wilcoxon"},
        budget={"trials": 3, "parallel": 1},
        sampler={"name": "tpe", "seed": 0},
    )
    finish_all(worker, *[0.9 + 0.001 * index for index in range(8)])
    finish_all(worker, *[0.5 + 0.01 * index for index in range(4)])
    hopeless = trial(client, study, 9)
    assert hopeless["state"] == "PRUNED"
    assert hopeless["evaluations"]["completed"] == 4
    assert hopeless["value"] == pytest.approx(0.515)
    assert [one["state"] for one in items(client, study, evaluates=9)] == ["COMPLETED"] * 4 + ["CANCELLED"] * 4
    finish_all(worker, *[0.95] * 8)
    assert study_of(client, study)["best"]["trial"] == 18


def test_the_pruner_is_refused_where_it_does_not_fit(client: TestClient, worker: FakeWorker) -> None:
    def refusal(objective: dict[str, Any], pruner: str) -> Any:
        whole = {"metric": "val_accuracy", "direction": "maximize", **objective}
        answer = client.post("/v1/studies", json=study_spec(objective=whole, pruner={"name": pruner}))
        assert answer.status_code == 422
        return answer.json()["errors"][0]

    assert "objective.folds" in refusal({}, "wilcoxon")["remedy"]
    assert refusal({"folds": 5}, "median")["bound"] == "none, wilcoxon"
    assert refusal({"folds": 21}, "none")["field"] == "objective.folds"
    assert refusal({"folds": 20, "seeds": 6}, "none")["value"] == 120
    assert refusal({"seeds": True}, "none")["field"] == "objective.seeds"


def test_a_task_that_cannot_hold_out_folds_is_refused(client: TestClient) -> None:
    FakeWorker(client, tasks=[{"name": UNKNOWN_TASK["name"], "params_schema": None, "metrics": None}]).claim()
    objective = {"metric": "val_accuracy", "direction": "maximize", "folds": 3}
    answer = client.post("/v1/studies", json=study_spec(task=UNKNOWN_TASK, objective=objective))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "objective.folds"


def test_a_worker_that_knows_no_folds_gets_no_trial_with_one(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client)
    assert client.get("/v1/tasks").json()["items"][0]["folds"] is True
    assert FakeWorker(client, "old", tasks=["digits"]).claim() is None
    assert FakeWorker(client, "old", tasks=["digits"]).claim(study=study) is None
    assert worker.claim() is not None


def test_confirmation_seeds_take_turns_on_the_folds_the_same_for_all(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client, budget={"trials": 4, "parallel": 1}, confirm={"top": 2, "seeds": 3})
    for number in range(200):
        lease = worker.claim()
        if lease is None:
            break
        worker.finish(lease, value=0.5 + (number % 7) / 100)
    assert study_of(client, study)["state"] == "COMPLETED"
    runs = [one for one in items(client, study, limit=500) if one["purpose"] in ("confirm", "baseline")]
    folds: dict[int, set[int]] = {}
    for one in runs:
        folds.setdefault(one["seed"], set()).add(one["fold"]["index"])
    assert all(len(each) == 1 for each in folds.values())
    assert {index for each in folds.values() for index in each} == {0, 1, 2}
    answer = client.get(f"/v1/studies/{study}/best").json()
    assert answer["confirmation"]["seeds"] == 3


def test_own_baselines_are_the_first_search_trials_and_are_compared_with(
    client: TestClient, worker: FakeWorker
) -> None:
    own = [{"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}, CONSTANT]
    study = submit(client, baseline=own, budget={"trials": 4, "parallel": 1}, confirm={"top": 1, "seeds": 3})
    while (lease := worker.claim()) is not None:
        worker.finish(lease, value=0.5)
    assert [one["number"] for one in items(client, study, purpose="search")][:2] == [0, 1]
    assert {one["number"] for one in items(client, study, evaluates=1)} == {5, 6, 7}
    assert study_of(client, study)["state"] == "COMPLETED"


def test_unwise_numbers_are_warned_of(client: TestClient, worker: FakeWorker) -> None:
    objective = {"metric": "val_accuracy", "direction": "maximize", "folds": 3}
    spec = study_spec(objective=objective, pruner={"name": "wilcoxon"}, confirm={"top": 1, "seeds": 4})
    answer = client.post("/v1/studies", json=spec, params={"validate_only": True}).json()
    codes = {warning["code"]: warning for warning in answer["warnings"]}
    assert codes["few_evaluations"]["field"] == "pruner.name"
    assert "6 seeds" in codes["uneven_folds"]["message"]


def test_a_budget_of_steps_counts_every_fold(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client, budget={"trials": 5, "parallel": 1, "max_steps": 700})
    while (lease := worker.claim()) is not None:
        worker.report(lease, 99, 0.5)
        worker.finish(lease, value=0.5)
    assert study_of(client, study)["state"] == "COMPLETED"
    assert len(items(client, study, purpose="search")) == 2
    assert len(items(client, study, purpose="evaluation", state="COMPLETED")) == 6


def test_the_curve_and_the_diagnosis_of_a_trial_with_folds_are_of_the_mean_of_its_folds(
    client: TestClient, worker: FakeWorker
) -> None:
    study = submit(client, objective={"folds": 2}, budget={"trials": 1, "parallel": 1})
    for fold in range(2):
        lease = worker.claim()
        assert lease is not None
        losses = [2.3 - 0.07 * index + 0.1 * fold for index in range(10)]
        reports = [
            {"step": 10 * index + 9, "lr": 0.1, "train_loss": one, "metrics": {"val_accuracy": 1 / (1 + one)}}
            for index, one in enumerate(losses)
        ]
        entry = {**named(lease["trials"][0]), "horizon_steps": 100, "reports": reports}
        client.post(f"/v1/leases/{lease['lease_id']}/report", json={"trials": [entry]})
        worker.finish(lease, value=0.5)
    curve = client.get(f"/v1/studies/{study}/trials/0/curve").json()
    assert curve["mean_of"] == [1, 2]
    assert curve["step"] == [10 * index + 9 for index in range(10)]
    assert curve["train_loss"] == pytest.approx([2.35 - 0.07 * index for index in range(10)])
    assert set(curve["lr"]) == {0.1}
    own = client.get(f"/v1/studies/{study}/trials/2/curve").json()
    assert (own["mean_of"], own["train_loss"][0]) == (None, pytest.approx(2.4))
    (finding,) = trial(client, study, 0)["diagnosis"]
    assert finding["code"] == "rate_too_low"
    (of_study,) = client.get(f"/v1/studies/{study}/diagnosis").json()["findings"]
    assert (of_study["code"], of_study["trial"]) == ("rate_too_low", 0)


def test_a_target_is_reached_by_the_mean_over_folds_not_by_one_of_them(client: TestClient, worker: FakeWorker) -> None:
    study = submit(client, objective={"folds": 2}, budget={"trials": 9, "parallel": 1, "target": 0.7})
    finish_all(worker, 0.9, 0.4, 0.6, 0.8)
    assert worker.claim() is None
    found = study_of(client, study)
    assert found["state"] == "COMPLETED"
    assert found["reason"].startswith("budget.target: val_accuracy 0.7 of trial ")
    assert len(items(client, study, purpose="search")) == 2


def test_time_that_is_up_lets_the_folds_of_a_trial_that_has_begun_end(
    client: TestClient, worker: FakeWorker, clock: FakeClock
) -> None:
    study = submit(client, objective={"folds": 3}, budget={"trials": 9, "parallel": 1, "max_seconds": 10})
    finish_all(worker, 0.5)
    clock.advance(11)
    finish_all(worker, 0.6, 0.7)
    assert worker.claim() is None
    found = study_of(client, study)
    assert (found["state"], found["best"]["value"]) == ("COMPLETED", pytest.approx(0.6))
    assert found["reason"].startswith("budget.max_seconds")
    assert len(items(client, study, purpose="evaluation", state="COMPLETED")) == 3


def test_a_search_with_folds_stops_when_it_has_converged(client: TestClient, worker: FakeWorker) -> None:
    budget = {"trials": 60, "parallel": 1, "stop_when": "converged"}
    study = submit(client, objective={"folds": 2}, budget=budget)
    generator = Random(0)
    while (lease := worker.claim()) is not None:
        worker.finish(lease, value=0.5 + 0.1 * generator.random())
    found = study_of(client, study)
    assert found["reason"].startswith("budget.stop_when: converged")
    assert found["convergence"]["trials"] == len(items(client, study, purpose="search", limit=500)) < 60


@pytest.mark.parametrize("folds", [None, 2])
def test_schedules_of_ones_own_take_part_in_everything(
    client: TestClient, worker: FakeWorker, folds: int | None
) -> None:
    """A baseline of one's own, and an enqueued schedule of a family that is not searched, which is the best."""
    own = {"family": "cosine", "start_lr": 0.5, "end_lr": 0.001}
    best = {"family": "linear", "start_lr": 0.2, "end_lr": 0.0}
    study = submit(
        client,
        objective={"folds": folds} if folds else {},
        baseline=[own],
        budget={"trials": 6, "parallel": 1},
        confirm={"top": 2, "seeds": 2},
    )
    number = client.post(f"/v1/studies/{study}/trials", json={"schedule": best}).json()["number"]
    while (lease := worker.claim()) is not None:
        family = lease["trials"][0]["schedule"]["family"]
        value = {"linear": 0.9, "cosine": 0.7, "constant": 0.6}[family]
        losses = [2.3 - 0.07 * index for index in range(10)]
        reports = [
            {"step": 10 * at + 9, "lr": 0.1, "train_loss": one, "metrics": {"val_accuracy": value - 0.01 * (9 - at)}}
            for at, one in enumerate(losses)
        ]
        entry = {**named(lease["trials"][0]), "horizon_steps": 100, "reports": reports}
        client.post(f"/v1/leases/{lease['lease_id']}/report", json={"trials": [entry]})
        worker.finish(lease, value=value)
    answer = client.get(f"/v1/studies/{study}/best").json()
    assert (answer["trial"], answer["schedule"]["family"]) == (number, "linear")
    assert answer["confirmation"]["seeds"] == 2
    assert [(one["trial"], one["schedule"]["start_lr"]) for one in answer["comparisons"]] == [(0, 0.5)]
    assert answer["comparisons"][0]["gain"]["mean"] == pytest.approx(0.2)
    board = {one["family"]: one for one in client.get(f"/v1/studies/{study}/leaderboard").json()["items"]}
    assert (board["linear"]["best"]["trial"], board["linear"]["confirmation"]["seeds"]) == (number, 2)
    assert board["cosine"]["confirmation"]["mean"] == pytest.approx(0.7)
    assert number in [one["trial"] for one in answer["front"]["items"]]
    front = client.get(f"/v1/studies/{study}/front", params={"target": 0.65}).json()
    assert front["items"][-1]["trial"] == number
    for one in (0, number):
        assert trial(client, study, one)["diagnosis"] is not None
        assert len(client.get(f"/v1/studies/{study}/trials/{one}/curve").json()["step"]) == 10
