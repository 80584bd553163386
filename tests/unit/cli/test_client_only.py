"""An installation of the client alone creates no files when it is asked to start a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from lehr.cli.local import process
from tests.unit.cli.conftest import lehr


@pytest.mark.parametrize("command", ["up", "demo"])
def test_no_folder_is_left_where_the_server_is_not_installed(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(process.NEEDED_PACKAGES, "service", ("no_such_package",))
    result = lehr(command, "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert "no_such_package" in result.stderr
    assert list(tmp_path.iterdir()) == []
