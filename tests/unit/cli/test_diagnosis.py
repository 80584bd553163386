"""Commands that show the diagnosis."""

from __future__ import annotations

import json

from tests.unit.cli.conftest import Stub, lehr
from tests.unit.cli.test_commands import ANSWER
from tests.unit.client.stub import study, trial

FINDING = {
    "code": "best_on_bound", "message": "4 of the best 5 trials lie at the high end", "remedy": "Raise it.",
    "evidence": {"bound": 1.0}, "field": "space.start_lr.high", "trial": 7,
}  # fmt: skip


def test_what_is_wrong_is_told_with_its_remedy_and_its_numbers(stub: Stub) -> None:
    diagnosis = {"study_id": "s1", "state": "COMPLETED", "findings": [FINDING]}
    best = {"trial": 2, "value": 0.97, "schedule": ANSWER["schedule"]}
    stub.on("GET /v1/studies/s1", study(best=best))
    stub.on("GET /v1/studies/s1/diagnosis", diagnosis)
    stub.on("GET /v1/studies/s1/best", ANSWER | {"diagnosis": [FINDING]})
    for command in ("diagnose", "status", "best"):
        shown = lehr(command, "s1", "--server", stub.url).stdout
        assert "best_on_bound (trial 7): 4 of the best 5" in shown, command
        assert "Raise it." in shown
        assert "bound 1" in shown
    assert json.loads(lehr("diagnose", "s1", "--json", "--server", stub.url).stdout) == [FINDING]


LEFT_OUT = {"code": "part_left_out", "field": "diagnosis.rate_too_low", "message": "the server's log says why"}


def test_what_is_missing_of_an_answer_is_told_on_stderr(stub: Stub) -> None:
    document = {"study_id": "s1", "state": "COMPLETED", "metric": "val_loss", "direction": "minimize", "items": []}
    schedule, losses = ANSWER["schedule"], [{"name": "val_loss", **dict.fromkeys(("value", "interval90", "error"))}]
    losses[0] |= {"curves": 0, "doubt": {"code": "not_made", "message": "it could not be made"}}
    forecast = {"knows_enough": False, "horizons": [], "suggestion": None, "losses": losses}
    best = {"trial": 2, "value": 0.97, "schedule": schedule}
    missing = {"warnings": [LEFT_OUT]}
    stub.on("GET /v1/studies/s1", study(best=best))
    stub.on("GET /v1/studies/s1/trials/3", trial(3, diagnosis=[], **missing))
    stub.on("GET /v1/studies/s1/diagnosis", document | {"findings": []} | missing)
    stub.on("GET /v1/studies/s1/best", ANSWER | missing)
    stub.on("GET /v1/studies/s1/leaderboard", document | missing)
    stub.on("GET /v1/studies/s1/front", document | {"target": 0.1, "reached": 0, "examined": 0} | missing)
    forecast |= {"study_id": "s1", "schedule": schedule, "horizon_steps": 100}
    stub.on("POST /v1/studies/s1/forecast", forecast | missing)
    for command in ("diagnose", "diagnose --trial 3", "status", "best", "leaderboard", "front", "forecast"):
        name, *options = command.split()
        shown = lehr(name, "s1", *options, "--server", stub.url)
        assert shown.exit_code == 0, shown.output
        assert "warning: diagnosis.rate_too_low: the server's log says why" in shown.stderr, command


def test_a_trials_diagnosis_is_findings_or_health_or_not_yet(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("GET /v1/studies/s1/trials/3", trial(3, diagnosis=[FINDING]), trial(3, diagnosis=[]), trial(3))
    assert "best_on_bound" in lehr("diagnose", "s1", "--trial", "3", "--server", stub.url).stdout
    assert "no problems found" in lehr("diagnose", "s1", "--trial", "3", "--server", stub.url).stdout
    assert "has not ended" in lehr("diagnose", "s1", "--trial", "3", "--server", stub.url).stderr
