"""After kill -9 of a cohort, the attempts together report the same as an uninterrupted cohort."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from lehr.schedules import schedule_from_dict
from lehr.wire.leases import LeasedStudy, LeasedTrial, Report
from tests.unit.workers.checkpoints.killed import attempt_together
from tests.unit.workers.checkpoints.test_killed import PRELOADED
from tests.unit.workers.cohort.cohorts import Curve, Trial, a_task, distance, together

KILLS = 6
CYCLE = {"start_lr": 0.01, "peak_lr": 0.05, "base_momentum": 0.8, "max_momentum": 0.95}
SCHEDULES: list[dict[str, Any]] = [
    {"family": "cosine", "start_lr": 0.05, "end_lr": 0.001},
    {"family": "one_cycle", "end_lr": 1e-4, **CYCLE},
    {"family": "plateau", "start_lr": 0.05, "end_lr": 1e-4, "patience": 0},
]
FRACTIONS = (1.0, 0.5, 1.0)
PARAMS = {"epochs": 6, "batch_size": 32, "dropout": 0.3, "hidden": 16, "clip_norm": 1.0}
NAMES = ("a", "b", "c")


def leased(place: int) -> LeasedTrial:
    keys = {"trial": NAMES[place], "number": place, "attempt": 1, "purpose": "search", "seed": place}
    more = {"schedule": SCHEDULES[place], "horizon_fraction": FRACTIONS[place], "checkpoint": None}
    return LeasedTrial.model_validate(keys | more)


def killed(params: dict[str, Any], kills: list[tuple[int, str | None]], folder: Path) -> dict[str, dict[int, Report]]:
    """All reports by trial and step; for steps that were trained again, the last report."""
    study = LeasedStudy(
        study_id="s",
        task={"name": "tabular", "params": params},
        objective={"metric": "val_loss", "direction": "minimize"},
    )
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    endings = []
    for last_step, last_save in [*kills, (10**9, None)]:
        order = (study, [leased(place) for place in range(3)], folder, last_step, last_save)
        process = context.Process(target=attempt_together, args=order)
        process.start()
        process.join(60)
        endings.append(process.exitcode)
        process.close()
    assert endings == [-signal.SIGKILL] * len(kills) + [0]
    notes = [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]
    assert sum("saved" in note for note in notes) >= len(kills), "it went on from checkpoints"
    assert {note["trial"] for note in notes if note.get("state") == "COMPLETED"} == set(NAMES)
    told: dict[str, dict[int, Report]] = {name: {} for name in NAMES}
    for note in notes:
        if "report" in note:
            told[note["trial"]][note["report"]["step"]] = Report.model_validate(note["report"])
    return told


def curves(told: dict[str, dict[int, Report]]) -> list[Curve]:
    return [[told[name][step] for step in sorted(told[name])] for name in NAMES]


def uninterrupted(params: dict[str, Any]) -> list[Curve]:
    trials = [
        Trial(schedule_from_dict(schedule), seed, fraction)
        for seed, (schedule, fraction) in enumerate(zip(SCHEDULES, FRACTIONS, strict=True))
    ]
    return together(a_task("tabular", params), trials)


@pytest.mark.parametrize("optimizer", ["nesterov", "adamw"])
def test_a_cohort_killed_between_steps_equals_one_that_never_was_to_the_last_bit(
    optimizer: str, tmp_path: Path
) -> None:
    params = {**PARAMS, "optimizer": optimizer}
    expected = uninterrupted(params)
    # Before the shortest trial ends, because here, without a server, its checkpoint is not deleted.
    steps = sorted(random.Random(optimizer).sample(range(1, expected[1][-1].step + 1), KILLS))
    print("killed after steps", steps)
    assert curves(killed(params, [(step, None) for step in steps], tmp_path)) == expected


def test_a_cohort_killed_while_it_saves_goes_on_in_parts_and_gives_the_same_curves(tmp_path: Path) -> None:
    # Killed after saving the first member, then the first of those left, so that they resume at different steps, apart.
    found = curves(killed(PARAMS, [(1, "a"), (1, "b")], tmp_path))
    assert [distance(one, other) for one, other in zip(uninterrupted(PARAMS), found, strict=True)] == [
        pytest.approx(0, abs=2e-5)
    ] * 3
