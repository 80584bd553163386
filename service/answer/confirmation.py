"""What the finalists did on fresh seeds, and who won."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lehr.wire.studies import Direction
from lehr.wire.trials import TrialState
from service.answer.finalists import SearchTrial, loss
from service.answer.statistics import PairedGain, Summary, paired_gain, summarise


@dataclass(frozen=True, slots=True)
class ConfirmRun:
    """One training of a finalist on a fresh seed. `value` None unless COMPLETED."""

    seed: int
    state: TrialState
    value: float | None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A finalist with its runs. FAILED, CANCELLED and unfinished runs count for nothing."""

    trial: SearchTrial
    runs: tuple[ConfirmRun, ...]

    @property
    def values(self) -> dict[int, float]:
        """The COMPLETED runs' values by seed."""
        return {run.seed: run.value for run in self.runs if run.state == "COMPLETED" and run.value is not None}

    @property
    def diverged(self) -> bool:
        return any(run.state == "DIVERGED" for run in self.runs)

    @property
    def summary(self) -> Summary | None:
        values = self.values
        return summarise([values[seed] for seed in sorted(values)])


def choose_winner(confirmed: Sequence[Confirmed], direction: Direction) -> Confirmed | None:
    """The finalist with the best confirmed mean; None when no run of any completed.

    A schedule that diverged on any seed loses to every one that did not, whatever its mean:
    its mean leaves out the runs that went wrong. Ties go to the better search value, then
    to the lower number.
    """

    def rank(finalist: Confirmed) -> tuple[bool, float, float, int]:
        summary = finalist.summary
        mean = loss(summary.mean if summary else None, direction)
        return finalist.diverged, mean, loss(finalist.trial.value, direction), finalist.trial.number

    return min((finalist for finalist in confirmed if finalist.values), key=rank, default=None)


def gain_over(winner: Confirmed, baseline: Confirmed, direction: Direction) -> PairedGain | None:
    """The winner's paired gain; exactly zero and a tie when the winner is the baseline."""
    return paired_gain(winner.values, baseline.values, direction)
