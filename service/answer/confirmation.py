"""The confirmed results of the answer and of the schedules that it is compared with, on fresh seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lehr.wire.objectives import Constraint, ConstraintStanding
from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.answer.constraints import MetricMeans, standings
from service.answer.finalists import SearchTrial
from service.answer.statistics import PairedGain, Summary, paired_gain, summarise


@dataclass(frozen=True, slots=True)
class ConfirmRun:
    """One training on a fresh seed. `value`: None unless COMPLETED. `measured`: None without constraints."""

    seed: int
    state: TrialState
    value: float | None
    measured: MetricMeans | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A search trial with its confirmation runs. FAILED, CANCELLED and unfinished runs are ignored."""

    trial: SearchTrial
    runs: tuple[ConfirmRun, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def standings(self) -> list[ConstraintStanding]:
        """Whether it keeps each constraint, by the mean of its COMPLETED runs. Empty without such a run."""
        runs = [run.measured or {} for run in self.runs if run.state == "COMPLETED"]
        return standings(self.constraints, runs) if runs else []

    @property
    def is_broken(self) -> bool:
        """Whether it breaks a constraint by these means."""
        return not all(standing.satisfied for standing in self.standings)

    @property
    def values(self) -> dict[int, float]:
        """The COMPLETED runs' values by seed."""
        return {run.seed: run.value for run in self.runs if run.state == "COMPLETED" and run.value is not None}

    @property
    def diverged(self) -> int:
        """How many runs diverged."""
        return sum(run.state == "DIVERGED" for run in self.runs)

    @property
    def summary(self) -> Summary | None:
        values = self.values
        return summarise([values[seed] for seed in sorted(values)])


def gain_over(answer: Confirmed, other: Confirmed, direction: Direction) -> PairedGain | None:
    """The answer's paired gain over another schedule; exactly zero and a tie if they are the same.

    A schedule with diverged runs is never called better than one without, because its mean leaves those runs out. Nor
    is a schedule that breaks the constraints called better than one that keeps them.
    """
    gain = paired_gain(answer.values, other.values, direction)
    if gain is None:
        return None
    wrong, other_wrong = (bool(confirmed.diverged) or confirmed.is_broken for confirmed in (answer, other))
    if wrong == other_wrong:
        return gain
    forbidden = "better" if wrong else "worse"
    return replace(gain, verdict="tie") if gain.verdict == forbidden else gain
