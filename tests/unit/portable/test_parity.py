"""The parity page agrees with running the frameworks, and the listed differences still exist."""

from __future__ import annotations

import os
import re

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")

from lehr.schedules import FAMILIES
from tests.conftest import missing
from tools.parity.differences import DIFFERENCES
from tools.parity.grid import COLUMNS, measure
from tools.parity.names import COUNTERPARTS, MEASURED, NONE, public_names
from tools.parity.page import PAGE, cell, rows
from tools.parity.upstream import AbsentError

MAKE = "run python -m tools.parity > docs/reference/parity.md"
FIGURE = re.compile(r"equal (\S+)")
BOUNDS = {"optax": 3e-7, "keras": 3e-7}
"""Rates in 32 bits."""


@pytest.fixture(scope="module")
def grid():
    return measure()


@pytest.fixture(scope="module")
def page():
    return rows(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_says_of_a_family_what_the_frameworks_say(family, grid, page):
    assert family in page, MAKE
    if FAMILIES[family].adaptive:
        assert page[family][0].startswith("equal"), MAKE
        return
    told = dict(zip(COLUMNS, page[family], strict=True))
    for framework in COLUMNS:
        found = grid.cells[family, framework]
        now = cell(family, framework, found, told)
        # Figures are rounding, which differs between machines; the rest is the same everywhere.
        assert FIGURE.sub("equal", now) == FIGURE.sub("equal", told[framework]), MAKE
        if found.difference is not None:
            assert found.difference <= BOUNDS.get(framework, 1e-12)


@pytest.mark.parametrize("framework", COUNTERPARTS)
def test_every_schedule_that_a_framework_has_is_on_the_page(framework, page):
    assert set(COUNTERPARTS[framework]) == public_names()[framework]
    for name in COUNTERPARTS[framework]:
        assert f"{framework} `{name}" in page or f"{framework} `{name}`" in page, MAKE


@pytest.mark.parametrize(("title", "name"), MEASURED)
def test_schedules_that_exports_do_not_use_have_their_familys_rates(title, name):
    assert MEASURED[title, name]() <= 3e-7


def test_no_family_is_named_that_does_not_exist():
    words = {word for names in COUNTERPARTS.values() for told in names.values() if not told.startswith(NONE)
             for word in re.findall(r"[a-z]+_[a-z_0-9]+|triangular2?|linear|cosine|constant|wsd", told)}  # fmt: skip
    assert words - {"num_cycles", "end_lr"} <= FAMILIES.keys()


@pytest.mark.parametrize("number", range(1, len(DIFFERENCES) + 1))
def test_a_difference_is_as_large_as_the_page_tells(number, page):
    try:
        found = DIFFERENCES[number - 1].measure()
    except AbsentError as absent:
        missing(f"the source of {absent} is not installed: run make setup")
    assert found == pytest.approx(float(page[str(number)][-1]), rel=0.06), MAKE
