"""The study and trial calls over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from lehr.schedules import schedule_from_dict
from tests.support.ledgers import UNKNOWN_TASK, FakeClock, FakeWorker, serving, study_spec

COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}


def create(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post("/v1/studies", json=study_spec(**changes))
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def run_all(worker: FakeWorker, value: float = 0.5) -> None:
    """Train whatever there is; each value a little better than the one before."""
    while (lease := worker.claim()) is not None:
        worker.report(lease, 99, value)
        worker.finish(lease, value=value)
        value += 0.01


def act(client: TestClient, study: dict[str, Any], verb: str) -> Any:
    return client.post(f"/v1/studies/{study['study_id']}/{verb}")


def test_a_created_study_tells_its_place_state_spec_and_progress(client: TestClient) -> None:
    answer = client.post("/v1/studies", json=study_spec())
    study = answer.json()
    assert answer.headers["location"] == f"/v1/studies/{study['study_id']}"
    assert study["state"] == "QUEUED"
    assert study["spec"]["space"]["families"] == ["constant", "cosine"]
    assert study["spec"]["space"]["peak_lr"] == study["spec"]["space"]["start_lr"]
    assert study["progress"]["fraction"] == 0
    assert study["created_at"] == "2026-01-01T00:00:00Z"
    assert "no live worker offers the task digits" in study["reason"]
    assert {warning["code"] for warning in study["warnings"]} >= {"task_not_offered", "few_trials_per_family"}
    assert client.get(answer.headers["location"]).json() == study


def test_defaults_fill_in_what_a_short_study_leaves_out(client: TestClient) -> None:
    short = {
        "name": "short",
        "task": {"name": "digits"},
        "objective": {"metric": "val_loss", "direction": "minimize"},
        "budget": {"trials": 200},
    }
    spec = client.post("/v1/studies", json=short).json()["spec"]
    assert spec["sampler"]["name"] == "tpe"
    assert spec["confirm"] == {"top": 8, "seeds": 4}
    assert "constant" in spec["space"]["families"]
    assert len(spec["space"]["families"]) >= 11


def test_constant_is_added_where_a_study_leaves_it_out(client: TestClient) -> None:
    space = {**study_spec()["space"], "families": ["cosine"]}
    study = create(client, space=space)
    assert sorted(study["spec"]["space"]["families"]) == ["constant", "cosine"]
    assert "constant_added" in {warning["code"] for warning in study["warnings"]}


def test_a_repeated_create_with_one_key_makes_one_study(client: TestClient) -> None:
    first = client.post("/v1/studies", json=study_spec(), headers={"Idempotency-Key": "k"})
    second = client.post("/v1/studies", json=study_spec(), headers={"Idempotency-Key": "k"})
    assert first.status_code == second.status_code == 201
    assert first.json()["study_id"] == second.json()["study_id"]
    assert len(client.get("/v1/studies").json()["items"]) == 1
    other = client.post("/v1/studies", json=study_spec(name="other"), headers={"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert other.json()["type"] == "urn:lehr:problem:idempotency-key-reused"


def test_studies_are_listed_newest_first_page_by_page(client: TestClient, clock: FakeClock) -> None:
    for number in range(5):
        create(client, name=f"study-{number}")
        clock.advance(1)
    names, cursor = [], None
    for _ in range(3):
        page = client.get("/v1/studies", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        names += [study["name"] for study in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["study-4", "study-3", "study-2", "study-1", "study-0"]
    assert cursor is None
    act(client, client.get("/v1/studies").json()["items"][0], "cancel")
    states = client.get("/v1/studies", params={"state": ["CANCELLED", "PAUSED"]}).json()["items"]
    assert [study["name"] for study in states] == ["study-4"]


def test_polling_with_after_returns_only_what_changed(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    url = f"/v1/studies/{study['study_id']}/trials"
    assert client.get(url, params={"after": 0}).json()["items"] == []
    lease = worker.claim(max_trials=3)
    assert lease is not None
    first = client.get(url, params={"after": 0}).json()["items"]
    assert len(first) == 3
    seen = max(trial["revision"] for trial in first)
    assert client.get(url, params={"after": seen}).json()["items"] == []
    worker.finish({**lease, "trials": lease["trials"][1:2]})
    changed = client.get(url, params={"after": seen}).json()["items"]
    assert [(trial["number"], trial["state"]) for trial in changed] == [(1, "COMPLETED")]


def test_polling_in_small_pages_misses_nothing(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 7, "parallel": 7})
    worker.claim(max_trials=7)
    url, numbers, cursor = f"/v1/studies/{study['study_id']}/trials", [], None
    for _ in range(4):
        params = {"after": 0, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.get(url, params=params).json()
        numbers += [trial["number"] for trial in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(numbers) == list(range(7))
    assert cursor is None


@pytest.mark.parametrize(("direction", "best"), [("maximize", [2, 1, 0]), ("minimize", [0, 1, 2])])
def test_trials_are_ordered_by_value_the_best_first_and_those_without_last(
    client: TestClient, worker: FakeWorker, direction: str, best: list[int]
) -> None:
    objective = {"metric": "val_accuracy", "direction": direction}
    study = create(client, objective=objective, confirm=None)
    for value in (0.1, 0.2, 0.3):
        lease = worker.claim()
        assert lease is not None
        worker.finish(lease, value=value)
    lease = worker.claim()
    assert lease is not None
    worker.finish(lease, "DIVERGED", error="loss became non-finite at step 3")
    url = f"/v1/studies/{study['study_id']}/trials"
    listed = client.get(url, params={"order": "value"}).json()["items"]
    assert [trial["number"] for trial in listed] == [*best, 3]
    pages = client.get(url, params={"order": "value", "limit": 2}).json()
    rest = client.get(url, params={"order": "value", "limit": 2, "cursor": pages["next_cursor"]}).json()
    assert [trial["number"] for trial in pages["items"] + rest["items"]] == [*best, 3]
    falling = client.get(url, params={"order": "-number", "state": "COMPLETED"}).json()["items"]
    assert [trial["number"] for trial in falling] == [2, 1, 0]
    assert client.get(url, params={"order": "value", "after": 0}).status_code == 422


def test_a_users_schedule_is_trained_within_the_budget(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 2, "parallel": 1})
    url = f"/v1/studies/{study['study_id']}/trials"
    answer = client.post(url, json={"schedule": COSINE})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{url}/0"
    assert answer.json()["origin"] == "user"
    assert answer.json()["state"] == "WAITING"
    lease = worker.claim()
    assert lease is not None
    assert lease["trials"][0]["schedule"] == schedule_from_dict(COSINE).to_dict()
    worker.finish(lease)
    assert client.post(url, json={"schedule": COSINE}).status_code == 201
    spent = client.post(url, json={"schedule": COSINE})
    assert spent.status_code == 409
    assert "budget of 2 trials is spent" in spent.json()["detail"]
    outside = client.post(url, json={"schedule": {**COSINE, "end_lr": 5.0}})
    assert outside.status_code == 422
    assert outside.json()["errors"][0]["field"].startswith("schedule")


PLATEAU = {"family": "plateau", "start_lr": 0.1, "end_lr": 0.001}


def test_an_adaptive_schedules_answer_has_the_rates_that_its_training_had(
    client: TestClient, worker: FakeWorker
) -> None:
    study = create(client, confirm=None, budget={"trials": 1})
    enqueued = client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": PLATEAU})
    assert enqueued.status_code == 201, enqueued.text
    lease = worker.claim()
    assert lease is not None
    assert schedule_from_dict(lease["trials"][0]["schedule"]) == schedule_from_dict(PLATEAU)
    for step, rate in ((9, 0.1), (19, 0.1), (29, 0.01), (39, 0.001)):
        report = {"step": step, "lr": rate, "metrics": {"val_accuracy": 0.5}}
        worker.report(lease, step, 0.5, reports=[report])
    worker.finish(lease)
    best = client.get(f"/v1/studies/{study['study_id']}/best").json()
    assert best["state"] == "COMPLETED"
    assert best["lr"] == {"step": [0, 9, 19, 29, 39], "value": [0.1, 0.1, 0.1, 0.01, 0.001]}
    assert "ReduceLROnPlateau(optimizer, mode='min', factor=0.1" in best["code"]["torch"]
    few = client.get(f"/v1/studies/{study['study_id']}/best", params={"points": 3}).json()
    assert few["lr"] == {"step": [0, 19, 39], "value": [0.1, 0.1, 0.001]}


def test_an_adaptive_schedule_that_follows_a_metric_which_the_task_lacks_is_refused(client: TestClient) -> None:
    FakeWorker(client, tasks=[{"name": "digits", "metrics": ["val_loss", "val_accuracy"]}]).claim()
    study = create(client)
    enqueue = f"/v1/studies/{study['study_id']}/trials"
    refused = client.post(enqueue, json={"schedule": {**PLATEAU, "metric": "bleu"}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "schedule.metric"
    assert "val_loss, val_accuracy" in refused.json()["errors"][0]["bound"]
    assert client.post(enqueue, json={"schedule": {**PLATEAU, "metric": "val_loss"}}).status_code == 201
    spec = study_spec(space={"families": ["plateau"], "parameters": {"plateau": {"metric": ["val_loss", "bleu"]}}})
    refused = client.post("/v1/studies", json=spec)
    assert [error["field"] for error in refused.json()["errors"]] == ["space.parameters.plateau.metric"]


def test_a_search_draws_adaptive_schedules_where_the_space_names_them(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, space={"families": ["plateau"]}, budget={"trials": 4}, confirm=None)
    run_all(worker)
    page = client.get(f"/v1/studies/{study['study_id']}/trials").json()["items"]
    drawn = [trial["schedule"] for trial in page if trial["schedule"]["family"] == "plateau"]
    assert len(drawn) == 2
    assert {schedule["metric"] for schedule in drawn} == {"val_loss"}
    assert all(0.1 <= schedule["factor"] <= 0.8 and 0 <= schedule["patience"] <= 5 for schedule in drawn)


def test_states_that_do_not_allow_a_move_answer_409(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    assert act(client, study, "resume").json()["state"] == "QUEUED"
    assert act(client, study, "pause").json()["state"] == "PAUSED"
    assert act(client, study, "pause").json()["state"] == "PAUSED"
    assert act(client, study, "resume").json()["state"] == "QUEUED"
    assert client.delete(f"/v1/studies/{study['study_id']}").status_code == 409
    assert act(client, study, "cancel").json()["state"] == "CANCELLED"
    assert act(client, study, "cancel").json()["state"] == "CANCELLED"
    for verb in ("pause", "resume", "stop"):
        refused = act(client, study, verb)
        assert refused.status_code == 409
        assert "CANCELLED" in refused.json()["detail"]


def test_a_study_stopped_before_anything_completed_is_cancelled_with_the_reason(client: TestClient) -> None:
    study = act(client, create(client), "stop").json()
    assert study["state"] == "CANCELLED"
    assert study["reason"] == "stopped before any trial had completed"


def test_a_deleted_study_is_gone_with_its_trials_and_reports(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    run_all(worker)
    url = f"/v1/studies/{study['study_id']}"
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404
    assert client.get(f"{url}/trials").status_code == 404
    assert client.get("/v1/studies").json()["items"] == []


def test_best_answers_409_until_something_has_completed(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    best = client.get(f"/v1/studies/{study['study_id']}/best")
    assert best.status_code == 409
    lease = worker.claim()
    assert lease is not None
    worker.report(lease, 99, 0.5)
    worker.finish(lease)
    best = client.get(f"/v1/studies/{study['study_id']}/best").json()
    assert best["trial"] == 0
    assert best["confirmation"] is best["baseline"] is best["gain"] is None


def test_a_finished_study_answers_with_a_confirmed_schedule_its_rates_and_code(
    client: TestClient, worker: FakeWorker
) -> None:
    study = create(client, budget={"trials": 6, "parallel": 1}, confirm={"top": 3, "seeds": 3})
    assert study["progress"]["planned"] == 6 + 4 * 3
    run_all(worker)
    document = client.get(f"/v1/studies/{study['study_id']}").json()
    assert document["state"] == "COMPLETED"
    assert document["progress"]["fraction"] == 1.0
    best = client.get(f"/v1/studies/{study['study_id']}/best", params={"points": 5}).json()
    confirming = client.get(f"/v1/studies/{study['study_id']}/trials", params={"purpose": ["confirm", "baseline"]})
    runs = confirming.json()["items"]
    assert len(runs) == document["progress"]["planned"] - 6 <= 4 * 3
    last = {trial["seed"] for trial in runs[-3:]}  # the answer's, or the baseline's, on the seeds that are stated
    measured = [trial for trial in runs if trial["seed"] in last]
    assert {str(trial["schedule"]) for trial in measured} == {str(best["schedule"]), str(best["baseline"]["schedule"])}
    searched = client.get(f"/v1/studies/{study['study_id']}/trials", params={"purpose": ["search"]}).json()["items"]
    assert len({trial["seed"] for trial in searched}) == 6
    assert not {trial["seed"] for trial in searched} & {trial["seed"] for trial in runs}
    assert best["recommendation"]["tied"]
    assert best["confirmation"]["seeds"] == 3
    assert best["gain"]["verdict"] in ("better", "tie", "worse")
    assert best["horizon_steps"] == 100
    assert best["lr"]["step"] == [0, 25, 50, 74, 99]
    schedule = schedule_from_dict(best["schedule"])
    assert best["lr"]["value"] == [schedule.lr(step, 100) for step in best["lr"]["step"]]
    assert "torch" in best["code"]


def test_baselines_of_ones_own_take_part_in_everything(client: TestClient, worker: FakeWorker) -> None:
    own = {"family": "cosine", "start_lr": 0.5, "end_lr": 0.005}
    study = create(client, baseline=[own, COSINE], budget={"trials": 5, "parallel": 1}, confirm={"top": 1, "seeds": 2})
    assert study["spec"]["baseline"]["constant"] is True
    assert study["progress"]["planned"] == 5 + 4 * 2
    run_all(worker)
    trials = client.get(f"/v1/studies/{study['study_id']}/trials", params={"purpose": "search"}).json()["items"]
    assert [trial["origin"] for trial in trials] == ["user", "user", "sampler", "sampler", "sampler"]
    best = client.get(f"/v1/studies/{study['study_id']}/best").json()
    assert [(other["trial"], other["schedule"]["start_lr"]) for other in best["comparisons"]] == [(0, 0.5), (1, 0.1)]
    assert {other["gain"]["verdict"] for other in best["comparisons"]} <= {"better", "tie", "worse"}
    too_many = client.post("/v1/studies", json=study_spec(baseline=[own] * 4))
    assert too_many.status_code == 422
    assert too_many.json()["errors"][0]["field"] == "baseline.schedules"


def test_a_baseline_that_is_turned_off_is_not_trained_again(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, baseline=False, budget={"trials": 6, "parallel": 1}, confirm={"top": 1, "seeds": 2})
    assert study["progress"]["planned"] == 6 + 2
    run_all(worker)
    best = client.get(f"/v1/studies/{study['study_id']}/best").json()
    assert best["confirmation"]["seeds"] == 2
    assert best["baseline"] is best["gain"] is None


def test_a_study_tells_who_leads_while_its_race_goes_on(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 4, "parallel": 1}, confirm={"top": 3, "seeds": 4})
    url = f"/v1/studies/{study['study_id']}"
    while client.get(url).json()["state"] != "CONFIRMING":
        lease = worker.claim()
        assert lease is not None
        worker.finish(lease, value=0.5 + lease["trials"][0]["number"] / 10)
    leading = client.get(f"{url}/best").json()
    assert (leading["trial"], leading["confirmation"], leading["recommendation"]) == (3, None, None)
    assert client.post(f"{url}/pause").json()["state"] == "PAUSED"
    assert client.post(f"{url}/resume").json()["state"] == "CONFIRMING"
    fractions = []
    while (lease := worker.claim()) is not None:
        worker.finish(lease, value=0.9 if lease["trials"][0]["purpose"] == "baseline" else 0.6)
        fractions.append(client.get(url).json()["progress"]["fraction"])
    assert fractions == sorted(fractions)
    assert client.get(url).json()["state"] == "COMPLETED"


def test_the_leaderboard_ranks_the_families_with_their_confirmations(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 6, "parallel": 1}, confirm={"top": 2, "seeds": 3})
    url = f"/v1/studies/{study['study_id']}/leaderboard"
    empty = client.get(url).json()
    assert [(entry["family"], entry["trials"]) for entry in empty["items"]] == [("constant", 0), ("cosine", 0)]
    run_all(worker)
    board = client.get(url).json()
    assert (board["study_id"], board["state"], board["metric"]) == (study["study_id"], "COMPLETED", "val_accuracy")
    assert sum(entry["trials"] for entry in board["items"]) == 6
    first, last = board["items"]
    assert first["equal_budget"]["mean"] >= last["equal_budget"]["mean"]
    assert first["equal_budget"]["trials"] == min(first["trials"], last["trials"])
    best = client.get(f"/v1/studies/{study['study_id']}/best").json()
    assert best["confirmation"] in [entry["confirmation"] for entry in board["items"]]
    assert client.get("/v1/studies/none/leaderboard").status_code == 404


def test_a_study_whose_trials_all_diverge_fails_with_a_remedy(client: TestClient, worker: FakeWorker) -> None:
    study = create(client)
    while (lease := worker.claim()) is not None:
        worker.finish(lease, "DIVERGED", error="loss became non-finite at step 1")
    document = client.get(f"/v1/studies/{study['study_id']}").json()
    assert document["state"] == "FAILED"
    assert "Lower space.start_lr" in document["reason"]


def test_a_study_whose_first_ten_trials_all_fail_ends_early(client: TestClient, worker: FakeWorker) -> None:
    study = create(client, budget={"trials": 100, "parallel": 1})
    while (lease := worker.claim()) is not None:
        worker.finish(lease, "FAILED", error="Traceback …\nImportError: no module named x")
    document = client.get(f"/v1/studies/{study['study_id']}").json()
    assert document["state"] == "FAILED"
    assert document["progress"]["trials"]["FAILED"] == 10
    assert "ImportError: no module named x" in document["reason"]


def test_a_paused_study_whose_trainings_are_all_done_answers_when_resumed(
    client: TestClient, worker: FakeWorker
) -> None:
    study = create(client, budget={"trials": 1, "parallel": 1})
    lease = worker.claim()
    assert lease is not None
    act(client, study, "pause")
    worker.finish(lease)
    assert client.get(f"/v1/studies/{study['study_id']}").json()["state"] == "PAUSED"
    assert act(client, study, "resume").json()["state"] == "COMPLETED"


def test_the_same_seed_and_one_worker_give_the_same_trials_across_a_restart(
    database_url: str, clock: FakeClock
) -> None:
    schedules: list[list[Any]] = []
    for restart in (False, True):
        found: list[Any] = []
        with serving(database_url, clock) as client:
            budget = {"trials": 24, "parallel": 1}
            spec = study_spec(task=UNKNOWN_TASK, sampler={"name": "tpe", "seed": 3}, budget=budget, warm_start=[])
            study_id = client.post("/v1/studies", json=spec).json()["study_id"]
            _train_some(FakeWorker(client), 12 if restart else 24, found)
        with serving(database_url, clock) as client:
            _train_some(FakeWorker(client), 24 - len(found), found)
            assert client.get(f"/v1/studies/{study_id}").json()["state"] == "COMPLETED"
        schedules.append(found)
    assert schedules[0] == schedules[1]


def _train_some(worker: FakeWorker, count: int, found: list[Any]) -> None:
    for _ in range(count):
        lease = worker.claim()
        assert lease is not None
        schedule = lease["trials"][0]["schedule"]
        found.append((schedule, lease["trials"][0]["seed"]))
        worker.finish(lease, value=1.0 - abs(schedule["start_lr"] - 0.1))


def test_workers_and_tasks_are_listed_and_go_silent(client: TestClient, clock: FakeClock) -> None:
    FakeWorker(client, "w-1", tasks=[{"name": "a:task", "params_schema": {}, "metrics": ["val_loss"]}]).claim()
    FakeWorker(client, "w-2", tasks=["a:task", "other:task"]).claim()
    workers = client.get("/v1/workers").json()["items"]
    assert [(worker["id"], worker["live"], worker["tasks"]) for worker in workers] == [
        ("w-1", True, ["a:task"]),
        ("w-2", True, ["a:task", "other:task"]),
    ]
    task, other = client.get("/v1/tasks").json()["items"]
    assert task == {
        "name": "a:task",
        "params_schema": {},
        "metrics": ["val_loss"],
        "live": True,
        "workers": 2,
        "folds": False,
        "looks": False,
    }
    assert other["params_schema"] is None
    clock.advance(3600)
    assert [worker["live"] for worker in client.get("/v1/workers").json()["items"]] == [False, False]
    assert client.get("/v1/tasks").json()["items"][0]["live"] is False
    assert [worker["id"] for worker in one_by_one(client, "/v1/workers")] == ["w-1", "w-2"]
    assert [task["name"] for task in one_by_one(client, "/v1/tasks")] == ["a:task", "other:task"]


def one_by_one(client: TestClient, path: str) -> list[dict[str, Any]]:
    """The items of a list, read in pages of one."""
    items, cursor = [], None
    while True:
        page = client.get(path, params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        items += page["items"]
        if (cursor := page["next_cursor"]) is None:
            return items
        assert len(page["items"]) == 1


def test_families_come_with_formula_source_and_schema(client: TestClient) -> None:
    every = client.get("/v1/schedules/families").json()
    assert every["next_cursor"] is None
    assert every["items"] == one_by_one(client, "/v1/schedules/families")
    families = {family["name"]: family for family in every["items"]}
    assert {"constant", "step", "multistep", "exponential", "polynomial", "linear", "cosine"} <= families.keys()
    assert {"cosine_restarts", "triangular", "one_cycle", "wsd"} <= families.keys()
    for family in families.values():
        assert family["formula"]
        assert family["source"]
        assert family["params_schema"]["type"] == "object"


def test_a_preview_gives_the_rates_by_step(client: TestClient) -> None:
    answer = client.post("/v1/schedules/preview", json={"schedule": COSINE, "horizon_steps": 1000, "max_points": 3})
    assert answer.json()["step"] == [0, 500, 999] or answer.json()["step"] == [0, 499, 999]
    assert answer.json()["lr"][0] == 0.1
    assert answer.json()["lr"][-1] == 0.001
    assert answer.json()["momentum"] is None
    for faulty in ({"horizon_steps": 0}, {"horizon_steps": 10**15}, {"max_points": 0}, {"schedule": {"family": "x"}}):
        refused = client.post("/v1/schedules/preview", json={"schedule": COSINE, "horizon_steps": 10, **faulty})
        assert refused.status_code == 422, refused.text


def test_health_readiness_metrics_and_documentation_answer(client: TestClient, worker: FakeWorker) -> None:
    create(client)
    worker.claim()
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["status"] == "ready"
    text = client.get("/metrics").text
    assert 'lehr_trials{purpose="search",state="RUNNING"} 1.0' in text
    assert 'lehr_studies{state="RUNNING"} 1.0' in text
    assert client.get("/openapi.json").json()["info"]["title"] == "lehr"
    assert client.get("/docs").status_code == 200
