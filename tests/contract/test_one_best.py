"""All documents name the same best trial: the answer's once the race has chosen it, the search's before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from lehr.schedules import schedule_from_dict
from tests.contract.test_studies import create
from tests.support.ledgers import UNKNOWN_TASK, FakeWorker
from tests.support.live import listening
from tests.unit.cli.conftest import lehr

TASK = {"name": UNKNOWN_TASK["name"], "params": {"model": "mlp", "optimizer": "sgd"}}
SPACE: dict[str, Any] = {
    "families": ["constant", "linear", "cosine"],
    "start_lr": {"low": 1e-3, "high": 1.0},
    "end_lr": {"low": 1e-5, "high": 1e-2},
}
SEEDS = 4
LUCKY, ANSWER = 1, 2
IN_SEARCH = [0.70, 0.99, 0.93, 0.60, 0.90, 0.80, 0.75]
"""By trial. Nothing is learnt from the luckiest, but that it was lucky."""
ON_FRESH_SEEDS = [0.70, 0.85, 0.92, 0.60, 0.80, 0.78, 0.75]


def shape(family: str, start_lr: float) -> dict[str, Any]:
    return {"family": family, "start_lr": start_lr, "end_lr": start_lr if family == "constant" else start_lr / 100}


@pytest.fixture(params=["linear", "cosine"])
def schedules(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """The luckiest trial is of another family than the answer, or of the same."""
    lucky = shape(request.param, 0.2)
    rest = [("constant", 0.3), ("linear", 0.05), ("cosine", 0.5), ("cosine", 0.01)]
    return [shape("constant", 0.03), lucky, shape("cosine", 0.1), *(shape(*each) for each in rest)]


@pytest.fixture
def study(client: TestClient, worker: FakeWorker, schedules: list[dict[str, Any]]) -> dict[str, Any]:
    """Its search is over, and its race has begun."""
    return searched(client, worker, schedules, confirm={"top": 4, "seeds": SEEDS})


def searched(client: TestClient, worker: FakeWorker, schedules: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    budget = {"trials": len(schedules), "parallel": 1}
    study = create(client, task=TASK, space=SPACE, budget=budget, warm_start="off", **changes)
    for schedule in schedules:
        assert client.post(f"/v1/studies/{study['study_id']}/trials", json={"schedule": schedule}).status_code == 201
    for number, value in enumerate(IN_SEARCH):
        lease = worker.claim()
        assert lease is not None
        assert lease["trials"][0]["number"] == number
        worker.report(lease, 99, value)
        worker.finish(lease, value=value)
    return study


def confirm(worker: FakeWorker, schedules: list[dict[str, Any]]) -> None:
    told = [schedule_from_dict(schedule) for schedule in schedules]
    while (lease := worker.claim()) is not None:
        (trial,) = lease["trials"]
        value = ON_FRESH_SEEDS[told.index(schedule_from_dict(trial["schedule"]))]
        worker.finish(lease, value=value + trial["seed"] % 7 * 1e-4)


def get(client: TestClient, study: dict[str, Any], *rest: str) -> Any:
    answer = client.get("/".join([f"/v1/studies/{study['study_id']}", *rest]))
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(client: TestClient, study: dict[str, Any], verb: str, document: dict[str, Any]) -> Any:
    answer = client.post(f"/v1/studies/{study['study_id']}/{verb}", json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()


def named(client: TestClient, study: dict[str, Any]) -> dict[str, Any]:
    """Which trial each document takes for the best, or whose schedule it takes."""
    (listed,) = client.get("/v1/studies").json()["items"]
    asked = {"horizon_steps": 400}
    carried = {
        "forecast": post(client, study, "forecast", {})["schedule"],
        "transfer's": post(client, study, "transfer", asked)["origin"],
    }
    trials = {trial["number"]: trial["schedule"] for trial in get(client, study, "trials")["items"]}
    return {
        "study": get(client, study)["best"]["trial"],
        "studies": listed["best"]["trial"],
        "best": get(client, study, "best")["trial"],
        "transfer": post(client, study, "transfer", asked)["trial"],
        **{name: min(at for at, known in trials.items() if known == found) for name, found in carried.items()},
    }


def test_every_document_names_the_answers_trial_and_not_the_luckiest(
    client: TestClient, worker: FakeWorker, study: dict[str, Any], schedules: list[dict[str, Any]]
) -> None:
    confirm(worker, schedules)
    assert set(named(client, study).values()) == {ANSWER}
    answer = get(client, study, "best")
    found = get(client, study)["best"]
    assert found["confirmation"] == answer["confirmation"]
    assert found["confirmation"]["mean"] == pytest.approx(ON_FRESH_SEEDS[ANSWER], abs=1e-3)
    assert {finding["trial"] for finding in get(client, study, "diagnosis")["findings"]} <= {ANSWER, None}


def test_the_leaderboard_begins_with_the_answer_and_no_row_joins_two_trials(
    client: TestClient, worker: FakeWorker, study: dict[str, Any], schedules: list[dict[str, Any]]
) -> None:
    confirm(worker, schedules)
    board = get(client, study, "leaderboard")
    assert board["answer"] == ANSWER
    assert [entry["rank"] for entry in board["items"]] == [1, 2, 3]
    assert board["items"][0]["best"]["trial"] == ANSWER
    assert board["items"][0]["confirmation"] == get(client, study, "best")["confirmation"]
    for entry in board["items"]:
        trial = entry["best"]["trial"]
        assert schedule_from_dict(entry["best"]["schedule"]) == schedule_from_dict(schedules[trial])
        assert entry["best"]["value"] == IN_SEARCH[trial]
        if entry["confirmation"] is not None:
            assert entry["confirmation"]["mean"] == pytest.approx(ON_FRESH_SEEDS[trial], abs=1e-3)


def test_before_there_is_an_answer_every_document_names_the_searchs_best_as_not_confirmed(
    client: TestClient, worker: FakeWorker, schedules: list[dict[str, Any]]
) -> None:
    study = searched(client, worker, schedules, confirm=None)
    assert set(named(client, study).values()) == {LUCKY}
    assert get(client, study)["best"]["confirmation"] is None
    board = get(client, study, "leaderboard")
    assert board["answer"] is None
    assert LUCKY in [entry["best"]["trial"] for entry in board["items"]]


def test_while_the_race_goes_on_all_documents_agree(
    client: TestClient, worker: FakeWorker, study: dict[str, Any]
) -> None:
    while get(client, study)["state"] == "CONFIRMING":
        trials = set(named(client, study).values())
        assert len(trials) == 1
        assert trials <= {entry["best"]["trial"] for entry in get(client, study, "leaderboard")["items"]}
        lease = worker.claim()
        assert lease is not None
        worker.finish(lease, value=0.5)
    assert get(client, study)["state"] == "COMPLETED"


def test_every_command_names_the_answers_trial(
    database_url: str, client: TestClient, worker: FakeWorker, study: dict[str, Any], schedules: list[dict[str, Any]]
) -> None:
    confirm(worker, schedules)
    with listening(database_url) as url:
        said = {name: lehr(name, study["study_id"], "--server", url) for name in ("status", "watch", "best")}
        board = lehr("leaderboard", study["study_id"], "--server", url)
        listed = lehr("status", "--server", url)
        forecast = json.loads(lehr("forecast", study["study_id"], "--json", "--server", url).stdout)
    for name, result in said.items():
        assert result.exit_code == 0, result.output
        assert f"trial {ANSWER}" in result.output, name
        assert f"trial {LUCKY}" not in result.output, name
    for name in ("status", "watch"):
        assert f"{ON_FRESH_SEEDS[ANSWER]:.2f}" in said[name].output
        assert f"{IN_SEARCH[LUCKY]:.2f}" not in said[name].output
    assert board.stdout.splitlines()[1].split()[:3] == ["1", "cosine", str(count_of(schedules, "cosine"))]
    assert f"trial {ANSWER}" in board.stderr
    assert f"{ON_FRESH_SEEDS[ANSWER]:.2f}" in listed.stdout
    assert schedule_from_dict(forecast["schedule"]) == schedule_from_dict(schedules[ANSWER])


def test_the_headline_says_so_where_nothing_was_confirmed(
    database_url: str, client: TestClient, worker: FakeWorker, schedules: list[dict[str, Any]]
) -> None:
    study = searched(client, worker, schedules, confirm=None)
    with listening(database_url) as url:
        said = lehr("status", study["study_id"], "--server", url).stdout
    assert f"0.99 in the search, not confirmed, by trial {LUCKY}" in said


def count_of(schedules: list[dict[str, Any]], family: str) -> int:
    return sum(schedule["family"] == family for schedule in schedules)
