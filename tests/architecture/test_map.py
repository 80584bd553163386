"""The map in docs/explanation/architecture.md lists the existing folders."""

from __future__ import annotations

import re
from typing import get_args

from tests.architecture.sources import PROGRAMS, ROOT, document

MAP = "docs/explanation/architecture.md"


def _folders() -> set[str]:
    return {
        path.parent.relative_to(ROOT).as_posix()
        for program in PROGRAMS
        for path in (ROOT / program).rglob("*.py")
        if path.parent != ROOT / program
    }


def test_the_map_lists_every_folder_and_no_other() -> None:
    listed = re.findall(r"^\| `((?:lehr|service|workers)/[a-z/_]+)` \|", document(MAP), flags=re.MULTILINE)
    assert set(listed) == _folders()
    assert len(listed) == len(set(listed))


def test_every_file_that_the_map_names_exists() -> None:
    named = re.findall(r"`((?:lehr|service|workers)/[a-z/_]+\.py)`", document(MAP))
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_diagrams_show_every_state_and_no_other() -> None:
    from lehr.wire.studies import StudyState
    from lehr.wire.trials import TrialState

    for title, states in (("study", StudyState), ("trial", TrialState)):
        (section,) = re.findall(rf"^## The life of a {title}\n(.*?)^## ", document(MAP), flags=re.MULTILINE | re.DOTALL)
        shown = set(re.findall(r"\b([A-Z]{5,})\b", section.split("```")[1]))
        assert shown == set(get_args(states))
