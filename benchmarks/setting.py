"""The date, the machine and the package versions that every results page states."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version


def setting(*packages: str, device: str = "CPU only") -> str:
    """The date (UTC), this machine, and the versions of Python and these packages."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    machine = f"{os.cpu_count()}-core {platform.machine().replace('_', '-')}"
    return ", ".join([
        str(today), machine, device, f"Python {platform.python_version()}",
        *(f"{package} {version(package)}" for package in packages),
    ])  # fmt: skip
