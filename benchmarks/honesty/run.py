"""Is the answer right? Studies over real trainings whose truth is known: bias, coverage, regret, false verdicts.

    python benchmarks/honesty/run.py --bank DIR [--studies 80] [--trials 40] [--top 5] [--seeds 5] [--output FILE]

The bank (see `bank.py`) holds 480 schedules, each trained with 80 seeds. A study searches it with lehr's TPE: what the
sampler suggests is trained as the nearest schedule of the bank that the study has not had. Then lehr's own plan of a
confirmation runs on the bank's values, and is compared with the usual practice: a search of as many trainings as
search and confirmation took together, whose best trial is believed.

The truth of a stated value is the schedule's mean over all seeds that had no part in its choice; regrets are
of means over all 80. Copies: the answer's schedule against itself on other seeds, which lehr is to call a tie.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.honesty.bank import FAMILIES, SEEDS, SPACE, Bank, Entry, load
from lehr.schedules import Schedule
from service.answer.finalists import SearchTrial, loss
from service.answer.plan import Plan
from service.answer.statistics import paired_gain, summarise
from service.search.observations import Observation
from service.search.searcher import Searcher
from service.search.sequence import to_unit

METRICS: dict[str, Literal["maximize", "minimize"]] = {"accuracy": "maximize", "loss": "minimize"}


@dataclass(frozen=True)
class World:
    """One metric of one bank. `values`: (schedules, seeds), NaN where a run diverged."""

    bank: Bank
    metric: str

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return METRICS[self.metric]

    @cached_property
    def values(self) -> np.ndarray:
        return self.bank.values[self.metric]

    @cached_property
    def truth(self) -> np.ndarray:
        """Mean losses; of a schedule that diverged with any seed the worst of all."""
        losses = self.values if self.direction == "minimize" else -self.values
        means = losses.mean(1)
        found: np.ndarray = np.where(np.isnan(means), np.nanmax(losses), means)
        return found

    @cached_property
    def schedules(self) -> list[Schedule]:
        return [SPACE.schedule(entry.family, entry.point) for entry in self.bank.entries]

    @cached_property
    def units(self) -> list[np.ndarray]:
        return [_unit(entry) for entry in self.bank.entries]

    @cached_property
    def members(self) -> dict[str, list[int]]:
        families = [entry.family for entry in self.bank.entries]
        return {family: [index for index, name in enumerate(families) if name == family] for family in FAMILIES}

    def value(self, index: int, seed: int) -> float | None:
        value = float(self.values[index, seed])
        return value if np.isfinite(value) else None


@dataclass
class Tally:
    """What the studies came to. Errors are stated minus true, turned so that positive is too good."""

    ours: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    our_regret: list[float] = field(default_factory=list)
    naive_regret: list[float] = field(default_factory=list)
    spent: list[int] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)


def search(world: World, trials: int, bank_seed: int, sampler_seed: int) -> list[int]:
    """Which schedules of the bank a TPE search of so many trials comes to train."""
    searcher = Searcher(SPACE, world.direction, "tpe", sampler_seed, trials_budget=trials)
    trained: list[int] = []
    for number in range(trials):
        suggestion = searcher.ask(number)
        family = suggestion.schedule.family
        wanted = _unit(Entry(family, suggestion.point))
        free = [index for index in world.members[family] if index not in trained]
        index = min(free, key=lambda each: float(((world.units[each] - wanted) ** 2).sum()))
        trained.append(index)
        value = world.value(index, bank_seed)
        state: Literal["COMPLETED", "DIVERGED"] = "DIVERGED" if value is None else "COMPLETED"
        searcher.tell(Observation(number, family, world.bank.entries[index].point, state, value))
    return trained


def confirm(
    world: World, trained: list[int], bank_seed: int, generator: np.random.Generator, *, top: int, seeds: int
) -> tuple[Plan, dict[int, dict[int, float]], dict[int, int], int]:
    """Lehr's confirmation of a search: its plan when over, losses by trial and seed, seeds of the bank, runs."""
    trials = []
    for number, index in enumerate(trained):
        value = world.value(index, bank_seed)
        state: Literal["COMPLETED", "DIVERGED"] = "DIVERGED" if value is None else "COMPLETED"
        trials.append(SearchTrial(number, world.schedules[index], state, value))
    plan = Plan.of(trials, world.direction, top=top, seeds=seeds, search_seed=bank_seed)
    fresh = iter([int(seed) for seed in generator.permutation(SEEDS) if seed != bank_seed])
    places: dict[int, int] = {}
    losses: dict[int, dict[int, float]] = {}
    broken: set[int] = set()
    spent = 0
    while True:
        plan, runs = plan.next(losses, broken)
        if not runs:
            return plan, losses, places, spent
        spent += len(runs)
        for run in runs:
            if run.seed not in places:
                places[run.seed] = next(fresh)
            value = world.value(trained[run.number], places[run.seed])
            if value is None:
                broken.add(run.number)
            else:
                losses.setdefault(run.number, {})[run.seed] = loss(value, world.direction)


def study(world: World, tally: Tally, number: int, arguments: argparse.Namespace) -> None:
    generator = np.random.default_rng([number, 7])
    bank_seed = number % SEEDS
    trained = search(world, arguments.trials, bank_seed, number)
    plan, losses, places, spent = confirm(
        world, trained, bank_seed, generator, top=arguments.top, seeds=arguments.seeds
    )
    assert plan.answer is not None
    answer = trained[plan.answer]
    stated = summarise([losses[plan.answer][seed] for seed in plan.final_seeds if seed in losses[plan.answer]])
    assert stated is not None
    assert stated.ci95 is not None
    sign = 1.0 if world.direction == "minimize" else -1.0
    unseen = [seed for seed in range(SEEDS) if seed not in (bank_seed, *(places[each] for each in plan.race_seeds))]
    truth = float(np.nanmean(sign * world.values[answer, unseen]))
    tally.ours.append(truth - stated.mean)
    tally.held.append(stated.ci95[0] <= truth <= stated.ci95[1])
    tally.our_regret.append(float(world.truth[answer] - world.truth.min()))
    tally.spent.append(spent)
    if plan.baseline is not None:
        final = set(plan.final_seeds)
        mine, base = ({s: v for s, v in losses[each].items() if s in final} for each in (plan.answer, plan.baseline))
        gain = paired_gain(mine, base, "minimize")
        tally.verdicts.append(gain.verdict if gain else "tie")
    _naive(world, tally, number, arguments.trials + spent)
    for _ in range(10):
        seeds = generator.permutation(SEEDS)[: 2 * arguments.seeds]
        one, other = (dict(enumerate(world.values[answer, part])) for part in np.split(seeds, 2))
        copy = paired_gain(one, other, world.direction)
        tally.copies.append(copy.verdict if copy else "tie")


def _naive(world: World, tally: Tally, number: int, trials: int) -> None:
    bank_seed = number % SEEDS
    trained = search(world, trials, bank_seed, number)
    sign = 1.0 if world.direction == "minimize" else -1.0
    best = min(trained, key=lambda index: float(np.nan_to_num(sign * world.values[index, bank_seed], nan=np.inf)))
    others = [seed for seed in range(SEEDS) if seed != bank_seed]
    truth = float(np.nanmean(sign * world.values[best, others]))
    tally.naive.append(truth - sign * float(world.values[best, bank_seed]))
    tally.naive_regret.append(float(world.truth[best] - world.truth.min()))


def _unit(entry: Entry) -> np.ndarray:
    """The entry's point in the unit cube of its family."""
    return np.array(
        [
            each.choices.index(entry.point[each.name]) / max(1, len(each.choices) - 1)
            if each.kind == "choice"
            else to_unit(each, entry.point[each.name])
            for each in SPACE.coordinates(entry.family)
        ]
    )


def _row(name: str, tally: Tally) -> str:
    error = np.std(tally.ours, ddof=1) / np.sqrt(len(tally.ours))
    bias, optimism = float(np.mean(tally.ours)), float(np.mean(tally.naive))
    regret, usual = float(np.mean(tally.our_regret)), float(np.mean(tally.naive_regret))
    verdicts = " / ".join(str(tally.verdicts.count(each)) for each in ("better", "tie", "worse"))
    cells = [
        name,
        f"{len(tally.ours)}",
        f"{np.mean(tally.spent):.1f}",
        f"{optimism:.4f}",
        f"{bias:+.5f} ± {error:.5f}",
        f"{abs(bias) / optimism:.2f}",
        f"{np.mean(tally.held):.1%}",
        f"{usual:.4f}",
        f"{regret:.4f}",
        f"{regret / usual:.2f}",
        f"{tally.copies.count('better') / len(tally.copies):.1%}",
        verdicts,
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    for name, default in (("--studies", 80), ("--trials", 40), ("--top", 5), ("--seeds", 5)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    asked = f"{arguments.studies} studies of {arguments.trials} trials, confirm top {arguments.top}"
    lines = [
        f"{datetime.datetime.now(datetime.UTC).date()}, {platform.machine()}, CPU only, "
        f"Python {platform.python_version()}, "
        f"numpy {version('numpy')}, scipy {version('scipy')}, optuna {version('optuna')}. "
        f"{asked}, seeds {arguments.seeds}.",
        "",
        "| trainings | studies | confirmation's runs | naive optimism | bias of the stated value | of the optimism "
        "| 95% interval holds the truth | naive regret, same budget | regret | ratio "
        "| copies called better | better / tie / worse |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for problem in ("digits", "fashion"):
        if not (arguments.bank / problem).exists():
            continue
        bank = load(arguments.bank, problem)
        for metric in METRICS:
            tally = Tally()
            world = World(bank, metric)
            for number in range(arguments.studies):
                study(world, tally, number, arguments)
            lines.append(_row(f"{problem}, {metric}", tally))
            print(lines[-1], flush=True)
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
