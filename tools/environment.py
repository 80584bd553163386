"""Creates .venv, or updates it if a lock file or pyproject.toml changed. Safe to interrupt and to run concurrently."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
"""What each level installs. The development lock holds the runtime's, at the same versions."""
SOURCES = "requirements-sources.lock"
"""What development installs besides, without its dependencies: sources that tests read."""
ARCHIVES = "requirements-archives.lock"
"""Source archives that development takes single files out of: nothing of them is built or installed."""
TAKEN = VENV / "sources"
"""Where those files lie."""


def main(level: str) -> None:
    """Leave .venv complete for `level`. Does nothing where it already is."""
    with (ROOT / ".venv.lock").open("w") as lock:
        # Two makes at once (make -j, a second terminal) must not install into one folder together.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current(level):
            return
        if not _works():
            print("making .venv", flush=True)
            venv.create(VENV, clear=True, with_pip=True, symlinks=True)
        _install(level)
        for covered in LOCKS if level == "dev" else ("runtime",):
            _stamp(covered).write_text(_digest(covered))


def _install(level: str) -> None:
    # A stamp may vouch only for a finished installation, so it goes before anything changes.
    for stale in LOCKS:
        _stamp(stale).unlink(missing_ok=True)
    print(f"installing {LOCKS[level]}; the first time this takes minutes", flush=True)
    _pip("install", "-r", LOCKS[level])
    if level == "dev":
        _pip("install", "--no-deps", "-r", SOURCES)
        for line in (ROOT / ARCHIVES).read_text().splitlines():
            if line and not line.startswith("#"):
                _take(*line.split())
    # hatchling is in the lock: without isolation nothing unpinned is fetched to build with.
    _pip("install", "--no-deps", "--no-build-isolation", "--editable", ".")


def _take(pin: str, path: str) -> None:
    """Put one file of a pinned source archive into TAKEN, under its path there."""
    name = pin.partition("==")[0]
    with tempfile.TemporaryDirectory() as folder:
        # pip reads an archive's metadata with what is installed: the locks bring setuptools.
        _pip("download", "--no-deps", "--no-build-isolation", "--no-binary", name, "--dest", folder, pin)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            (member,) = (each for each in opened.getmembers() if each.name.partition("/")[2] == path)
            file = opened.extractfile(member)
            assert file is not None
            (TAKEN / path).parent.mkdir(parents=True, exist_ok=True)
            (TAKEN / path).write_bytes(file.read())


def _pip(command: str, *arguments: str) -> None:
    command_line = [str(PYTHON), "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments]
    outcome = subprocess.run(command_line, cwd=ROOT, check=False)
    if outcome.returncode:
        sys.exit("pip could not install what lehr needs; its message is above. The same make, run again, goes on.")


def _is_current(level: str) -> bool:
    stamp = _stamp(level)
    return stamp.exists() and stamp.read_text() == _digest(level) and PYTHON.exists()


def _works() -> bool:
    """Tell whether .venv can be installed into: whole, of this folder, and of a Python that still exists."""
    if not PYTHON.exists():
        return False
    script = "import sys, pip; print(sys.prefix); sys.exit(sys.version_info < (3, 11))"
    outcome = subprocess.run([str(PYTHON), "-c", script], capture_output=True, text=True, check=False)
    pip = VENV / "bin" / "pip"
    # A virtual environment's scripts hold its path, so a moved one has to be made anew.
    moved = not pip.exists() or str(VENV) not in pip.read_text().splitlines()[0]
    return outcome.returncode == 0 and not moved


def _digest(level: str) -> str:
    named = (LOCKS[level], SOURCES, ARCHIVES, "pyproject.toml")
    parts = [str(ROOT).encode(), *((ROOT / name).read_bytes() for name in named)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamp(level: str) -> Path:
    return VENV / f".installed-{level}"


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        sys.exit(f"usage: environment.py {'|'.join(LOCKS)}")
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("interrupted; the same make goes on from here")
