"""The images and the compose file match each other and the code."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.architecture.sources import ROOT, document


def _compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(document("docker-compose.yml"))
    return parsed


def _stages() -> dict[str, str]:
    """Each stage of the Dockerfile, by name."""
    parts = re.split(r"^FROM \S+ AS (\S+)\n", document("Dockerfile"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_service_that_is_built_names_a_stage_of_the_dockerfile() -> None:
    targets = {service["build"]["target"] for service in _compose()["services"].values() if "build" in service}
    assert targets == {"server", "worker"}
    assert targets < _stages().keys()


@pytest.mark.parametrize("target", ["server", "worker"])
def test_images_do_not_run_as_root(target: str) -> None:
    assert "\nUSER lehr\n" in _stages()[target]


def test_the_servers_image_is_built_without_the_workers_packages() -> None:
    assert "'.[server]'" in _stages()["build-server"]
    assert "worker" not in _stages()["build-server"] + _stages()["server"]


def test_what_is_copied_into_the_images_exists_and_is_sent_to_the_builder() -> None:
    copied = {
        source.removeprefix("./")
        for line in document("Dockerfile").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert [source for source in copied if not (ROOT / source).exists()] == []
    sent = {line.removeprefix("!") for line in document(".dockerignore").splitlines() if line.startswith("!")}
    assert copied == sent


def test_the_schema_is_migrated_before_a_server_starts() -> None:
    services = _compose()["services"]
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["server"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["worker"]["depends_on"]["server"]["condition"] == "service_healthy"


def test_ports_are_published_on_this_machine_alone() -> None:
    ports = [port for service in _compose()["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_worker_holds_the_databases_password_and_nobody_else_has_it_written_down() -> None:
    worker = _compose()["services"]["worker"]["environment"]
    assert not {"LEHR_DATABASE", "PGPASSWORD"} & worker.keys()
    passwords = re.findall(r"PASSWORD: (.*)", document("docker-compose.yml"))
    assert all(password.startswith("${LEHR_DB_PASSWORD:?") for password in passwords)


def test_the_server_allows_the_name_by_which_the_worker_calls_it() -> None:
    services = _compose()["services"]
    host = urlsplit(services["worker"]["environment"]["LEHR_SERVER"]).hostname
    assert host in services
    assert host in services["server"]["environment"]["LEHR_ALLOWED_HOSTS"].split(",")
    assert services["server"]["environment"].items() > services["migrate"]["environment"].items()


def test_the_worker_reserves_a_gpu() -> None:
    (device,) = _compose()["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]


def test_volumes_that_are_mounted_are_declared() -> None:
    compose = _compose()
    mounted = {
        volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])
    }
    assert mounted == compose["volumes"].keys()
