"""Prints service/builtin_tasks.json, the built-in tasks' schemas and metrics: `python -m tools.builtin_tasks`.

The server imports neither torch nor the workers, so it reads this file instead.
"""

from __future__ import annotations

import json

from workers.tasks.registry import TASKS, offers


def document() -> str:
    """Each built-in task's offer, as a worker sends it."""
    return json.dumps([offer.model_dump(mode="json") for offer in offers(TASKS)], indent=1) + "\n"


if __name__ == "__main__":
    print(document(), end="")
