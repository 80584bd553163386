"""The first trials of a study: guesses, schedules from finished studies, and common defaults."""

from __future__ import annotations

import math
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.ledgers import UNKNOWN_TASK, FakeWorker, study_spec

PARAMS = {"model": "mlp", "optimizer": "sgd", "batch_size": 64}
BUDGET = {"trials": 24, "parallel": 1}
GUESS = {"family": "cosine", "start_lr": 0.02, "end_lr": 0.0002}


def create(client: TestClient, **changes: Any) -> dict[str, Any]:
    spec = study_spec(**{"task": {"name": "digits", "params": PARAMS}, "budget": BUDGET, **changes})
    answer = client.post("/v1/studies", json=spec)
    assert answer.status_code == 201, answer.text
    study: dict[str, Any] = answer.json()
    return study


def finish(client: TestClient, worker: FakeWorker, best_lr: float, **changes: Any) -> dict[str, Any]:
    """A study whose trials are the better the nearer their highest rate is to `best_lr`."""
    study = create(client, **changes)
    while (lease := worker.claim(study=study["study_id"])) is not None:
        schedule = lease["trials"][0]["schedule"]
        worker.finish(lease, value=1 - 0.1 * abs(math.log10(schedule["start_lr"] / best_lr)))
    return study


def starts(client: TestClient, study: dict[str, Any]) -> list[dict[str, Any]]:
    items = client.get(f"/v1/studies/{study['study_id']}/trials", params={"limit": 100}).json()["items"]
    return [trial for trial in items if trial["origin"] != "sampler"]


def test_a_study_starts_with_what_did_well_in_a_finished_one_like_it(client: TestClient, worker: FakeWorker) -> None:
    first = finish(client, worker, 0.01, warm_start="off")
    second = create(client, sampler={"name": "random", "seed": 7})
    tried = starts(client, second)
    assert second["spec"]["warm_start"] == [first["study_id"]]
    assert {trial["origin"] for trial in tried} == {"warm", "prior"}
    assert len(tried) <= 24 // 4
    warm = [trial["schedule"]["start_lr"] for trial in tried if trial["origin"] == "warm"]
    known = [trial["schedule"]["start_lr"] for trial in _trials(client, first)]
    assert abs(math.log10(warm[0] / 0.01)) == pytest.approx(min(abs(math.log10(lr / 0.01)) for lr in known))


def test_another_optimizer_is_learnt_from_last_and_another_metric_never(client: TestClient, worker: FakeWorker) -> None:
    adam = finish(client, worker, 0.003, task={"name": "digits", "params": {**PARAMS, "optimizer": "adam"}})
    same = finish(client, worker, 0.1)
    losses = {"metric": "val_loss", "direction": "minimize"}
    other = finish(client, worker, 0.1, objective=losses)
    found = create(client)["spec"]["warm_start"]
    assert found == [same["study_id"], adam["study_id"]]
    assert other["study_id"] not in found


def test_the_same_warm_start_gives_the_same_trials_whatever_has_finished_since(
    client: TestClient, worker: FakeWorker
) -> None:
    first = finish(client, worker, 0.01, warm_start="off")
    one = create(client)
    finish(client, worker, 0.3, warm_start="off")
    again = create(client, warm_start=one["spec"]["warm_start"])
    assert one["spec"]["warm_start"] == [first["study_id"]]
    assert [trial["schedule"] for trial in starts(client, again)] == [
        trial["schedule"] for trial in starts(client, one)
    ]


def test_guesses_come_first_and_are_paid_from_the_budget(client: TestClient, worker: FakeWorker) -> None:
    space = {**study_spec()["space"], "guesses": [GUESS]}
    study = create(client, space=space, budget={"trials": 3, "parallel": 1}, warm_start="off")
    origins = []
    while (lease := worker.claim(study=study["study_id"])) is not None:
        worker.finish(lease)
    origins = [trial["origin"] for trial in _trials(client, study)]
    assert origins == ["guess", "sampler", "sampler"]
    assert starts(client, study)[0]["schedule"]["start_lr"] == 0.02


def test_without_studies_or_a_known_optimizer_the_search_is_on_its_own(client: TestClient) -> None:
    assert starts(client, create(client, task=UNKNOWN_TASK)) == []
    known = create(client)
    assert known["spec"]["warm_start"] == []
    assert [trial["origin"] for trial in starts(client, known)] == ["prior", "prior"]  # cosine and constant
    assert starts(client, create(client, warm_start="off")) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"space": {"guesses": [{**GUESS, "start_lr": 5.0}]}}, "space.guesses[0].start_lr"),
        ({"space": {"guesses": [{**GUESS, "family": "no"}]}}, "space.guesses[0].family"),
        ({"space": {"guesses": [GUESS, GUESS]}}, "space.guesses[1]"),
        ({"space": {"guesses": [GUESS]}, "budget": {"trials": 1}}, "space.guesses"),
        ({"space": {"guesses": [GUESS]}, "baseline": [GUESS]}, "space.guesses[0]"),
        ({"warm_start": ["nobody"]}, "warm_start[0]"),
        ({"warm_start": "on"}, "warm_start"),
        ({"warm_start": ["a b"]}, "warm_start[0]"),
        ({"warm_start": ["s"] * 21}, "warm_start"),
    ],
)
def test_what_cannot_be_tried_first_is_refused_by_name(client: TestClient, changes: dict[str, Any], field: str) -> None:
    space = {**study_spec()["space"], **changes.get("space", {})}
    answer = client.post("/v1/studies", json=study_spec(**{**changes, "space": space}))
    assert answer.status_code == 422
    assert field in [fault["field"] for fault in answer.json()["errors"]]


def test_a_warm_start_and_a_default_that_differ_by_rounding_are_trained_once_as_they_are_written(
    client: TestClient, worker: FakeWorker
) -> None:
    task = {"name": "digits", "params": {**PARAMS, "optimizer": "adam"}}
    space = {"start_lr": {"low": 1e-4, "high": 1e-1}, "end_lr": {"low": 1e-6, "high": 1e-2}}
    rate = 0.0009999999999999996
    first = create(client, task=task, space=space, warm_start="off")
    for shape in ({"family": "cosine", "end_lr": rate / 100}, {"family": "constant", "end_lr": rate}):
        schedule = {**shape, "start_lr": rate}
        assert client.post(f"/v1/studies/{first['study_id']}/trials", json={"schedule": schedule}).status_code == 201
    while (lease := worker.claim(study=first["study_id"])) is not None:
        worker.finish(lease, value=1 - abs(math.log10(lease["trials"][0]["schedule"]["start_lr"] / 1e-3)))
    tried = starts(client, create(client, task=task, space=space))
    assert {trial["origin"] for trial in tried} == {"warm", "prior"}
    for family in ("cosine", "constant"):
        rates = [trial["schedule"]["start_lr"] for trial in tried if trial["schedule"]["family"] == family]
        assert [known for known in rates if abs(known / 1e-3 - 1) < 1e-9] == [1e-3]


def test_ones_own_schedules_that_differ_by_rounding_are_listed_twice(client: TestClient) -> None:
    again = {**GUESS, "start_lr": math.nextafter(0.02, 1), "end_lr": math.nextafter(0.0002, 0)}
    space = {**study_spec()["space"], "guesses": [GUESS]}
    refused = {
        "space.guesses[1]": {"space": {**space, "guesses": [GUESS, again]}},
        "space.guesses[0]": {"space": space, "baseline": [again]},
        "baseline.schedules[1]": {"baseline": [GUESS, again]},
    }
    for field, changes in refused.items():
        answer = client.post("/v1/studies", json=study_spec(**changes))
        assert answer.status_code == 422, answer.text
        assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_a_baseline_keeps_a_default_that_differs_by_rounding_from_being_trained(client: TestClient) -> None:
    own = {"family": "cosine", "start_lr": math.nextafter(0.1, 0), "end_lr": math.nextafter(0.001, 0)}
    tried = starts(client, create(client, baseline=[own]))
    assert [(trial["origin"], trial["schedule"]["family"]) for trial in tried] == [
        ("user", "cosine"),
        ("prior", "constant"),
    ]
    assert tried[0]["schedule"]["start_lr"] == own["start_lr"]


def test_a_schedule_that_was_tried_twice_within_rounding_is_confirmed_once(
    client: TestClient, worker: FakeWorker
) -> None:
    space = {"families": ["constant", "cosine"], "start_lr": {"low": 1e-3, "high": 1.0}}
    study = create(
        client, space=space, warm_start="off", budget={"trials": 3, "parallel": 1}, confirm={"top": 3, "seeds": 2}
    )
    rates = [0.02, math.nextafter(0.02, 1), 0.05]
    for rate in rates:
        schedule = {"family": "cosine", "start_lr": rate, "end_lr": 1e-4}
        client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": schedule})
    confirmed = set()
    while (lease := worker.claim(study=study["study_id"])) is not None:
        (trial,) = lease["trials"]
        confirmed |= {trial["schedule"]["start_lr"]} if trial["purpose"] != "search" else set()
        worker.finish(lease, value=0.9)
    assert confirmed == {0.02, 0.05}


def test_a_study_that_still_runs_cannot_be_learnt_from(client: TestClient) -> None:
    running = create(client)
    answer = client.post("/v1/studies", json=study_spec(warm_start=[running["study_id"]]))
    assert answer.status_code == 422
    assert "QUEUED" in answer.json()["errors"][0]["message"]


def _trials(client: TestClient, study: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"/v1/studies/{study['study_id']}/trials").json()["items"]
    return items
