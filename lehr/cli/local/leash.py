"""Runs a module that ends when its parent does: `python -m lehr.cli.local.leash PARENT_PID MODULE [ARGUMENT…]`.

A parent that is killed with -9 can end nobody; so its children look for themselves.
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
"""How long a child may take to end in good order once its parent is gone."""


def main() -> None:
    parent, module = int(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    threading.Thread(target=_end_without, args=(parent,), name="leash", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_without(parent: int) -> None:
    """Once the parent is gone: SIGTERM, as from it, and SIGKILL to the group if that was not enough."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
