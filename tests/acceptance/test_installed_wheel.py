"""The built wheel works in an environment without a checkout, as after `pip install 'lehr[all]'`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.machine import ROOT, until

STUDY = {
    "name": "from-the-wheel",
    "task": {"name": "digits", "params": {"model": "linear", "epochs": 1}},
    "space": {"families": ["constant"], "start_lr": {"low": 1e-3, "high": 1e-1}},
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "budget": {"trials": 2},
    "confirm": None,
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `lehr` command of an environment with the wheel and, beside it, the packages that lehr needs."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = folder / "env" / "lib" / version / "site-packages"
    # A path file read from here does not have the path files of that folder read: the checkout stays out of sight.
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return python.with_name("lehr")


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("LEHR_")}


@pytest.fixture
def server(installed: Path, tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    """The URL of a `lehr up` from the wheel, in a folder whose own `service` and `workers` must not be run."""
    for name in ("service", "workers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('this is not a program of lehr')")
    command = [installed, "up", "--port", "0", "--workers", "1", "--device", "cpu"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    state = tmp_path / "lehr-data" / "up.json"
    try:
        until(lambda: process.poll() is not None or state.is_file(), "lehr up is ready", 90)
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield json.loads(state.read_text())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_a_study_is_searched_without_a_checkout(
    installed: Path, server: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    command = [installed, "submit", "-", "--watch", "--server", server]
    submitted = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env=environment,
        input=json.dumps(STUDY),
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert submitted.returncode == 0, submitted.stderr
    assert '"family": "constant"' in submitted.stdout


@pytest.mark.timeout(300)
def test_the_demo_runs_without_a_checkout(installed: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    demo = subprocess.run(
        [installed, "demo"], check=False, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert demo.returncode == 0, demo.stderr
    assert '"schedule"' in demo.stdout


def test_no_top_level_module_but_lehr_is_installed(installed: Path) -> None:
    look = (
        "import importlib.util as i; print([n for n in ('lehr', 'service', 'workers', 'migrations') if i.find_spec(n)])"
    )
    python = installed.with_name("python")
    found = subprocess.run([python, "-P", "-c", look], check=True, capture_output=True, text=True, cwd="/")
    assert found.stdout.strip() == "['lehr']"
