"""The tasks page lists every task, parameter and metric as the code has them."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import document
from tools.tasks_page import with_tables
from workers.tasks.registry import TASKS, offers

PAGE = "docs/reference/tasks.md"


def test_every_task_has_a_section() -> None:
    assert re.findall(r"^## `([a-z]+)`$", document(PAGE), flags=re.MULTILINE) == list(TASKS)


def test_the_tables_are_those_of_the_code() -> None:
    schemas = {offer.name: offer.params_schema or {} for offer in offers(TASKS)}
    page = document(PAGE)
    assert page == with_tables(page, schemas), "run: python tools/tasks_page.py"
    assert page.count("| parameter |") == len(TASKS)


@pytest.mark.parametrize("name", list(TASKS))
def test_every_metric_is_named_in_the_tasks_section(name: str) -> None:
    (offer,) = offers([name])
    section = document(PAGE).split(f"## `{name}`")[1].split("\n## ")[0]
    assert [metric for metric in offer.metrics or [] if f"`{metric}`" not in section] == []
