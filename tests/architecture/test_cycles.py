"""There are no import cycles, not even for type checking; import contracts fix the order of the folders."""

from __future__ import annotations

import pytest

from tests.architecture.sources import PROGRAMS, ROOT
from tools.house import cycles, module_imports


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_modules_import_each_other(program: str) -> None:
    assert cycles(dict(module_imports(ROOT, program))) == []


def test_a_cycle_is_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]
