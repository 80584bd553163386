"""If the server refuses a command's option, the error names the option that the user typed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from lehr.cli.app import app
from tests.support.ledgers import FakeWorker, serving, study_spec
from tests.support.live import listening

TRANSFER = ("transfer", "small")


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with one completed study, whose task tells nothing of its training."""
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path_factory.mktemp('server'))}"
    with serving(database) as client:
        _complete(client)
    with listening(database) as url:
        yield url


def _complete(client: TestClient) -> None:
    spec = study_spec(task={"name": "any:task", "params": {"model": "mlp"}}, budget={"trials": 1})
    assert client.post("/v1/studies", json=spec).status_code == 201
    worker = FakeWorker(client, tasks=["any:task"])
    lease = worker.claim()
    assert lease is not None
    worker.report(lease, 99, 0.5)
    worker.finish(lease)
    FakeWorker(client, "w-2", tasks=[{"name": name, "looks": True} for name in ("tabular", "images")]).claim()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (TRANSFER, ("--steps, --batch-size or --width",)),
        ((*TRANSFER, "--steps", "9" * 19), ("--steps",)),
        ((*TRANSFER, "--batch-size", "99999999999"), ("--batch-size",)),
        ((*TRANSFER, "--width", "99999999999"), ("--width",)),
        ((*TRANSFER, "--width", "512"), ("--optimizer", "--from width")),
        ((*TRANSFER, "--width", "512", "--optimizer", "adan"), ("--optimizer", "Did you mean adam?")),
        ((*TRANSFER, "--width", "512", "--from", "steps=0"), ("--from steps",)),
        ((*TRANSFER, "--width", "512", "--rule", "horizon=powr"), ("--rule horizon", "Did you mean power?")),
        (("best", "small", "--points", "999999999"), ("--points",)),
        (("best", "small", "--code", "torhc"), ("--code", "Did you mean torch?")),
        (("front", "small", "--target", "inf"), ("--target",)),
        (("range-test", "--task", "digits", "--steps", "3"), ("--steps",)),
        (("range-test", "--task", "digits", "--seeds", "300"), ("--seeds",)),
        (("range-test", "--task", "Not A Task"), ("--task",)),
        (("data", "look", "/etc/passwd", "--task", "tabular"), ("FILE", "data folder")),
        (("data", "look", "../pets", "--task", "images"), ("FILE", "data folder")),
        (("data", "look", "t.csv", "--task", "tabular", "--column", ""), ("--column",)),
        (("data", "look", "t.csv", "--task", "tabular", "--target", ""), ("--target",)),
        (("range-test", "--task", "digits", "--param", "epochs=0"), ("--param epochs",)),
        (("range-test", "--task", "digits", "--param", "epoch=3"), ("--param", "Did you mean epochs?")),
    ],
)
def test_a_refusal_names_the_option(server: str, arguments: tuple[str, ...], named: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*arguments, "--server", server])
    assert result.exit_code == 2, result.output
    for text in named:
        assert text in result.stderr
    for field in ("horizon_steps", "origin", "_rule", "task.params", "task.name", "framework"):
        assert field not in result.stderr


def test_a_file_is_refused_by_its_own_fields(server: str) -> None:
    study = "{name: mine, task: {name: digits, params: {epochs: 0}}, steps: 200}"
    result = CliRunner().invoke(app, ["range-test", "-", "--server", server], input=study)
    assert "task.params.epochs" in result.stderr
    assert "--param" not in result.stderr
