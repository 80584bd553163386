"""Compares the steps that plain TPE and lehr spend in whole studies of Fashion-MNIST through the service.

    python -m benchmarks.fashion_study.run --data DIR [--studies 10] [--output benchmarks/fashion_study/results.md]

Server and workers are processes, as `lehr up` starts them; every training is a trial of the ledger. For each seed three
studies search the same space. `plain` is TPE alone with 40 trials. `cold` has a third of the steps, the sampler
`surrogate`, the pruner `phases`, common defaults as first trials, and stops when it has converged. `warm` has also
learnt from a finished study of a smaller model. The answers that a study has had on its way are then trained with 20
fresh seeds: their mean is the true quality. Steps are those of the ledger. If interrupted, run the same command again.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.fashion_study.report import Course, report
from benchmarks.fashion_study.studies import (
    ARMS,
    FIRST_LOOKS,
    FIRST_SEED,
    FURTHER_LOOKS,
    LOOKS,
    TRUTH_PRIORITY,
    Look,
    create,
    is_completed,
    key,
    source_spec,
    spec,
    standing,
    steps_of,
    truth_spec,
)
from lehr.cli.commands.up import running
from lehr.cli.local.supervisor import Plan, Supervisor
from lehr.client import Client

LOOK_SECONDS = 1.0
TRIALS_A_LEASE = "8"


class Runner:
    """Posts studies, waits for them, and remembers which study measures which schedule."""

    def __init__(self, client: Client, fleet: Supervisor) -> None:
        self._client = client
        self._fleet = fleet
        self._truths: dict[str, str] = {}

    def search(self, seeds: Sequence[int]) -> list[list[Course]]:
        """By seed: its searches. The last answers of each seed are measured as soon as they are there."""
        sources = {seed: create(self._client, source_spec(seed)) for seed in seeds}
        ids = {(arm, seed): self._created(arm, seed, None) for seed in seeds for arm in ARMS if arm != "warm"}
        found: dict[int, list[Course]] = {}
        while len(found) < len(seeds):
            self._fleet.tick()
            for seed in (seed for seed in seeds if seed not in found):
                if ("warm", seed) not in ids and is_completed(self._client, sources[seed]):
                    ids["warm", seed] = self._created("warm", seed, sources[seed])
                own = {arm: ids[arm, seed] for arm in ARMS if (arm, seed) in ids}
                if len(own) == len(ARMS) and all(is_completed(self._client, one) for one in own.values()):
                    found[seed] = [self._course(arm, seed, study_id) for arm, study_id in own.items()]
                    self.measure(found[seed], FIRST_LOOKS, TRUTH_PRIORITY)
                    print(f"seed {seed} searched", flush=True)
            time.sleep(LOOK_SECONDS)
        return [found[seed] for seed in seeds]

    def _created(self, arm: str, seed: int, source: str | None) -> str:
        return create(self._client, spec(arm, seed, source))

    def measure(self, courses: Sequence[Course], looks: Sequence[Look], priority: int) -> None:
        """Have the answers at these looks trained with fresh seeds, unless that was asked for before."""
        wanted = [course.answers[look] for course in courses for look in looks if look in course.answers]
        for one in wanted:
            if key(one) not in self._truths:
                self._truths[key(one)] = create(self._client, truth_spec(one, priority))

    def truths(self) -> dict[str, float]:
        """Each measured schedule's mean loss, once they have all been measured; infinite where a training diverged."""
        ids = set(self._truths.values())
        self._await(ids)
        trials = [trial for one in ids for trial in self._client.trials(one, purpose="search")]
        return {key(trial.schedule): math.inf if trial.value is None else trial.value for trial in trials}

    def _course(self, arm: str, seed: int, study_id: str) -> Course:
        trials = list(self._client.trials(study_id, purpose="search"))
        found = {look: standing(trials, look.rule, look.trainings) for look in LOOKS if look.arm == arm}
        return Course(
            arm=arm,
            seed=seed,
            answers={look: schedule for look, (schedule, _) in found.items()},
            spent={look: steps for look, (_, steps) in found.items()},
            steps=sum(map(steps_of, trials)),
            states=Counter(trial.state for trial in trials),
            reason=self._client.study(study_id).reason or "",
        )

    def _await(self, study_ids: Iterable[str]) -> None:
        waiting = list(study_ids)
        while waiting:
            self._fleet.tick()
            waiting = [one for one in waiting if not is_completed(self._client, one)]
            if waiting:
                time.sleep(LOOK_SECONDS)


def main() -> None:
    arguments = _arguments()
    # As an operator would: a search gives one trial at a time, but the measurement of a truth gives many at once.
    os.environ.setdefault("LEHR_TRIALS_PER_LEASE", TRIALS_A_LEASE)
    with running(arguments.data, Plan("127.0.0.1", 0, arguments.workers)) as fleet, Client(fleet.url) as client:
        runner = Runner(client, fleet)
        courses = runner.search(range(arguments.first_seed, arguments.first_seed + arguments.studies))
        if not arguments.last_only:
            for each in courses:
                runner.measure(each, FURTHER_LOOKS, TRUTH_PRIORITY - 1)
        lines = report([course for each in courses for course in each], runner.truths())
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("lehr-data/fashion_study"), help="kept, to go on from")
    parser.add_argument("--studies", type=int, default=10, help="of each kind")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the studies; the others follow it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--last-only", action="store_true", help="measure the last answers alone")
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
