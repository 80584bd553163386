"""The lock files pin every requirement of pyproject.toml, and name no index or host."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.sources import document

LOCKS = {"requirements.lock": ("server", "worker"), "requirements-dev.lock": ("server", "worker", "dev")}
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")


def _pyproject() -> dict[str, Any]:
    return tomllib.loads(document("pyproject.toml"))


def _pins(lock: str) -> dict[str, Version]:
    found = map(PIN.match, document(lock).splitlines())
    return {canonicalize_name(pin["name"]): Version(pin["version"]) for pin in found if pin}


def _asked(extras: tuple[str, ...]) -> list[Requirement]:
    pyproject = _pyproject()
    project = pyproject["project"]
    lines = [*project["dependencies"], *pyproject["build-system"]["requires"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_requirement_within_its_bounds(lock: str) -> None:
    pins = _pins(lock)
    for requirement in _asked(LOCKS[lock]):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {lock}: run make lock"
        assert version in requirement.specifier, f"{lock} has {version}, asked is {requirement}: run make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_that_is_no_longer_asked_for(lock: str) -> None:
    direct = {
        canonicalize_name(line.split("==")[0])
        for line in document(lock).splitlines()
        if "lehr (pyproject.toml)" in line.replace("::build-system.requires", "")
    }
    assert direct == {canonicalize_name(requirement.name) for requirement in _asked(LOCKS[lock])}, "run make lock"


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-sources.lock", "requirements-archives.lock"])
def test_a_lock_is_pins_and_comments_alone(lock: str) -> None:
    lines = [line for line in document(lock).splitlines() if line and not line.lstrip().startswith("#")]
    assert [line for line in lines if not PIN.match(line)] == []
    assert [line for line in lines if "://" in line or line.startswith("-")] == []
    assert [name for name, version in _pins(lock).items() if version.local] == []


def test_development_runs_what_users_run() -> None:
    users = _pins("requirements.lock").items()
    assert users <= _pins("requirements-dev.lock").items()


def test_torch_is_the_release_the_project_is_built_on() -> None:
    assert _pins("requirements.lock")["torch"] == Version("2.13.0")


def test_optunas_next_major_version_is_not_installed_unseen() -> None:
    (optuna,) = [one for one in _asked(("server",)) if one.name == "optuna"]
    assert Version("5.9") in optuna.specifier
    assert Version("6.0") not in optuna.specifier


def test_users_do_not_install_what_only_tests_need() -> None:
    assert {"jax", "transformers", "pytest", "mypy"}.isdisjoint(_pins("requirements.lock"))
