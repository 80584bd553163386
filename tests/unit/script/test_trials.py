"""A training script gets trials from a real server, and reports each way a training can end."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from lehr.client import Client
from lehr.errors import ConflictError, InvalidValueError
from lehr.schedules import schedule_from_dict
from lehr.script import ScriptClient, ScriptTrial
from lehr.wire.trials import Trial
from tests.support.live import listening

STEPS = 20


def descend(trial: ScriptTrial) -> float:
    """Gradient descent on (x - target)²."""
    x = 0.0
    for step in range(trial.horizon_steps):
        x -= trial.lr(step) * 2 * (x - trial.params["target"])
        trial.report(step, {"loss": (x - trial.params["target"]) ** 2}, train_loss=x)
    return float((x - trial.params["target"]) ** 2)


def numbered(client: Client, study: str) -> dict[int, Trial]:
    return {trial.number: trial for trial in client.trials(study)}


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_script_trains_a_study_that_waited_for_it(url: str, client: Client, spec: dict[str, Any]) -> None:
    posted = client.create_study(spec | {"confirm": {"top": 1, "seeds": 2}})
    assert [warning.code for warning in posted.warnings if warning.code == "task_not_offered"]
    assert client.study(posted.study_id).state == "QUEUED"
    values, seeds = {}, set()
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(posted, horizon_steps=STEPS, metrics=["loss"]):
            values[trial.number] = descend(trial)
            seeds.add((trial.purpose, trial.seed))
    assert client.study(posted.study_id).state == "COMPLETED"
    trials = numbered(client, posted.study_id)
    assert {number: trial.value for number, trial in trials.items()} == values
    assert {purpose for purpose, _ in seeds} == {"search", "confirm"}
    for number, trained in trials.items():
        curve = client.curve(posted.study_id, number)
        assert curve.lr == [trained.schedule.lr(step, STEPS) for step in range(STEPS)]
    assert client.best(posted.study_id).horizon_steps == STEPS
    (task,) = client.tasks()
    assert (task.name, task.metrics) == ("script:parabola", ["loss"])


def test_a_horizon_may_depend_on_the_studys_parameters(url: str, spec: dict[str, Any]) -> None:
    with ScriptClient(url) as scripts:
        horizons = [
            descend(trial) and trial.horizon_steps
            for trial in scripts.trials(spec, horizon_steps=lambda params: int(params["target"] * 4))
        ]
    assert horizons == [12, 12, 12]


def test_scripts_that_post_the_same_share_one_study_and_train_each_trial_once(
    url: str, client: Client, spec: dict[str, Any]
) -> None:
    spec["budget"] = {"trials": 12, "parallel": 12}

    def script(_: int) -> list[tuple[str, int]]:
        with ScriptClient(url) as scripts:
            done = []
            for trial in scripts.trials(spec, horizon_steps=STEPS):
                descend(trial)
                done.append((trial.study_id, trial.number))
            return done

    with ThreadPoolExecutor(3) as pool:
        trained = [each for done in pool.map(script, range(3)) for each in done]
    assert len({study for study, _ in trained}) == 1
    assert sorted(number for _, number in trained) == list(range(12))
    assert {trial.attempt for trial in client.trials(trained[0][0])} == {1}


def test_an_exception_in_a_trials_block_is_that_trials_failure_alone(
    url: str, client: Client, spec: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(spec, horizon_steps=STEPS):
            with trial:
                if trial.number == 1:
                    raise ArithmeticError("too \x00 hot")
                descend(trial)
    trials = numbered(client, trial.study_id)
    assert [trials[number].state for number in range(3)] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert "ArithmeticError: too \\0 hot" in (trials[1].error or "")
    assert "test_trials.py" in (trials[1].error or ""), "the traceback says where"
    assert "trial 1 failed" in caplog.text


def test_an_exception_elsewhere_fails_the_trial_and_ends_the_script(
    url: str, client: Client, spec: dict[str, Any]
) -> None:
    study = client.create_study(spec).study_id

    def run() -> None:
        with ScriptClient(url) as scripts:
            for trial in scripts.trials(study, horizon_steps=STEPS):
                trial.report(0, {"loss": 1 / 0})

    with pytest.raises(ZeroDivisionError):
        run()
    (failed,) = client.trials(study)
    assert failed.state == "FAILED"
    assert "ZeroDivisionError" in (failed.error or "")


@pytest.mark.parametrize("leave", ["interrupt", "exit", "break"])
def test_a_trial_that_is_left_is_given_back_at_once(url: str, client: Client, spec: dict[str, Any], leave: str) -> None:
    def run() -> None:
        with ScriptClient(url) as scripts:
            for trial in scripts.trials(spec, horizon_steps=STEPS):
                trial.report(0, {"loss": 1.0})
                held.append(trial)
                if leave == "interrupt":
                    raise KeyboardInterrupt
                if leave == "exit":
                    raise SystemExit
                break

    held: list[ScriptTrial] = []
    if leave == "break":
        run()
    else:
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run()
    (given_back,) = client.trials(held[0].study_id)
    assert given_back.state == "WAITING"
    with ScriptClient(url) as scripts:
        again = next(scripts.trials(spec, horizon_steps=STEPS))
        assert (again.number, again.attempt, again.schedule) == (0, 2, held[0].schedule)


def test_a_trial_that_is_left_after_its_last_step_counts(url: str, client: Client, spec: dict[str, Any]) -> None:
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(spec, horizon_steps=STEPS):
            value = descend(trial)
            break
    (done,) = client.trials(trial.study_id)
    assert (done.state, done.value) == ("COMPLETED", value)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["train_loss", "loss"])
def test_a_loss_that_is_no_number_makes_the_trial_diverged(
    url: str, client: Client, spec: dict[str, Any], bad: float, where: str
) -> None:
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(spec, horizon_steps=STEPS):
            if where == "loss":
                trial.report(4, {"loss": bad, "other": 1.0})
            else:
                trial.report(4, {"loss": 1.0, "other": 1.0}, train_loss=bad)
            assert trial.should_stop
            break
        trial.end()
    (done,) = client.trials(trial.study_id)
    assert done.state == "DIVERGED"
    assert f"{where} became {bad} at step 4" in (done.error or "")
    assert client.curve(trial.study_id, 0).step == [4]


def test_a_trial_without_its_objective_fails_with_what_to_do(
    url: str, client: Client, spec: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(spec | {"budget": {"trials": 1}}, horizon_steps=STEPS):
            trial.report(3, {"accuracy": 0.5})
    (done,) = client.trials(trial.study_id)
    assert done.state == "FAILED"
    assert "trial.report(step, {'loss': …})" in (done.error or "")
    assert f"study {trial.study_id} failed: " in caplog.text


def test_a_cancelled_study_stops_the_training_and_the_loop(url: str, client: Client, spec: dict[str, Any]) -> None:
    seen = 0
    with ScriptClient(url) as scripts:
        for trial in scripts.trials(spec, horizon_steps=STEPS):
            seen += 1
            client.cancel(trial.study_id)
            trial.report(0, {"loss": 1.0})
            until(lambda: trial.should_stop)  # noqa: B023 - called here
    assert seen == 1
    (done,) = client.trials(trial.study_id)
    assert done.state == "CANCELLED"


def test_a_deleted_study_ends_the_trial_quietly(url: str, client: Client, spec: dict[str, Any]) -> None:
    from lehr.errors import NotFoundError

    with ScriptClient(url) as scripts:
        trials = scripts.trials(spec, horizon_steps=STEPS)
        trial = next(trials)
        client.cancel(trial.study_id)
        client.delete_study(trial.study_id)
        trial.report(0, {"loss": 1.0})
        until(lambda: trial.should_stop)
        with pytest.raises(NotFoundError):
            next(trials)


def test_what_cannot_be_reported_is_refused_where_it_is_said(url: str, spec: dict[str, Any]) -> None:
    with ScriptClient(url) as scripts:
        trial = next(scripts.trials(spec, horizon_steps=STEPS))
        with pytest.raises(InvalidValueError, match="step: is out of bounds"):
            trial.report(-1, {"loss": 1.0})
        trial.end()
        with pytest.raises(ConflictError, match="has ended"):
            trial.report(0, {"loss": 1.0})
        with pytest.raises(InvalidValueError, match="horizon_steps"):
            next(scripts.trials(spec, horizon_steps=0))


def test_a_server_that_goes_away_is_waited_for(sqlite_url: str, spec: dict[str, Any]) -> None:
    with listening(sqlite_url) as url:
        scripts = ScriptClient(url)
        trials = scripts.trials(spec, horizon_steps=STEPS)
        trial = next(trials)
    port = int(url.rsplit(":", 1)[1])
    value = descend(trial)
    assert not trial.should_stop
    back = threading.Event()

    def serve() -> None:
        time.sleep(0.3)
        with listening(sqlite_url, port=port):
            back.wait(60)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        following = next(trials)
        assert following.number == 1
        with Client(url) as client:
            assert client.trial(trial.study_id, 0).value == value
            assert client.curve(trial.study_id, 0).step == list(range(STEPS))
        following.end()
        scripts.close()
    finally:
        back.set()
        thread.join()


def test_a_schedule_that_cycles_momentum_tells_it_by_step(url: str, client: Client, spec: dict[str, Any]) -> None:
    cycled = {"family": "one_cycle", "start_lr": 0.01, "peak_lr": 0.1, "end_lr": 0.001,
              "base_momentum": 0.8, "max_momentum": 0.95}  # fmt: skip
    study = client.create_study(spec)
    client.enqueue(study.study_id, cycled)
    with ScriptClient(url) as scripts:
        trial = next(scripts.trials(study, horizon_steps=STEPS))
        schedule = schedule_from_dict(cycled)
        assert [trial.momentum(step) for step in range(STEPS)] == [
            schedule.momentum(step, STEPS) for step in range(STEPS)
        ]
        assert trial.momentum(0) == 0.95


def test_the_rates_of_a_plateau_follow_what_the_script_reports(url: str, client: Client, spec: dict[str, Any]) -> None:
    study = client.create_study(spec)
    plateau = {"family": "plateau", "start_lr": 0.1, "end_lr": 0.001, "metric": "judge", "factor": 0.5, "patience": 1}
    client.enqueue(study.study_id, plateau)
    client.enqueue(study.study_id, plateau)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, min_lr=0.001)
    ours, truth = [], []
    with ScriptClient(url) as scripts:
        trials = scripts.trials(study, horizon_steps=12)
        trial = next(trials)
        for step, judge in enumerate([1.0, 0.9, 0.9, 0.9, 0.8, math.nan, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]):
            ours.append(trial.lr(step))
            truth.append(optimizer.param_groups[0]["lr"])
            trial.report(step, {"loss": 1.0, "judge": judge})
            theirs.step(judge)
        next(trials).report(11, {"loss": 1.0})
    assert ours == truth
    assert ours[0] > ours[-1]
    heeded, deaf = numbered(client, study.study_id).values()
    assert (heeded.state, deaf.state) == ("COMPLETED", "FAILED")
    assert client.curve(study.study_id, 0).lr == truth
    assert "never reported judge" in (deaf.error or "")


def test_a_sweep_of_a_range_test_has_its_own_horizon_and_needs_no_objective(
    url: str, client: Client, spec: dict[str, Any]
) -> None:
    swept = {**spec, "space": {"start_lr": "auto"}, "range_test": {"steps": 60, "seeds": 1}, "warm_start": "off"}
    study = client.create_study(swept)
    with ScriptClient(url) as scripts:
        trial = next(scripts.trials(study.study_id, horizon_steps=20))
        assert (trial.purpose, trial.horizon_steps, trial.report_every_steps) == ("range_test", 60, 1)
        for step in range(60):
            trial.report(step, train_loss=1.0)
        trial.end()
    assert numbered(client, study.study_id)[0].state == "COMPLETED"
