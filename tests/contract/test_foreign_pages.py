"""Requests that a web page of another site could send are refused; programs' requests are accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from service.settings import Settings
from tests.support.ledgers import serving, settings_for, study_spec

SERVER = "http://127.0.0.1:8765"


@pytest.fixture
def client(sqlite_url: str) -> Iterator[TestClient]:
    with serving(sqlite_url, allowed_hosts="lehr.example,*.team.example", host="gpu-box") as client:
        client.base_url = SERVER
        yield client


def refused(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:lehr:problem:{kind}"
    (fault,) = problem["errors"]
    assert fault["bound"]
    assert fault["remedy"]
    return dict(fault)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8765", "LOCALHOST", "localhost.:8765"),
        *("127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8765", "192.168.1.7:8765", "[fd00::7]:8765"),
        *("gpu-box", "gpu-box:8765", "lehr.example", "lehr.example:443", "a.team.example", "a.b.team.example"),
    ],
)
def test_its_own_names_and_every_address_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/v1/studies", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("rebound.example", "rebound.example:8765", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("lehr.example.evil", "evil-lehr.example", "team.example", "evilteam.example", "127.1"),
        *("2130706433", "0x7f000001"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/studies"), ("POST", "/v1/studies"), ("GET", "/nowhere")])
def test_a_rebound_name_can_neither_read_nor_post(client: TestClient, host: str, method: str, path: str) -> None:
    answer = client.request(method, path, headers={"Host": host}, json=study_spec() if method == "POST" else None)
    fault = refused(answer, 421, "host-not-allowed")
    assert (fault["field"], fault["value"]) == ("Host", host)
    assert "LEHR_ALLOWED_HOSTS" in fault["remedy"]
    assert client.get("/v1/studies").json()["items"] == []


@pytest.mark.parametrize("host", ["", "a b", "user@localhost", "localhost/x", "[::1", "::1", "localhost:port", "é"])
def test_what_is_no_host_is_refused(client: TestClient, host: str) -> None:
    refused(client.get("/v1/studies", headers={"Host": host.encode()}), 400, "bad-host")


def test_two_hosts_are_refused(client: TestClient) -> None:
    headers = [("Host", "localhost"), ("Host", "rebound.example")]
    refused(client.get("/v1/studies", headers=headers), 400, "bad-host")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize("path", ["/v1/studies", "/v1/studies/abc/cancel", "/v1/studies/abc", "/v1/leases"])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        *(("Origin", origin) for origin in ("https://evil.example", "null", "", "http://127.0.0.1:3000", "x")),
        *(("Sec-Fetch-Site", site) for site in ("cross-site", "same-site", "strange")),
    ],
)
def test_another_sites_page_changes_nothing(
    client: TestClient, method: str, path: str, header: str, value: str
) -> None:
    fault = refused(client.request(method, path, headers={header: value}), 403, "foreign-origin")
    assert (fault["field"], fault["value"]) == (header, value)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": SERVER},
        {"Origin": SERVER, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "lehr.example", "Origin": "https://lehr.example"},
        {"Host": "localhost:8765", "Origin": "http://LOCALHOST:8765"},
        # A proxy that names the server in its own way: the browser has compared the origins already.
        {"Host": "127.0.0.1:8765", "Origin": "https://lehr.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_programs_and_the_servers_own_pages_pass(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/studies", json=study_spec(), headers=headers).status_code == 201


def test_a_foreign_page_cannot_read_an_answer(client: TestClient) -> None:
    """Browsers hide an answer from a page of another origin unless the answer allows it."""
    origin = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    preflight = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answers = client.get("/v1/studies", headers=origin), client.options("/v1/studies", headers=preflight)
    assert answers[0].status_code == 200
    assert answers[1].status_code == 405
    assert [name for answer in answers for name in answer.headers if name.startswith("access-control")] == []


def test_every_host_may_be_allowed(sqlite_url: str) -> None:
    with serving(sqlite_url, allowed_hosts="*") as client:
        assert client.get("/v1/studies", headers={"Host": "any.example"}).status_code == 200
        answer = client.post("/v1/studies", headers={"Host": "any.example", "Origin": "https://evil.example"})
        refused(answer, 403, "foreign-origin")


def test_the_default_allows_this_machine_alone(sqlite_url: str) -> None:
    assert Settings(database=sqlite_url).allowed_hosts == ("localhost",)


@pytest.mark.parametrize("host", ["http://lehr.example", "lehr.example:8765", "a.*.example", "*.", "a/b", "é.example"])
def test_a_setting_that_is_no_name_is_refused_with_an_example(host: str) -> None:
    with pytest.raises(ValidationError, match=r"is not a host name.*such as lehr.example"):
        settings_for("sqlite:///x", allowed_hosts=f"localhost, {host}")
