"""Whether this process is one of several that a launcher started for a single training."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from lehr.errors import Fault, InvalidValueError

REMEDY = (
    "Ask for trials on rank 0 alone with ScriptClient(url, leads_all_ranks=True), and send the others each trial's "
    "schedule, seed and horizon_steps (torch.distributed.broadcast_object_list)."
)


@dataclass(frozen=True, slots=True)
class Launch:
    """How many processes train together, which one this is, and the variables that say so."""

    processes: int
    rank: str
    count_variable: str
    rank_variable: str


def launch() -> Launch:
    """What the launcher says to each process: torchrun, accelerate and Lightning, Keras, or TensorFlow."""
    found = [
        _counted("WORLD_SIZE", "RANK"),
        _counted("KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"),
        _of_tensorflow("TF_CONFIG"),
    ]
    return max(found, key=lambda one: one.processes)


def require_one_asker(*, leads_all_ranks: bool) -> None:
    """Raises InvalidValueError where several ranks would each get a trial of their own and train it together."""
    found = launch()
    if found.processes <= 1:
        return
    if not leads_all_ranks:
        message = "is above 1: each of these processes would be given another trial"
        bound = "1 process for each trial"
        raise InvalidValueError(Fault(found.count_variable, message, bound, found.processes, REMEDY))
    if found.rank != "0":
        raise InvalidValueError(
            Fault(found.rank_variable, "is not the one that asks for trials", "rank 0", found.rank, REMEDY)
        )


def _counted(count_variable: str, rank_variable: str) -> Launch:
    count = os.environ.get(count_variable, "")
    processes = int(count) if count.isdigit() else 1
    return Launch(processes, os.environ.get(rank_variable, "0"), count_variable, rank_variable)


def _of_tensorflow(variable: str) -> Launch:
    """Chief and workers; parameter servers and evaluators train nothing."""
    try:
        config: Any = json.loads(os.environ.get(variable, "{}"))
        cluster, task = config.get("cluster", {}), config.get("task", {})
        chiefs, workers = len(cluster.get("chief", ())), len(cluster.get("worker", ()))
        index, is_worker = int(task.get("index", 0)), task.get("type", "worker") == "worker"
    except (ValueError, TypeError, AttributeError):
        return Launch(1, "0", variable, variable)  # TensorFlow itself says what is wrong with it.
    return Launch(chiefs + workers, str(index + chiefs if is_worker else index), variable, variable)
