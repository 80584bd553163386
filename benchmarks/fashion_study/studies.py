"""Creates the studies of `run.py`, and reads from the server what they spent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lehr.client import Client
from lehr.errors import LehrError
from lehr.schedules import Schedule
from lehr.wire.trials import Trial
from service.answer.finalists import SearchTrial, best_first
from service.answer.landscape import Landscape

# 16 steps an epoch: 160 in all.
PARAMS: Mapping[str, Any] = {
    "data": "fashion_mnist",
    "model": "mlp",
    "hidden": 128,
    "optimizer": "sgd",
    "batch_size": 128,
    "train_limit": 2048,
    "epochs": 10,
    "validation_fraction": 0.05,
}
SMALLER: Mapping[str, Any] = {**PARAMS, "hidden": 32, "batch_size": 64}
"""The similar task that a warm study learns from: a quarter of the width, half the batch."""
SPACE = {
    "families": ["constant", "step", "exponential", "linear", "cosine", "one_cycle"],
    "start_lr": {"low": 1e-4, "high": 1.0},
    "end_lr": {"low": 1e-6, "high": 1e-1},
}
METRIC = "val_loss"
HORIZON = 160
TRIALS = 40
THIRD_STEPS = TRIALS * HORIZON // 3
"""What lehr's searches may spend: a third of what plain TPE spends."""
SOURCE_TRIALS = 24
TRUTH_SEEDS = 20
FIRST_SEED = 100
"""What was tried out on the way had lower seeds, or those from 500 on."""
MARGIN = 0.003
"""Half of the deviation between trainings of one schedule, .006: an answer worse by less is of the same quality. Set
before the studies were run, from other trainings."""
TRUTH_PRIORITY = -1000
"""Truths are measured when no search has anything to train."""
LEHR_TRIALS = 24
"""What phases saves of a third of the steps is spent on further trials, up to so many."""
LEHR: Mapping[str, Any] = {
    "sampler": "surrogate",
    "pruner": "phases",
    "budget": {"trials": LEHR_TRIALS, "max_steps": THIRD_STEPS, "stop_when": "converged"},
}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"sampler": "tpe", "pruner": "none", "budget": {"trials": TRIALS}, "warm_start": "off"},
    "cold": {**LEHR, "warm_start": []},
    "warm": LEHR,
}
"""`plain`: TPE alone. `cold`: lehr's sampler and pruner, the field's defaults first, a stop when converged, and a third
of the steps. `warm`: the same, that learns from a finished study of `SMALLER`, too."""
Rule = Literal["luckiest", "smoothed"]
"""Which trial is the answer: that of the best value, as in Optuna, or that of the best estimate, as in the service."""


@dataclass(frozen=True, slots=True)
class Look:
    """At an arm's answer when it has spent at most so many whole trainings' worth of steps."""

    arm: str
    rule: Rule
    trainings: int


FIRST_LOOKS = (
    Look("plain", "luckiest", 40),
    Look("cold", "smoothed", 13),
    Look("warm", "smoothed", 13),
    Look("plain", "smoothed", 40),
)
FURTHER_LOOKS = (
    *(Look("plain", "luckiest", trainings) for trainings in (30, 20, 13, 10)),
    *(Look(arm, "smoothed", trainings) for trainings in (10, 7, 5) for arm in ("cold", "warm")),
    *(Look("plain", "smoothed", trainings) for trainings in (30, 20)),
)
LOOKS = (*FIRST_LOOKS, *FURTHER_LOOKS)


def spec(arm: str, seed: int, source: str | None) -> dict[str, Any]:
    kind = ARMS[arm]
    return {
        "name": f"fashion-study-{arm}-{seed}",
        "task": {"name": "images", "params": dict(PARAMS)},
        "space": SPACE,
        "objective": {"metric": METRIC, "direction": "minimize"},
        "sampler": {"name": kind["sampler"], "seed": seed},
        "pruner": {"name": kind["pruner"]},
        "budget": {"parallel": 1, **kind["budget"]},
        "warm_start": kind.get("warm_start", [source]),
        "confirm": None,
    }


def source_spec(seed: int) -> dict[str, Any]:
    """The finished study of a smaller model that `warm` learns from."""
    return {
        **spec("plain", seed, None),
        "name": f"fashion-study-source-{seed}",
        "task": {"name": "images", "params": dict(SMALLER)},
        "sampler": {"name": "tpe", "seed": 1000 + seed},
        "budget": {"trials": SOURCE_TRIALS, "parallel": 1},
    }


def truth_spec(schedule: Schedule, priority: int) -> dict[str, Any]:
    """A study that trains the schedule with `TRUTH_SEEDS` seeds of its own, and nothing else."""
    seed = int(hashlib.sha256(key(schedule).encode()).hexdigest()[:7], 16)
    return {
        **spec("plain", seed, None),
        "name": f"fashion-study-truth-{seed}",
        "space": {**SPACE, "guesses": [schedule.to_dict()]},
        "objective": {"metric": METRIC, "direction": "minimize", "seeds": TRUTH_SEEDS},
        "sampler": {"name": "random", "seed": seed},
        "baseline": {"constant": False, "schedules": []},
        # A guess must leave a trial of the budget to the search, which has no steps for it then.
        "budget": {"trials": 2, "parallel": TRUTH_SEEDS, "max_steps": TRUTH_SEEDS * HORIZON},
        "priority": priority,
    }


def create(client: Client, document: Mapping[str, Any]) -> str:
    """The study's id; the same one when it is asked for again."""
    return client.create_study(dict(document), idempotency_key=str(document["name"])).study_id


def is_completed(client: Client, study_id: str) -> bool:
    """Raises LehrError for a study that ended otherwise."""
    study = client.study(study_id)
    if study.state in ("CANCELLED", "FAILED"):
        raise LehrError(f"{study.name} is {study.state}: {study.reason}")
    return study.state == "COMPLETED"


def standing(trials: Iterable[Trial], rule: Rule, trainings: int) -> tuple[Schedule, int]:
    """The answer when at most `trainings` whole trainings' worth of steps were spent, and what was spent by then."""
    spent, known = 0, []
    ended = [trial for trial in trials if trial.purpose == "search" and trial.finished_at is not None]
    for trial in sorted(ended, key=lambda trial: (trial.finished_at, trial.number)):
        if spent + steps_of(trial) > trainings * HORIZON:
            break
        spent += steps_of(trial)
        if trial.state == "COMPLETED":
            known.append(SearchTrial(trial.number, trial.schedule, trial.state, trial.value))
    chosen = best_first(known, "minimize") if rule == "luckiest" else Landscape.of(known, "minimize").finalists(1)
    return chosen[0].schedule, spent


def steps_of(trial: Trial) -> int:
    """The optimizer steps that the ledger has of a trial; a training that completed went all the way."""
    if trial.state == "COMPLETED":
        return trial.horizon_steps or 0
    return 0 if trial.step is None else trial.step + 1


def key(schedule: Schedule) -> str:
    return json.dumps(schedule.to_dict(), sort_keys=True)
