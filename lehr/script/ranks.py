"""Whether this process is one of several that a launcher started for a single training."""

from __future__ import annotations

import os

from lehr.errors import Fault, InvalidValueError

REMEDY = (
    "Ask for trials on rank 0 alone with ScriptClient(url, leads_all_ranks=True), and send the others each trial's "
    "schedule, seed and horizon_steps (torch.distributed.broadcast_object_list)."
)


def require_one_asker(*, leads_all_ranks: bool) -> None:
    """Raises InvalidValueError where several ranks would each get a trial of their own and train it together.

    torchrun, accelerate and Lightning tell each process in WORLD_SIZE how many there are, and in RANK which it is.
    """
    ranks, rank = os.environ.get("WORLD_SIZE", ""), os.environ.get("RANK", "0")
    if not ranks.isdigit() or int(ranks) <= 1:
        return
    if not leads_all_ranks:
        message = "is above 1: each of these processes would be given another trial"
        raise InvalidValueError(Fault("WORLD_SIZE", message, "1 process for each trial", int(ranks), REMEDY))
    if rank != "0":
        raise InvalidValueError(Fault("RANK", "is not the one that asks for trials", "rank 0", rank, REMEDY))
