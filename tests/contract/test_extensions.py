"""A sampler, a pruner and an endpoint that a user adds: one file and one line each, in a copy of the programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.architecture.sources import ROOT

SAMPLER = '''
from lehr.space import Space
from service.search.observations import Point
from service.search.samplers.base import Sampler, SearchView
from service.search.sequence import from_unit


class MiddleSampler(Sampler):
    """The middle of every range."""

    learns = True

    def draw(self, view: SearchView) -> tuple[str, Point]:
        family = view.due_family or "cosine"
        return family, {one.name: from_unit(one, 0.5) for one in self._space.coordinates(family)}
'''

PRUNER = '''
from service.search.pruners.base import CurvePruner


class FloorPruner(CurvePruner):
    """Stops whatever reports less than 0.1."""

    def is_behind(self, trial, rivals, *, horizon_steps, direction, guessed):
        return trial.reports[-1][1] < 0.1
'''

ENDPOINT = '''
from fastapi import APIRouter

from service.http.strict_json import StrictRoute
from service.services import Provided

router = APIRouter(prefix="/v1/toy", route_class=StrictRoute)


@router.get("/database")
def check_database(services: Provided) -> dict[str, bool]:
    """Whether the database answers."""
    with services.database.read() as transaction:
        return {"answers": transaction.now is not None}
'''

SEARCH_METHODS = "lehr/wire/search_methods.py"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for program in ("lehr", "service"):
        shutil.copytree(ROOT / program, tmp_path / program, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def extend(copy: Path, file: str, text: str, registry: str, opening: str, line: str) -> None:
    """Add one file, and one line to a registry below its opening line."""
    (copy / file).write_text(text)
    before = (copy / registry).read_text()
    assert before.count(opening) == 1
    (copy / registry).write_text(before.replace(opening, f"{opening}{line}\n"))


def run(copy: Path, url: str, code: str) -> Any:
    """What the code prints as JSON, with a `client` and a `worker` of a server from the copy."""
    prelude = """
        import json, service
        from tests.support.ledgers import FakeWorker, serving, study_spec
        assert service.__path__[0].startswith({copy!r})
        with serving({url!r}) as client:
            worker = FakeWorker(client)
    """
    program = dedent(prelude).format(copy=str(copy), url=url) + "".join(
        f"    {line}\n" for line in dedent(code).splitlines()
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(copy), str(ROOT)])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # log lines come before


def test_a_sampler_is_one_file_and_one_line(copy: Path, database_url: str) -> None:
    line = '    "middle": "service.search.samplers.middle:MiddleSampler",'
    extend(copy, "service/search/samplers/middle.py", SAMPLER, SEARCH_METHODS, "SAMPLERS: dict[str, str] = {\n", line)
    found = run(
        copy,
        database_url,
        """
        asked = study_spec(sampler={"name": "middle"}, budget={"trials": 12, "parallel": 1}, warm_start="off")
        created = client.post("/v1/studies?validate_only=true", json=asked).json()
        client.post("/v1/studies", json=asked).raise_for_status()
        schedules = []
        for _ in range(12):
            lease = worker.claim()
            schedules += [trial["schedule"] for trial in lease["trials"]]
            worker.finish(lease)
        refused = client.post("/v1/studies", json={**asked, "sampler": {"name": "magic"}}).json()
        enum = client.get("/openapi.json").json()["components"]["schemas"]["SamplerSpec"]["properties"]["name"]["enum"]
        print(json.dumps([created, schedules, refused, enum]))
        """,
    )
    created, schedules, refused, enum = found
    assert created["spec"]["sampler"]["name"] == "middle"
    assert len(schedules) == 12
    middles = [one for one in schedules if one["start_lr"] == pytest.approx((1e-3 * 1.0) ** 0.5)]
    assert {one["family"] for one in middles} == {"constant", "cosine"}
    assert "middle" in refused["errors"][0]["bound"]
    assert "middle" in enum


def test_a_sampler_that_learns_is_warned_about_like_the_others(copy: Path, sqlite_url: str) -> None:
    line = '    "middle": "service.search.samplers.middle:MiddleSampler",'
    extend(copy, "service/search/samplers/middle.py", SAMPLER, SEARCH_METHODS, "SAMPLERS: dict[str, str] = {\n", line)
    codes = run(
        copy,
        sqlite_url,
        """
        asked = study_spec(sampler={"name": "middle"}, budget={"trials": 2, "parallel": 1})
        created = client.post("/v1/studies?validate_only=true", json=asked).json()
        print(json.dumps([warning["code"] for warning in created["warnings"]]))
        """,
    )
    assert "mostly_startup" in codes


def test_a_pruner_is_one_file_and_one_line(copy: Path, database_url: str) -> None:
    line = '    "floor": "service.search.pruners.floor:FloorPruner",'
    extend(copy, "service/search/pruners/floor.py", PRUNER, SEARCH_METHODS, "PRUNERS: dict[str, str] = {\n", line)
    directives, refused = run(
        copy,
        database_url,
        """
        client.post("/v1/studies", json=study_spec(pruner={"name": "floor"})).raise_for_status()
        lease = worker.claim()
        directives = [
            list(worker.report(lease, step, value).json()["trials"].values()) for step, value in ((10, 0.5), (20, 0.05))
        ]
        folds = {"metric": "val_accuracy", "direction": "maximize", "folds": 3}
        refused = client.post("/v1/studies", json=study_spec(pruner={"name": "floor"}, objective=folds)).json()
        print(json.dumps([directives, refused]))
        """,
    )
    assert directives == [["continue"], ["prune"]]
    assert refused["errors"][0]["field"] == "pruner.name"


def test_an_endpoint_is_one_file_and_one_line(copy: Path, database_url: str) -> None:
    extend(copy, "service/endpoints/toy.py", ENDPOINT, "service/app.py", "ENDPOINTS = (\n", '    "toy",')
    answer, refused, paths = run(
        copy,
        database_url,
        """
        answer = client.get("/v1/toy/database")
        refused = client.get("/v1/toy/database?unheard_of=1")
        paths = list(client.get("/openapi.json").json()["paths"])
        print(json.dumps([answer.json(), [refused.status_code, refused.headers["content-type"]], paths]))
        """,
    )
    assert answer == {"answers": True}
    assert refused == [422, "application/problem+json"]
    assert "/v1/toy/database" in paths
