"""Checks the answer in studies over real trainings with known truth: bias, coverage, regret, false verdicts.

    python benchmarks/honesty/run.py --bank DIR [--studies 80] [--trials 40] [--top 8] [--seeds 4] [--output FILE]

The bank (see `bank.py`) has 480 schedules, each trained with 80 seeds. A study searches it with lehr's TPE, with a
different seed for each trial: each proposal is replaced by the nearest schedule of the bank that the study has not had.
Then lehr's own confirmation plan runs on the bank's values. It is compared with the usual practice: a search with as
many trainings as search and confirmation took together, all with one seed, whose best trial is the answer; and with the
same with a different seed for each training, as in lehr's own search.

The truth of a reported value is the schedule's mean over all seeds but the one it was found with and those of the race;
regrets are of means over all 80. Copies: the answer's schedule against itself on other seeds, which should be a tie.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.honesty.bank import FAMILIES, SEEDS, SPACE, Bank, Entry, load
from benchmarks.setting import setting
from lehr.schedules import Schedule
from service.answer.finalists import SearchTrial
from service.answer.plan import Plan
from service.answer.statistics import paired_gain, summarise
from service.search.observations import Observation, as_loss
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


@dataclass(frozen=True)
class Trained:
    """A schedule of the bank, and the seed that the search trained it with."""

    index: int
    seed: int


@dataclass
class Tally:
    """What the studies came to. Errors are stated minus true, turned so that positive is too good."""

    ours: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    our_regret: list[float] = field(default_factory=list)
    naive_regret: list[float] = field(default_factory=list)
    fresh_regret: list[float] = field(default_factory=list)
    baseline_regret: list[float] = field(default_factory=list)
    spent: list[int] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)


def search(world: World, trials: int, seeds: Sequence[int], sampler_seed: int) -> Iterator[Trained]:
    """The schedules of the bank that a TPE search of so many trials comes to train; it may go on for longer."""
    searcher = Searcher(SPACE, world.direction, "tpe", sampler_seed, trials_budget=trials)
    known: set[int] = set()
    for number in count():
        suggestion = searcher.ask(number)
        family = suggestion.schedule.family
        wanted = _unit(Entry(family, suggestion.point))
        free = [index for index in world.members[family] if index not in known]
        index = min(free, key=lambda each: float(((world.units[each] - wanted) ** 2).sum()))
        known.add(index)
        trained = Trained(index, seeds[number % len(seeds)])
        value = world.value(index, trained.seed)
        searcher.tell(Observation(number, family, world.bank.entries[index].point, _state(value), value))
        yield trained


def confirm(
    world: World, trained: Sequence[Trained], fresh: Sequence[int], *, top: int, seeds: int
) -> tuple[Plan, dict[int, dict[int, float]], dict[int, int], int]:
    """Lehr's confirmation of a search: its plan when over, losses by trial and seed, seeds of the bank, runs."""
    trials = []
    for number, each in enumerate(trained):
        value = world.value(each.index, each.seed)
        trials.append(SearchTrial(number, world.schedules[each.index], _state(value), value))
    plan = Plan.of(trials, world.direction, SPACE, top=top, seeds=seeds, search_seed=0)
    left = iter(fresh)
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
                places[run.seed] = next(left)
            value = world.value(trained[run.number].index, places[run.seed])
            if value is None:
                broken.add(run.number)
            else:
                losses.setdefault(run.number, {})[run.seed] = as_loss(value, world.direction)


def study(world: World, tally: Tally, number: int, arguments: argparse.Namespace) -> None:
    generator = np.random.default_rng([number, 7])
    seeds = [int(seed) for seed in generator.permutation(SEEDS)]
    going_on = search(world, arguments.trials, seeds, number)
    trained = list(islice(going_on, arguments.trials))
    fresh = seeds[arguments.trials :]
    plan, losses, places, spent = confirm(world, trained, fresh, top=arguments.top, seeds=arguments.seeds)
    assert plan.answer is not None
    answer, own_seed = trained[plan.answer].index, trained[plan.answer].seed
    stated = summarise([losses[plan.answer][seed] for seed in plan.final_seeds if seed in losses[plan.answer]])
    assert stated is not None
    assert stated.ci95 is not None
    sign = 1.0 if world.direction == "minimize" else -1.0
    unseen = [seed for seed in range(SEEDS) if seed not in (own_seed, *(places[each] for each in plan.race_seeds))]
    truth = float(np.nanmean(sign * world.values[answer, unseen]))
    tally.ours.append(truth - stated.mean)
    tally.held.append(stated.ci95[0] <= truth <= stated.ci95[1])
    tally.our_regret.append(float(world.truth[answer] - world.truth.min()))
    tally.spent.append(spent)
    if plan.baseline is not None:
        least = float(world.truth[world.members["constant"]].min())
        tally.baseline_regret.append(float(world.truth[trained[plan.baseline].index]) - least)
        final = set(plan.final_seeds)
        mine, base = ({s: v for s, v in losses[each].items() if s in final} for each in (plan.answer, plan.baseline))
        gain = paired_gain(mine, base, "minimize")
        tally.verdicts.append(gain.verdict if gain else "tie")
    usual = search(world, arguments.trials + spent, [number % SEEDS], number)
    _naive(world, tally, list(islice(usual, arguments.trials + spent)))
    best = min([*trained, *islice(going_on, spent)], key=lambda each: _loss(world, each))
    tally.fresh_regret.append(float(world.truth[best.index] - world.truth.min()))
    tally.copies += [_copies(world, answer, generator.permutation(SEEDS)[: 2 * arguments.seeds]) for _ in range(10)]


def _copies(world: World, index: int, seeds: np.ndarray) -> str:
    """The verdict on a schedule against itself, on two halves of the seeds."""
    one, other = (dict(enumerate(world.values[index, part])) for part in np.split(seeds, 2))
    found = paired_gain(one, other, world.direction)
    return found.verdict if found else "tie"


def _naive(world: World, tally: Tally, trained: Sequence[Trained]) -> None:
    """The usual practice; all were trained with one seed."""
    best = min(trained, key=lambda each: _loss(world, each))
    sign = 1.0 if world.direction == "minimize" else -1.0
    others = [seed for seed in range(SEEDS) if seed != best.seed]
    truth = float(np.nanmean(sign * world.values[best.index, others]))
    tally.naive.append(truth - _loss(world, best))
    tally.naive_regret.append(float(world.truth[best.index] - world.truth.min()))


def _loss(world: World, trained: Trained) -> float:
    return as_loss(world.value(trained.index, trained.seed), world.direction)


def _state(value: float | None) -> Literal["COMPLETED", "DIVERGED"]:
    return "DIVERGED" if value is None else "COMPLETED"


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
        f"{np.mean(tally.fresh_regret):.4f}",
        f"{tally.copies.count('better') / len(tally.copies):.1%}",
        verdicts,
        f"{np.mean(tally.baseline_regret):.4f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    for name, default in (("--studies", 80), ("--trials", 40), ("--top", 8), ("--seeds", 4)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    asked = f"{arguments.studies} studies of {arguments.trials} trials, confirm top {arguments.top}"
    lines = [
        f"{setting('numpy', 'scipy', 'optuna')}. {asked}, seeds {arguments.seeds}.",
        "",
        "| trainings | studies | confirmation's runs | naive optimism | bias of the stated value | of the optimism "
        "| 95% interval holds the truth | naive regret, same budget | regret | ratio | naive regret, a seed each "
        "| copies called better | better / tie / worse | regret of the baseline among constants |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
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
