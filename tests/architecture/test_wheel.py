"""`pip install lehr` installs one package, `lehr`, which contains the programs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.architecture.sources import ROOT


def test_the_wheel_holds_the_programs_below_lehr_and_no_other_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"lehr"}
    assert "lehr/py.typed" in names
    for program in ("service", "workers", "migrations"):
        sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / program).rglob("*.py")}
        assert {f"lehr/_programs/{source}" for source in sources} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
