"""On a terminal of 80 or 60 columns no line is too long, and no word is cut."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from lehr.cli.app import app
from lehr.cli.display.output import err, out
from tests.contract.test_data_of_studies import DATA
from tests.contract.test_progress import TOLD
from tests.contract.test_range_tests import STEPS, sweep_all
from tests.support.ledgers import FakeWorker, serving, study_spec
from tests.support.live import listening

WIDE = 4000
METRIC = "val_balanced_accuracy"
DONE, HURT, BUSY = "resnet50 on flowers, the third attempt", "tabular regression on energy use", "gpt-mini"
ERROR = "InvalidDataError: energy.csv: column 'kWh' has the cell '#N/A' in line 17: correct or empty the cell."
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PLOT = re.compile("[┤|\u2800-\u28ff━]")

Show = Callable[..., list[str]]


def _task(**params: Any) -> dict[str, Any]:
    return {"name": "any:task", "params": {"optimizer": "sgd", "batch_size": 64, **params}}


def _finished(client: TestClient) -> None:
    families = ["constant", "cosine_restarts", "one_cycle", "inverse_sqrt"]
    spec = study_spec(
        name=DONE, task=_task(), budget={"trials": 16}, warm_start="off", confirm={"top": 2, "seeds": 2},
        objective={"metric": METRIC, "direction": "maximize"},
    )  # fmt: skip
    assert client.post("/v1/studies", json={**spec, "space": {**spec["space"], "families": families}}).is_success
    worker = FakeWorker(client, tasks=["any:task"])
    while (lease := worker.claim()) is not None:
        rate = lease["trials"][0]["schedule"]["start_lr"]
        for step in range(9, 100, 10):
            metrics = {METRIC: 0.9 - abs(rate - 0.1) / 2 - 1 / (step + 9)}
            report = {"step": step, "epoch": 1.0, "lr": rate, "train_loss": 1 / (step + 2), "metrics": metrics}
            worker.report(lease, step, 0.0, reports=[report], data=DATA)
        worker.finish(lease, value=metrics[METRIC])


def _failed(client: TestClient) -> None:
    assert client.post("/v1/studies", json=study_spec(name=HURT, task=_task())).is_success
    worker = FakeWorker(client, tasks=["any:task"])
    while (lease := worker.claim()) is not None:
        worker.finish(lease, state="FAILED", error=f"Traceback\n{ERROR}")


def _swept(client: TestClient) -> None:
    request = {"name": "where to search the learning rate", "task": _task(), "steps": STEPS, "seeds": 3}
    assert client.post("/v1/range-tests", json=request).is_success
    sweep_all(FakeWorker(client, tasks=["any:task"]))


def _running(client: TestClient) -> None:
    assert client.post("/v1/studies", json=study_spec(name=BUSY, task=_task())).is_success
    worker = FakeWorker(client, "gpu-box-17_cluster_example_org_3", tasks=["any:task", "text", "tabular", "images"])
    lease = worker.claim(4)
    assert lease is not None
    told = {**TOLD, "steps_done": 12_345, "horizon_steps": 100_000}
    assert worker.renew(lease, [{**trial, "progress": told} for trial in lease["trials"]]).is_success


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path_factory.mktemp('server'))}"
    with serving(database) as client:
        for make in (_finished, _failed, _swept, _running):
            make(client)
    with listening(database) as url:
        yield url


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Runs a command as on a terminal of a width, and returns the lines of both streams without colours."""

    def run(width: int, *arguments: str, stdin: str | None = None) -> list[str]:
        for console in (out, err):
            monkeypatch.setattr(console, "_force_terminal", True)
            monkeypatch.setattr(console, "_width", width)
            monkeypatch.setattr(console, "_height", 200)
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return ESCAPES.sub("", result.stdout + result.stderr).replace("\r", "").splitlines()

    return run


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("status", DONE),
    ("status", HURT),
    ("status", BUSY),
    ("watch", DONE),
    ("watch", HURT),
    ("best", DONE),
    ("leaderboard", DONE),
    ("diagnose", DONE),
    ("diagnose", HURT),
    ("front", DONE),
    ("front", DONE, "--robust", "--target", "0.5"),
    ("forecast", DONE),
    ("transfer", DONE, "--batch-size", "512", "--from", "steps=100"),
    ("transfer", DONE),
    ("tasks",),
    ("workers",),
    ("range-tests",),
    ("submit", "-", "--validate-only"),
    ("status", "no such study at all, whatever its name is, or was when it was last seen here"),
)
LOCAL: tuple[tuple[str, ...], ...] = (
    ("data", "list"),
    ("preview", "wsd", "--warmup-fraction", "0.1"),
    ("preview", "one_cycle"),
    ("preview", "cosine", "wsd", "one_cycle"),
    ("preview", "cosin"),
    ("export", "cosine", "--to", "torch", "--horizon", "100", "--output", "/dev/null"),
)


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("command", [*COMMANDS, *LOCAL], ids=" ".join)
def test_no_line_is_too_long_or_cut_inside_a_word(
    server: str, show: Show, command: tuple[str, ...], width: int
) -> None:
    command = command if command in LOCAL else (*command, "--server", server)
    spec = {"name": "a new one", "task": _task(), "budget": {"trials": 4}}
    stdin = None if command[0] != "submit" else str({**study_spec(), **spec}).replace("None", "null")
    wide, narrow = show(WIDE, *command, stdin=stdin), show(width, *command, stdin=stdin)
    # A schedule and a command are one line each, however long: they are there to be pasted.
    rows = [line for line in narrow if not line.startswith(("{", "lehr "))]
    assert [line for line in rows if len(line) > width] == []
    words = {word for line in wide for word in line.split()}
    cut = {word for line in rows if not PLOT.search(line) for word in line.split() if word not in words}
    assert {word for word in cut if not _is_beginning_of_an_id(word, words)} == set()


def _is_beginning_of_an_id(word: str, words: set[str]) -> bool:
    return len(word) == 8 and any(known.startswith(word) and len(known) == 32 for known in words)


def test_a_command_to_paste_is_never_broken(server: str, show: Show) -> None:
    lines = show(60, "submit", "-", "--server", server, stdin=str(study_spec()).replace("None", "null"))
    (command,) = [line for line in lines if "lehr watch" in line]
    assert re.fullmatch(rf"lehr watch [0-9a-f]{{32}} --server {server}", command)


@pytest.mark.parametrize("width", [80, 60])
def test_a_plot_fits(server: str, show: Show, width: int) -> None:
    for command in (("preview", "wsd"), ("preview", "wsd", "cosine"), ("best", DONE, "--server", server)):
        lines = show(width, *command)
        plotted = [line for line in lines if PLOT.search(line)]
        assert plotted
        assert max(map(len, plotted)) <= width


@pytest.mark.parametrize("width", [80, 60])
def test_a_row_that_does_not_fit_keeps_all_that_it_says_in_whole_lines(server: str, show: Show, width: int) -> None:
    text = " ".join(show(width, "workers", "--server", server))
    for part in ("gpu-box-17_cluster_example_org_3", "any:task, images, tabular, text", "12345/100000 12%", "12.5"):
        assert part in text
