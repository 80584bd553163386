"""The responses of the schedule calls: rates, plots, code, families."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from starlette.testclient import TestClient

from lehr.schedules import FAMILIES, schedule_from_dict
from lehr.schedules.portable import FRAMEWORKS
from tests.support.examples import PLAIN, example
from tests.support.ledgers import serving

COSINE = {"family": "cosine", "start_lr": 0.1, "end_lr": 0.001}
ONE_CYCLE = {"family": "one_cycle", "start_lr": 0.01, "peak_lr": 0.5, "end_lr": 0.0, "base_momentum": 0.8,
             "max_momentum": 0.9}  # fmt: skip
PLATEAU = {"family": "plateau", "start_lr": 0.1, "end_lr": 0.001}
SVG = "image/svg+xml"
NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def client(sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One server for all: none of these calls touches the database."""
    path = tmp_path_factory.mktemp("schedules") / "lehr.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    with serving(f"sqlite:///{path}") as client:
        yield client


def preview(client: TestClient, accept: str | None = None, **body: Any) -> Any:
    headers = {"Accept": accept} if accept else {}
    return client.post("/v1/schedules/preview", json={"horizon_steps": 100, **body}, headers=headers)


def export(client: TestClient, **body: Any) -> Any:
    whole = {"schedule": COSINE, "horizon_steps": 100, "framework": "torch", **body}
    return client.post("/v1/schedules/export", json=whole)


@pytest.mark.parametrize("family", PLAIN)
def test_a_preview_is_the_schedules_own_curve(client: TestClient, family: str) -> None:
    schedule = example(family, 0.2)
    answer = preview(client, schedule=schedule.to_dict(), horizon_steps=57).json()
    curve = schedule.curve(57)
    assert (answer["step"], answer["lr"]) == (list(curve.step), list(curve.lr))


def test_a_preview_of_many_points_is_the_same_curve(client: TestClient) -> None:
    answer = preview(client, schedule=ONE_CYCLE, horizon_steps=3001, max_points=3001).json()
    curve = schedule_from_dict(ONE_CYCLE).curve(3001)
    assert answer["step"] == list(curve.step)
    assert answer["lr"] == pytest.approx(curve.lr, rel=1e-12)
    assert answer["momentum"] == pytest.approx(curve.momentum, rel=1e-12)


def test_several_schedules_are_previewed_together(client: TestClient) -> None:
    answer = preview(client, schedules=[COSINE, ONE_CYCLE], max_points=5).json()
    alone = [preview(client, schedule=each, max_points=5).json() for each in (COSINE, ONE_CYCLE)]
    assert answer == {"schedules": alone}
    assert alone[1]["momentum"] is not None


@pytest.mark.parametrize(("horizon", "points"), [(10**6, 1000), (10**6, 10_000), (10**9, 1000), (10**12, 1000)])
@pytest.mark.parametrize("accept", ["application/json", SVG])
def test_a_preview_of_a_huge_horizon_answers_at_once(
    client: TestClient, horizon: int, points: int, accept: str
) -> None:
    body = {"schedule": COSINE, "horizon_steps": horizon, "max_points": points}
    preview(client, accept, **body)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        answer = preview(client, accept, **body)
        times.append(time.perf_counter() - began)
        assert answer.status_code == 200
    assert min(times) < 0.05


def test_without_max_points_a_billion_steps_give_a_thousand_points(client: TestClient) -> None:
    answer = preview(client, schedule=COSINE, horizon_steps=10**9).json()
    assert (len(answer["lr"]), answer["step"][-1]) == (1000, 10**9 - 1)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (SVG, SVG),
        ("image/*", SVG),
        (f"{SVG}, application/json;q=0.5", SVG),
        (f"{SVG};q=0.2, application/json;q=0.5", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
    ],
)
def test_the_preview_is_of_the_kind_that_is_preferred(client: TestClient, accept: str | None, kind: str) -> None:
    answer = preview(client, accept, schedule=COSINE)
    assert answer.headers["content-type"].split(";")[0] == kind
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["text/html", f"{SVG};q=0", "image/svg+xml;q=x"])
def test_a_kind_that_is_not_offered_is_refused(client: TestClient, accept: str) -> None:
    answer = preview(client, accept, schedule=COSINE)
    assert answer.status_code == 406
    assert answer.json()["status"] == 406
    assert SVG in answer.json()["detail"]


def test_the_picture_has_a_title_a_description_and_a_line_for_each_schedule(client: TestClient) -> None:
    text = preview(client, SVG, schedules=[COSINE, ONE_CYCLE], log_scale=True).text
    svg = ElementTree.fromstring(text)
    assert svg.get("role") == "img"
    labels = [each.get("id") for each in svg if each.tag in (f"{NAMESPACE}title", f"{NAMESPACE}desc")]
    assert " ".join(str(label) for label in labels) == svg.get("aria-labelledby")
    description = svg.findtext(f"{NAMESPACE}desc")
    assert description is not None
    assert "cosine" in description
    assert "log axis" in description
    assert {"cosine 0.1 → 0.001", "one_cycle 0.01 → 0.5 → 0"} <= {each.text for each in svg.iter(f"{NAMESPACE}text")}
    assert "prefers-color-scheme:dark" in text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "schedule"),
        ({"schedule": COSINE, "schedules": [COSINE]}, "schedule"),
        ({"schedules": []}, "schedules"),
        ({"schedules": [COSINE] * 21}, "schedules"),
        ({"schedules": [COSINE, {**COSINE, "start_lr": -1}]}, "schedules[1].start_lr"),
        ({"schedule": {**COSINE, "end_lr": 1.0}}, "schedule.end_lr"),
        ({"schedule": {**COSINE, "family": "cosin"}}, "schedule.family"),
        ({"schedule": PLATEAU}, "family"),
        ({"schedule": COSINE, "horizon_steps": 0}, "horizon_steps"),
        ({"schedule": COSINE, "horizon_steps": 10**13}, "horizon_steps"),
        ({"schedule": COSINE, "max_points": 10_001}, "max_points"),
        ({"schedule": COSINE, "log_scale": "yes"}, "log_scale"),
        ({"schedule": COSINE, "surprise": 1}, "surprise"),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", SVG])
def test_a_preview_that_cannot_be_names_the_field(client: TestClient, accept: str, body: Any, field: str) -> None:
    answer = preview(client, accept, **body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_export_says_its_framework_code_and_exactness(client: TestClient, framework: str) -> None:
    answer = export(client, framework=framework).json()
    assert answer.keys() == {"framework", "code", "exact", "form", "note"}
    assert answer["framework"] == framework
    assert answer["code"]
    assert answer["note"]
    assert answer["exact"] is True


def test_an_exported_torch_scheduler_has_the_schedules_rates(client: TestClient) -> None:
    names: dict[str, Any] = {}
    exec(export(client).json()["code"], names)
    schedule = schedule_from_dict(COSINE)
    assert [names["lr_at"](step) for step in range(100)] == list(schedule.curve(100).lr)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"framework": "pytorch"}, "framework"),
        ({"framework": "x" * 101}, "framework"),
        ({"framework": None}, "framework"),
        ({"horizon_steps": 0}, "horizon_steps"),
        ({"horizon_steps": 10**12 + 1}, "horizon_steps"),
        ({"schedule": {**COSINE, "start_lr": 0}}, "schedule.start_lr"),
        ({"schedule": PLATEAU, "framework": "optax"}, "family"),
    ],
)
def test_an_export_that_cannot_be_names_the_field(client: TestClient, body: Any, field: str) -> None:
    answer = export(client, **body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert answer.json()["errors"][0]["remedy"]


def test_families_come_with_schema_defaults_and_a_thumbnail(client: TestClient) -> None:
    items = {item["name"]: item for item in client.get("/v1/schedules/families").json()["items"]}
    assert items.keys() == FAMILIES.keys()
    for name, item in items.items():
        assert item["formula"]
        assert item["source"]
        jsonschema.Draft202012Validator.check_schema(item["params_schema"])
        assert item["defaults"].keys() <= item["params_schema"]["properties"].keys()
        assert (item["thumbnail"] is None) == FAMILIES[name].adaptive
        if item["thumbnail"] is not None:
            assert ElementTree.fromstring(item["thumbnail"]).findtext(f"{NAMESPACE}title") == name
            assert len(item["thumbnail"]) < 4000
    assert items["wsd"]["defaults"]["cooldown_fraction"] == 0.2


def test_families_are_listed_quickly(client: TestClient) -> None:
    client.get("/v1/schedules/families")
    times = []
    for _ in range(5):
        began = time.perf_counter()
        client.get("/v1/schedules/families")
        times.append(time.perf_counter() - began)
    assert min(times) < 0.02
