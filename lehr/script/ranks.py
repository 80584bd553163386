"""Detects distributed training, where several processes train one model, and allows only rank 0 to get trials."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from lehr.errors import Fault, InvalidValueError

REMEDY = (
    "Get trials only on rank 0, with ScriptClient(url, leads_all_ranks=True), and send each trial's schedule, seed and "
    "horizon_steps to the other ranks (torch.distributed.broadcast_object_list)."
)


@dataclass(frozen=True, slots=True)
class Launch:
    """The number of processes of a distributed training, this process's rank, and the variables that set them."""

    processes: int
    rank: str
    count_variable: str
    rank_variable: str


def launch() -> Launch:
    """The launch as set by torchrun, accelerate and Lightning, by Keras, or by TensorFlow."""
    launches = [
        _counted("WORLD_SIZE", "RANK"),
        _counted("KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"),
        _of_tensorflow("TF_CONFIG"),
    ]
    return max(launches, key=lambda one: one.processes)


def require_one_asker(*, leads_all_ranks: bool) -> None:
    """Raise InvalidValueError if each rank of a distributed training would get a different trial."""
    found = launch()
    if found.processes <= 1:
        return
    if not leads_all_ranks:
        message = "is above 1: each process would get a different trial"
        bound = "1 process for each trial"
        raise InvalidValueError(Fault(found.count_variable, message, bound, found.processes, REMEDY))
    if found.rank != "0":
        raise InvalidValueError(
            Fault(found.rank_variable, "is not 0: only rank 0 may get trials", "rank 0", found.rank, REMEDY)
        )


def _counted(count_variable: str, rank_variable: str) -> Launch:
    count = os.environ.get(count_variable, "")
    processes = int(count) if count.isdigit() else 1
    return Launch(processes, os.environ.get(rank_variable, "0"), count_variable, rank_variable)


def _of_tensorflow(variable: str) -> Launch:
    """Counts chiefs and workers; parameter servers and evaluators do not train."""
    try:
        config: Any = json.loads(os.environ.get(variable, "{}"))
        cluster, task = config.get("cluster", {}), config.get("task", {})
        chiefs, workers = len(cluster.get("chief", ())), len(cluster.get("worker", ()))
        index, is_worker = int(task.get("index", 0)), task.get("type", "worker") == "worker"
    except (ValueError, TypeError, AttributeError):
        return Launch(1, "0", variable, variable)  # TensorFlow itself reports the error.
    return Launch(chiefs + workers, str(index + chiefs if is_worker else index), variable, variable)
