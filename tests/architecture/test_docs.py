"""The documentation lists what the code has: settings, commands, calls, families, warnings, links."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from lehr.cli import settings as client_settings
from lehr.cli.app import app as command_line
from lehr.schedules import FAMILIES
from lehr.wire.diagnosis import FindingCode
from lehr.wire.leases import Claim, FinishBatch, Lease, LeaseAnswer, Renewal, ReportBatch
from lehr.wire.search_methods import PRUNERS, SAMPLERS
from lehr.wire.studies import StudySpec
from service.settings import Settings
from tests.architecture.sources import ROOT, document, nodes, python_files
from workers.settings import WorkerSettings

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
)
CALL = re.compile(r"\b(GET|POST|DELETE|PUT|PATCH) (/[A-Za-z0-9_{}/.-]*)")


def _section(page: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", document(page), flags=re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {title}"
    return found[1]


def _variables(text: str) -> set[str]:
    return set(re.findall(r"^\| `(LEHR_[A-Z_]+)` \|", text, flags=re.MULTILINE))


def _fields(settings: type[BaseSettings]) -> set[str]:
    return {f"LEHR_{name.upper()}" for name in settings.model_fields}


def _commands() -> set[str]:
    group: Any = typer.main.get_command(command_line)
    return {name for name, command in group.commands.items() if not command.hidden}


def _openapi() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(document("docs/reference/openapi.json"))
    return parsed


@pytest.mark.parametrize(("title", "settings"), [("Server", Settings), ("Worker", WorkerSettings)])
def test_every_setting_of_a_program_is_listed(title: str, settings: type[BaseSettings]) -> None:
    assert _variables(_section("docs/reference/settings.md", title)) == _fields(settings)


def test_every_setting_of_the_command_line_is_listed() -> None:
    listed = _variables(_section("docs/reference/settings.md", "Command line"))
    assert listed == set(client_settings.VARIABLES)


def test_the_servers_defaults_are_the_ones_listed() -> None:
    rows = re.findall(
        r"^\| `LEHR_([A-Z_]+)` \| `(.*?)` \|", _section("docs/reference/settings.md", "Server"), re.MULTILINE
    )
    listed = dict(rows)
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        expected = f"{default:g}" if isinstance(default, float) else str(default)
        assert listed[name.upper()] == expected, name


def test_a_variable_that_two_programs_read_means_the_same_to_both() -> None:
    assert _fields(Settings) & _fields(WorkerSettings) == {"LEHR_LOG_LEVEL", "LEHR_LOG_FORMAT"}


def test_every_command_is_described() -> None:
    described = set(re.findall(r"^#+ .*?`?lehr ([a-z-]+)", document("docs/reference/cli.md"), flags=re.MULTILINE))
    assert described == _commands()


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_a_page_tells_to_run_exist(page: str) -> None:
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", document(page), flags=re.DOTALL))
    inline = "\n".join(re.findall(r"`((?:\.venv/bin/)?(?:lehr|make) [^`]*)`", document(page)))
    told = f"{shell}\n{inline}"
    lehr = set(re.findall(r"(?:^|\s|/)lehr ([a-z-]+)", told))
    assert lehr <= _commands()
    make = set(re.findall(r"^(?:\$ )?make ([a-z]+)", told, flags=re.MULTILINE))
    assert make <= set(re.findall(r"^([a-z]+):", document("Makefile"), flags=re.MULTILINE))


def test_every_call_is_described_and_every_described_call_exists() -> None:
    served = {(method.upper(), path) for path, methods in _openapi()["paths"].items() for method in methods} | {
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
    }
    described = set(CALL.findall(document("docs/reference/rest-api.md")))
    assert described == served


def test_every_query_parameter_is_named() -> None:
    text = document("docs/reference/rest-api.md")
    names = {
        parameter["name"]
        for methods in _openapi()["paths"].values()
        for call in methods.values()
        for parameter in call.get("parameters", [])
        if parameter["in"] in ("query", "path")
    }
    assert [
        name
        for name in sorted(names)
        if f"`{name}`" not in text and f"{{{name}}}" not in text and f"?{name}=" not in text
    ] == []


def test_every_family_is_described() -> None:
    text = document("docs/reference/schedules.md")
    assert [name for name in FAMILIES if f"`{name}`" not in text] == []


def test_every_sampler_and_pruner_is_described() -> None:
    rows = document("docs/reference/rest-api.md").splitlines()
    for field, names in (("sampler.name", SAMPLERS), ("pruner.name", PRUNERS)):
        (row,) = [row for row in rows if row.startswith(f"| `{field}` |")]
        assert [name for name in names if f"`{name}`" not in row] == []


def test_every_warning_is_explained_and_every_explained_warning_is_given() -> None:
    given = {
        keyword.value.value
        for path in python_files("service")
        for node in nodes(path)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Warning_"
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }
    explained = re.findall(r"^\| `([a-z_]+)` \|", document("docs/reference/warnings.md"), flags=re.MULTILINE)
    assert given
    assert set(explained) == given


def test_every_finding_of_a_diagnosis_is_explained_and_every_explained_one_is_given() -> None:
    explained = re.findall(r"^\| `([a-z_]+)` \|", document("docs/guide/diagnosis.md"), flags=re.MULTILINE)
    given = {
        keyword.value.value
        for path in python_files("service/diagnosis")
        for node in nodes(path)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Finding"
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }
    assert set(explained) == given == set(get_args(FindingCode))


def test_the_first_study_of_the_readme_is_valid() -> None:
    (body,) = re.findall(r"-d '\n(\{.*?\})'", document("README.md"), flags=re.DOTALL)
    StudySpec.model_validate_json(body)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_examples_are_valid_studies(path: Path) -> None:
    StudySpec.model_validate_json(json.dumps(yaml.safe_load(path.read_text())))


def test_the_documents_of_the_worker_protocol_are_valid() -> None:
    blocks = re.findall(r"```json\n(.*?)```", document("docs/reference/ledger.md"), flags=re.DOTALL)
    # An ellipsis stands for an id, which may not hold one.
    texts = [block.replace("…", "x") for block in blocks]
    models: list[type[BaseModel]] = [Claim, Lease, Renewal, ReportBatch, FinishBatch, LeaseAnswer]
    for model, text in zip(models, texts, strict=True):
        model.model_validate_json(text)


def test_the_python_of_the_guide_to_own_tasks_stands_in_examples_that_tests_run() -> None:
    examples = [path.read_text() for path in (ROOT / "examples").rglob("*.py")]
    blocks = re.findall(r"```python\n(.*?)```", document("docs/guide/own-task.md"), flags=re.DOTALL)
    assert blocks
    assert [block for block in blocks if not any(block in example for example in examples)] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document(page))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not ((ROOT / page).parent / target).exists()] == []


def test_the_changelog_tells_of_this_version_or_the_next() -> None:
    version = tomllib.loads(document("pyproject.toml"))["project"]["version"]
    assert f"## [{version}]" in document("CHANGELOG.md") or "## [Unreleased]" in document("CHANGELOG.md")
