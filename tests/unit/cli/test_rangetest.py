"""`lehr range-test` runs, waits for and draws sweeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lehr.wire.ranges import RangeTestSpec
from service.ranges.loss_by_rate import Sweep
from service.ranges.range_test import range_test
from tests.contract.test_range_tests import made_loss
from tests.unit.cli.conftest import Stub, lehr

RATES = [10 ** (-6 + 7 * step / 199) for step in range(200)]


def document(**changes: Any) -> dict[str, Any]:
    found = range_test([Sweep(0, tuple(RATES), tuple(map(made_loss, RATES)), diverged=True)])
    return {
        "range_test_id": "r1", "name": "digits", "state": "COMPLETED", "reason": None, "task": {"name": "digits"},
        "range_test": RangeTestSpec().model_dump(), "sweeps": {"DIVERGED": 1}, "result": found.model_dump(),
        "created_at": "2026-01-01T00:00:00Z", "finished_at": None, **changes,
    }  # fmt: skip


@pytest.fixture
def served(stub: Stub) -> Stub:
    stub.on("POST /v1/range-tests", document(state="QUEUED", result=None), status=201)
    stub.on("GET /v1/range-tests/r1", document())
    return stub


def test_a_task_is_swept_and_its_curve_drawn(served: Stub) -> None:
    told = ["--task", "digits", "--param", "model=cnn", "--param", "epochs=5", "--seeds", "1"]
    shown = lehr("range-test", *told, "--server", served.url)
    assert shown.exit_code == 0, shown.stderr
    assert "divergence" in shown.stdout
    assert "loss by log10 of the rate" in shown.stdout
    assert "space.start_lr" in shown.stdout
    posted = served.bodies["POST /v1/range-tests"][0]
    assert posted == {"name": "digits", "task": {"name": "digits", "params": {"model": "cnn", "epochs": 5}}, "seeds": 1}


def test_a_study_file_serves_too_and_json_is_the_document(served: Stub, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("name: mine\ntask: {name: digits}\nbudget: {trials: 5}\nrange_test: {seeds: 5, steps: 100}\n")
    shown = lehr("range-test", str(file), "--steps", "300", "--json", "--server", served.url)
    assert json.loads(shown.stdout)["result"]["found"] is True
    asked = served.bodies["POST /v1/range-tests"][0]
    assert asked == {"name": "mine", "task": {"name": "digits"}, "seeds": 5, "steps": 300}


def test_one_that_shows_nothing_says_so_and_fails(stub: Stub) -> None:
    nothing = range_test([]).model_dump()
    failed = document(state="FAILED", result=nothing, reason=nothing["reason"])
    stub.on("POST /v1/range-tests", failed, status=201)
    shown = lehr("range-test", "--task", "digits", "--server", stub.url)
    assert shown.exit_code == 1
    assert "none of 0 sweeps" in shown.stderr


@pytest.mark.parametrize("given", [(), ("study.yaml", "--task", "digits"), ("--task", "digits", "--param", "epochs")])
def test_what_names_nothing_to_sweep_is_refused(given: tuple[str, ...]) -> None:
    shown = lehr("range-test", *given)
    assert shown.exit_code == 2


def test_range_tests_are_listed(stub: Stub) -> None:
    stub.on("GET /v1/range-tests", {"items": [document(), document(range_test_id="r2", state="RUNNING", result=None)],
                                    "next_cursor": None})  # fmt: skip
    shown = lehr("range-tests", "--server", stub.url)
    assert shown.exit_code == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == ["r1", "r2"]
    assert len(json.loads(lehr("range-tests", "--json", "--server", stub.url).stdout)) == 2
    stub.on("GET /v1/range-tests", {"items": [], "next_cursor": None})
    assert "no range tests" in lehr("range-tests", "--server", stub.url).stderr
