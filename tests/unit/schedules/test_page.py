"""The schedules page in the docs is up to date with the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from lehr.schedules import FAMILIES
from tools.schedules_page import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "schedules.md"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_on_the_page(family):
    text = PAGE.read_text(encoding="utf-8")
    assert f"### {family}\n" in text
    assert f"`{FAMILIES[family].formula}`" in text


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run python -m tools.schedules_page > docs/reference/schedules.md"
    )
