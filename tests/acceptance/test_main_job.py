"""A complete study with real processes, real data and the shipped example."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from tests.acceptance.machine import ROOT, Machine, until

EXAMPLE = str(ROOT / "examples" / "digits.yaml")
FINISHED = {"COMPLETED", "PRUNED", "DIVERGED"}


def interrupt(here: Machine, process: subprocess.Popen[str], seconds: float = 30) -> int:
    process.send_signal(signal.SIGINT)
    return here.end(process, seconds)


def last_document(text: str) -> dict[str, Any]:
    """The JSON object that stands last in a program's output."""
    document: dict[str, Any] = json.loads(text[text.rindex("\n{\n") :] if not text.startswith("{") else text)
    return document


@pytest.mark.timeout(400)
def test_watching_can_stop_and_the_machine_can_stop_and_nothing_is_lost(here: Machine) -> None:
    up = here.up()

    watcher = here.start("submit", EXAMPLE, "--watch")
    study_id = until(lambda: here.text_of(watcher, "out").strip(), "the study's id is printed")
    until(lambda: "RUNNING" in here.text_of(watcher, "err"), "the watcher sees it run")
    assert interrupt(here, watcher) == 130
    assert f"lehr watch {study_id}" in here.text_of(watcher, "err")

    with here.client() as client:
        until(lambda: client.study(study_id).progress.finished >= 5, "some trials are done")
        done = {trial.number: trial.value for trial in client.trials(study_id, state="COMPLETED")}
    assert interrupt(here, up) == 130
    assert here.alive() == set(), "Ctrl-C leaves no process behind"

    up = here.up()
    second = here.start("up", "--data", str(here.data), "--port", "0")
    assert here.end(second, 30) == 1
    assert str(up.pid) in here.text_of(second, "err")

    watcher = here.start("watch", "digits-mlp")
    assert here.end(watcher, 300) == 0, here.text_of(watcher, "err")
    with here.client() as client:
        trials = {trial.number: trial for trial in client.trials(study_id)}
        answer = client.best(study_id, points=9)
    assert {number: trials[number].value for number in done} == done
    search = [trial for trial in trials.values() if trial.purpose == "search"]
    assert len(search) == 30
    assert {trial.state for trial in search} <= FINISHED
    assert answer.confirmation is not None
    assert answer.confirmation.seeds == 5
    assert answer.gain is not None
    assert answer.lr is not None
    assert len(answer.lr.step) == 9

    up.send_signal(signal.SIGTERM)
    assert here.end(up, 30) == 0
    assert here.alive() == set()


@pytest.mark.timeout(300)
def test_the_demo_ends_with_a_confirmed_schedule_and_leaves_nothing(here: Machine) -> None:
    folder = here.folder / "demo"
    demo = here.start("demo", "--data", str(folder))
    assert here.end(demo, 240) == 0, here.text_of(demo, "err")

    output, messages = here.text_of(demo, "out"), here.text_of(demo, "err")
    for part in ("trials done", "best val_loss", "time left"):
        assert part in messages
    for family in ("constant", "step", "exponential", "linear", "cosine", "one_cycle"):
        assert f"best {family}" in output
    answer = last_document(output)
    assert answer["state"] == "COMPLETED"
    assert answer["confirmation"]["seeds"] == 5
    assert answer["value"] < 0.5, "ten classes: chance is ln 10 = 2.3"
    assert answer["schedule"]["start_lr"] == pytest.approx(answer["lr"]["value"][0])
    assert "code" not in answer
    assert not folder.exists()
