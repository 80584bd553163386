"""Runs a module that ends when its parent does: `python -m lehr.cli.local.leash PARENT_PID MODULE [ARGUMENT…]`.

A parent killed with -9 cannot stop its children, so each child polls whether its parent is alive.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

LOOK_SECONDS = 0.5
DRAIN_SECONDS = 15.0
"""How long a child may take to shut down once its parent is gone."""


def main() -> None:
    parent, module = int(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    threading.Thread(target=_end_without, args=(parent,), name="leash", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_without(parent: int) -> None:
    """Once the parent is gone, send SIGTERM to this process, then SIGKILL to its group if it is still running."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
