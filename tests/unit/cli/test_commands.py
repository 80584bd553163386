"""Commands as a shell sees them: their output on each stream, and their exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lehr as package
import workers.__main__
from lehr.cli.app import COMMANDS
from lehr.cli.inputs.schedule_file import complete
from lehr.cli.reference import reference
from lehr.schedules import FAMILIES
from tests.unit.cli.conftest import Stub, lehr
from tests.unit.client.stub import NOW, page, study, trial

ROOT = Path(__file__).parents[3]
LOADED: dict[str, Any] = {str(command.name): command.load() for command in COMMANDS}
SPEC = "name: mine\ntask: {name: digits}\nobjective: {metric: val_accuracy, direction: maximize}\nbudget: {trials: 5}\n"
ANSWER: dict[str, Any] = {
    "study_id": "s1", "state": "COMPLETED", "metric": "val_accuracy", "direction": "maximize", "trial": 2,
    "value": 0.97, "schedule": {"family": "cosine", "start_lr": 0.12, "end_lr": 0.00013}, "horizon_steps": 220,
    "confirmation": {"seeds": 5, "mean": 0.971, "std": 0.003, "ci95": [0.968, 0.974]},
    "baseline": {"schedule": {"family": "constant", "start_lr": 0.03, "end_lr": 0.03}, "mean": 0.958, "ci95": None},
    "gain": {"mean": 0.013, "ci95": [0.008, 0.018], "verdict": "better"},
    "recommendation": {"code": "clearly_best", "message": "every other finalist was clearly worse", "tied": []},
    "comparisons": [{
        "trial": 0, "schedule": {"family": "linear", "start_lr": 0.3, "end_lr": 0.0}, "mean": 0.9612, "ci95": None,
        "gain": {"mean": 0.0098, "ci95": [0.001, 0.02], "verdict": "better"},
    }],
    "lr": {"step": [0, 219], "value": [0.12, 0.00013]}, "code": {"torch": "import torch\n"},
}  # fmt: skip
FAULT = {
    "field": "space.start_lr.low", "message": "is 0 on a log scale", "bound": "in [1e-12, 1e3]", "value": 0,
    "remedy": "Give a low above 0.",
}  # fmt: skip


@pytest.mark.parametrize("command", sorted(LOADED))
def test_every_command_has_help(command: str) -> None:
    result = lehr(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_the_list_of_commands_gives_the_first_line_of_each_ones_help() -> None:
    summaries = {command.name: command.help for command in COMMANDS}
    assert summaries == {name: command.help.split("\n\n")[0] for name, command in LOADED.items()}


def test_listing_the_commands_imports_none_of_them() -> None:
    heavy = ("lehr.cli.commands", "httpx", "pydantic")
    code = f"import sys, lehr.cli.app; print([name for name in sys.modules if name.startswith({heavy})])"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout.strip() == "[]"


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {parameter.name}"
        for name, command in LOADED.items()
        for parameter in command.params
        if not parameter.help
    ]
    assert silent == []


def test_lehr_worker_has_the_flags_of_the_workers_own_program() -> None:
    own = {
        action.option_strings[0]: (action.metavar, re.sub(r" \(default .*\)$", "", action.help or ""))
        for action in workers.__main__.parser()._actions
        if action.dest != "help"
    }
    offered = {
        parameter.opts[0]: (parameter.metavar, re.sub(r"; else LEHR_\w+\.$", "", parameter.help))
        for parameter in LOADED["worker"].params
    }
    assert offered == own


def test_the_reference_page_is_the_code() -> None:
    page_text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert page_text == reference(), "run: python -m lehr.cli.reference > docs/reference/cli.md"


def test_the_commands_are_those_of_the_design_and_no_fewer() -> None:
    assert set(LOADED) >= {
        "up", "serve", "worker", "submit", "watch", "status", "best", "preview", "migrate", "demo", "export",
    }  # fmt: skip


def test_the_version_is_the_packages() -> None:
    assert lehr("--version").stdout.strip() == package.__version__


def test_wrong_usage_exits_with_2() -> None:
    assert lehr("submit").exit_code == 2
    assert lehr("nonsense").exit_code == 2


def test_submit_prints_the_id_alone_on_stdout(stub: Stub) -> None:
    stub.on("POST /v1/studies", study(study_id="abc"))
    result = lehr("submit", "-", "--server", stub.url, stdin=SPEC)
    assert (result.exit_code, result.stdout) == (0, "abc\n")
    assert "lehr watch abc" in result.stderr
    assert stub.bodies["POST /v1/studies"][0]["budget"] == {"trials": 5}


def test_submit_shows_warnings(stub: Stub) -> None:
    warning = {"code": "few_trials", "field": "budget.trials", "message": "fewer than 10 a family"}
    stub.on("POST /v1/studies", study(warnings=[warning]))
    assert "budget.trials: fewer than 10 a family" in lehr("submit", "-", "--server", stub.url, stdin=SPEC).stderr


def test_validating_creates_nothing_and_shows_the_resolved_spec(stub: Stub) -> None:
    stub.on("POST /v1/studies", {"spec": {"priority": 0}, "warnings": []})
    result = lehr("submit", "-", "--validate-only", "--json", "--server", stub.url, stdin=SPEC)
    assert json.loads(result.stdout)["spec"] == {"priority": 0}


def test_a_refused_study_is_shown_field_by_field_and_exits_with_2(stub: Stub) -> None:
    document = {"type": "t", "title": "invalid study", "status": 422, "detail": "one value", "errors": [FAULT]}
    stub.on("POST /v1/studies", document, status=422)
    result = lehr("submit", "-", "--server", stub.url, stdin=SPEC)
    assert result.exit_code == 2
    for part in ("invalid study (422)", "space.start_lr.low", "in [1e-12, 1e3]", "Give a low above 0."):
        assert part in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [(("submit", "no-such-file.yaml"), None), (("submit", "-"), "a: [1"), (("submit", "-"), SPEC + "priority: .nan")],
)
def test_a_study_that_cannot_be_read_exits_with_2_and_says_why(arguments: tuple[str, ...], stdin: str | None) -> None:
    result = lehr(*arguments, stdin=stdin)
    assert result.exit_code == 2
    assert "error:" in result.stderr
    assert "Traceback" not in result.output


def test_a_server_that_is_not_there_exits_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    result = lehr("status", "--server", "http://127.0.0.1:9")
    assert result.exit_code == 3
    assert "http://127.0.0.1:9" in result.stderr


def test_the_server_comes_from_the_flag_then_from_the_variable(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.on("GET /v1/studies", page())
    monkeypatch.setenv("LEHR_SERVER", stub.url)
    assert lehr("status").exit_code == 0
    monkeypatch.setenv("LEHR_SERVER", "not a url")
    assert lehr("status").exit_code == 2
    assert lehr("status", "--server", stub.url).exit_code == 0


def test_status_lists_studies_for_people_and_programs(stub: Stub) -> None:
    best = {"trial": 2, "value": 0.9712, "schedule": ANSWER["schedule"]}
    stub.on("GET /v1/studies", page(study(study_id="abc", best=best)))
    assert "0.9712 cosine" in lehr("status", "--server", stub.url).stdout
    assert json.loads(lehr("status", "--json", "--server", stub.url).stdout)[0]["study_id"] == "abc"


def test_status_says_once_for_each_reason_why_trials_failed(stub: Stub) -> None:
    counts = {"trials": {"FAILED": 3}, "planned": 3, "finished": 3, "fraction": 1.0, "eta_seconds": None}
    stub.on("GET /v1/studies/s1", study(state="FAILED", progress=counts, finished_at="2026-01-02T03:04:05Z"))
    missing = "Traceback (most recent call last):\n  …\nMissingDataError: [none.csv] is not on this machine"
    errors = [missing, missing, None]
    failed = [trial(number, state="FAILED", value=None, error=error) for number, error in enumerate(errors)]
    stub.on("GET /v1/studies/s1/trials", page(*failed))
    said = lehr("status", "s1", "--server", stub.url)
    assert said.exit_code == 0
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert "0 and 1 more MissingDataError: [none.csv] is not on this machine" in lines
    assert "2 unknown" in lines


@pytest.mark.parametrize("text", ["abc1", "abc", "mine"])
def test_a_study_is_found_by_id_by_its_beginning_and_by_name(stub: Stub, text: str) -> None:
    found = study(study_id="abc1", reason="waits for a worker [digits]")
    stub.on("GET /v1/studies/abc1", found)
    stub.on("GET /v1/studies", page(study(study_id="xyz", name="other"), found))
    result = lehr("status", text, "--server", stub.url)
    assert result.exit_code == 0
    assert "waits for a worker [digits]" in result.stdout


def test_the_newest_of_a_name_is_shown_but_none_is_cancelled(stub: Stub) -> None:
    old, new = study(study_id="a1"), study(study_id="b2", created_at="2026-02-02T00:00:00Z")
    stub.on("GET /v1/studies", page(new, old))
    stub.on("GET /v1/studies/b2", new)
    assert "b2" in lehr("status", "mine", "--server", stub.url).stdout
    result = lehr("cancel", "mine", "--server", stub.url)
    assert result.exit_code == 1
    assert "a1" in result.stderr
    assert "b2" in result.stderr


def test_an_unknown_study_exits_with_1(stub: Stub) -> None:
    stub.on("GET /v1/studies", page())
    assert lehr("watch", "nope", "--server", stub.url).exit_code == 1


def test_watch_prints_a_line_for_each_change_and_ends_with_the_answer(stub: Stub) -> None:
    progress = {"trials": {}, "planned": 10, "finished": 10, "fraction": 1.0, "eta_seconds": 0.0}
    end = study(state="COMPLETED", revision=9, progress=progress, finished_at=NOW)
    stub.on("GET /v1/studies/s1", study(), study(), study(), end)
    stub.on("GET /v1/studies/s1/trials", page(trial(0)))
    stub.on("GET /v1/studies/s1/best", ANSWER)
    result = lehr("watch", "s1", "--server", stub.url)
    assert result.exit_code == 0
    assert result.stderr.count("3/10 trials done") == 1
    assert "10/10 trials done" in result.stderr
    assert "better than the best constant rate" in result.stdout


def test_watch_goes_on_when_the_server_fails_for_a_while(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lehr.cli.follow.POLL_SECONDS", 0.01)
    stub.on("GET /v1/studies/s1", study(), study(), study(state="COMPLETED", revision=9, finished_at=NOW))
    stub.answers["GET /v1/studies/s1"].insert(2, (503, {"title": "restarting", "status": 503}))
    stub.on("GET /v1/studies/s1/trials", page())
    stub.on("GET /v1/studies/s1/best", ANSWER)
    result = lehr("watch", "s1", "--server", stub.url)
    assert result.exit_code == 0
    assert "has not responded" in result.stderr
    assert "responds again" in result.stderr


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_watching_a_study_that_does_not_complete_exits_with_1(stub: Stub, state: str) -> None:
    stub.on("GET /v1/studies/s1", study(state=state, reason="all trials failed", finished_at=NOW))
    stub.on("GET /v1/studies/s1/trials", page())
    stub.on("GET /v1/studies/s1/best", {"title": "nothing finished", "status": 409}, status=409)
    result = lehr("watch", "s1", "--server", stub.url)
    assert result.exit_code == 1
    assert "all trials failed" in result.stderr


def test_ctrl_c_leaves_the_study_running_and_says_how_to_go_on(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    stub.on("GET /v1/studies/s1", study())
    stub.on("GET /v1/studies/s1/trials", page())
    monkeypatch.setattr("lehr.cli.follow.time.sleep", interrupt)
    result = lehr("watch", "s1", "--server", stub.url)
    assert result.exit_code == 130
    assert f"lehr watch s1 --server {stub.url}" in result.stderr
    assert [call for call in stub.bodies if call.startswith("POST")] == []


def test_best_is_a_table_a_document_or_code(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("GET /v1/studies/s1/best", ANSWER)
    shown = lehr("best", "s1", "--server", stub.url).stdout
    assert "[0.968, 0.974]" in shown
    assert "best constant rate 0.03" in shown
    document = json.loads(lehr("best", "s1", "--json", "--server", stub.url).stdout)
    assert document["gain"] == ANSWER["gain"]
    assert document["lr"] == ANSWER["lr"]
    assert lehr("best", "s1", "--code", "torch", "--server", stub.url).stdout == "import torch\n"
    assert "import keras" in lehr("best", "s1", "--code", "keras", "--server", stub.url).stdout
    refused = lehr("best", "s1", "--code", "kerass", "--server", stub.url)
    assert refused.exit_code == 2
    assert "torch" in refused.stderr


def test_a_constant_that_is_the_answer_is_not_compared_with_itself(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    gain = {"mean": 0.0, "ci95": [0.0, 0.0], "verdict": "tie"}
    stub.on("GET /v1/studies/s1/best", {**ANSWER, "schedule": ANSWER["baseline"]["schedule"], "gain": gain})
    shown = lehr("best", "s1", "--server", stub.url).stdout
    assert "verdict: the answer is the best constant rate itself" in shown
    assert "may be chance" not in shown


def test_best_before_anything_finished_exits_with_1_and_says_so(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("GET /v1/studies/s1/best", {"title": "nothing finished yet", "status": 409, "detail": "wait"}, status=409)
    result = lehr("best", "s1", "--server", stub.url)
    assert result.exit_code == 1
    assert "nothing finished yet" in result.stderr


@pytest.mark.parametrize("control", ["pause", "resume", "stop", "cancel"])
def test_a_study_is_controlled_by_name(stub: Stub, control: str) -> None:
    stub.on("GET /v1/studies", page(study(study_id="abc")))
    stub.on(f"POST /v1/studies/abc/{control}", study(study_id="abc", state="PAUSED"))
    result = lehr(control, "mine", "--server", stub.url)
    assert result.exit_code == 0
    assert "PAUSED" in result.stderr


def test_deleting_asks_first(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("DELETE /v1/studies/s1", None)
    assert lehr("delete", "s1", "--server", stub.url, stdin="n\n").exit_code == 1
    assert "DELETE /v1/studies/s1" not in stub.bodies
    assert lehr("delete", "s1", "--yes", "--server", stub.url).exit_code == 0
    assert "DELETE /v1/studies/s1" in stub.bodies


def test_a_schedule_is_enqueued_as_text_and_from_stdin(stub: Stub) -> None:
    stub.on("GET /v1/studies/s1", study())
    stub.on("POST /v1/studies/s1/trials", trial(7))
    document = {"family": "constant", "start_lr": 0.1, "end_lr": 0.1}
    assert lehr("enqueue", "s1", json.dumps(document), "--server", stub.url).stdout == "7\n"
    assert lehr("enqueue", "s1", "-", "--server", stub.url, stdin="family: constant\n").exit_code == 0
    sent = stub.bodies["POST /v1/studies/s1/trials"]
    assert sent == [{"schedule": document}, {"schedule": {"family": "constant"}}]


def test_tasks_and_workers_are_listed(stub: Stub) -> None:
    worker = {
        "id": "w", "name": "box/0", "device": "cpu", "tasks": ["digits"], "labels": {}, "live": True,
        "running_trials": 2, "last_seen_at": NOW,
    }  # fmt: skip
    told = {"steps_done": 40, "horizon_steps": 100, "steps_per_second": 12.5, "device_memory_bytes": 2 << 30}
    about = {"study_id": "s1", "trial": "t", "number": 17, "family": "cosine", "step": None, "horizon_steps": None}
    training = about | {"progress": {**told, "device_utilisation": None, "at": NOW}}
    task = {"name": "digits", "params_schema": None, "metrics": ["val_accuracy"], "live": True, "workers": 1}
    stub.on("GET /v1/workers", page(worker))
    stub.on("GET /v1/tasks", page(task))
    assert "box/0" in lehr("workers", "--server", stub.url).stdout, "as a server of before says it"
    stub.on("GET /v1/workers", page({**worker, "training": [training]}))
    said = lehr("workers", "--server", stub.url).stdout
    for part in ("cosine", "40/100 40%", "12.5", "2.0 GiB", "0:00:05", "and 1 more"):
        assert part in said
    assert "val_accuracy" in lehr("tasks", "--server", stub.url).stdout
    assert json.loads(lehr("tasks", "--json", "--server", stub.url).stdout)[0]["name"] == "digits"


@pytest.mark.parametrize("family", [name for name, kind in FAMILIES.items() if not kind.adaptive])
@pytest.mark.parametrize("warmup", [(), ("--warmup-fraction", "0.1")])
def test_every_closed_form_family_can_be_previewed_without_a_server(family: str, warmup: tuple[str, ...]) -> None:
    result = lehr("preview", family, *warmup)
    assert result.exit_code == 0, result.stderr
    assert FAMILIES[family].formula in result.stdout


def test_a_preview_as_json_is_the_schedules_own_curve() -> None:
    result = lehr("preview", "polynomial", "--param", "power=2", "--horizon", "11", "--json")
    document = json.loads(result.stdout)
    schedule = complete("polynomial", {"power": 2.0})
    assert document["schedule"] == schedule.to_dict()
    assert document["lr"] == [schedule.lr(step, 11) for step in range(11)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("cosine", "--start-lr", "-1"),
        ("cosine", "--param", "power"),
        ("cosine", "--param", "no_such=1"),
        ("cosine", "--horizon", "0"),
        ("cosine", "--start-lr", "nan"),
    ],
)
def test_a_preview_that_cannot_be_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = lehr("preview", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_leaderboard_shows_each_family_once_with_its_interval(stub: Stub) -> None:
    best = {"trial": 2, "value": 0.97, "schedule": {"family": "cosine", "start_lr": 0.12, "end_lr": 0.00013}}
    equal = {"trials": 4, "mean": 0.961, "interval95": [0.95, 0.97]}
    entry = {"rank": 1, "family": "cosine", "trials": 9, "diverged": 0, "best": best, "equal_budget": equal}
    untried = {**entry, "rank": 2, "family": "linear", "trials": 0, "best": None, "equal_budget": None}
    board = {"study_id": "s1", "state": "RUNNING", "metric": "val_accuracy", "direction": "maximize"}
    items = [{**each, "confirmation": None} for each in (entry, untried)]
    stub.on("GET /v1/studies/abc", study(study_id="abc"))
    stub.on("GET /v1/studies/abc/leaderboard", {**board, "items": items})
    result = lehr("leaderboard", "abc", "--server", stub.url)
    assert result.exit_code == 0
    assert "[0.95, 0.97]" in result.stdout
    assert "0.12 → 0.00013" in result.stdout
    assert "the expected best of 4 trials of each family" in result.stderr
    assert json.loads(lehr("leaderboard", "abc", "--json", "--server", stub.url).stdout)["items"][1]["trials"] == 0
