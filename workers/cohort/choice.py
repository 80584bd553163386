"""How a task's trials are trained on a device: alone or so many together, and what was measured."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import structlog

from lehr.wire.trials import Execution

WORTH = 1.1
"""A cohort must be so many times as fast as the trials alone: a cohort delays its first result."""
WORTH_A_PROCESS = 1.2
"""Processes must be so many times as fast as one: each holds the data, and a context of the device, of its own."""

VERSION = 1
"""Of the probe: what another version measured counts for nothing."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """`size`: trials at once, 1 for alone. `reason`: why, for people. `epoch_seconds`: measured, by the number of
    trials together: what an epoch of all of them takes; 0 stands for a trial alone. `processes`: on the device at once,
    each with a trial alone. `processes_seconds`: by their number, what an epoch of one trial in each takes.
    """

    size: int
    reason: str
    epoch_seconds: dict[int, float] = field(default_factory=dict)
    processes: int = 1
    processes_seconds: dict[int, float] = field(default_factory=dict)

    @property
    def fuses_one(self) -> bool:
        """A trial that trains alone does so fastest as a cohort of one, whose steps are replayed."""
        alone, one = self.epoch_seconds.get(0), self.epoch_seconds.get(1)
        return alone is not None and one is not None and one * WORTH <= alone

    def size_of(self, trials: int) -> int:
        """How many of so many trials to train at once: of the sizes that were measured, the fastest that they fill."""
        if trials >= self.size or not self.epoch_seconds:
            return min(self.size, max(1, trials))
        sizes = [size for size in self.epoch_seconds if size <= trials]
        return max(1, min(sizes, key=lambda size: self.epoch_seconds[size] / max(1, size), default=1))

    def execution(self, together: int) -> Execution:
        """What to tell of a trial that is trained so, `together` with others or, where 1, alone."""
        # The slower way to train one comes first, and gives way to the one that is taken.
        ways = sorted(self.epoch_seconds.items(), key=lambda way: (way[0] == 1) == self.fuses_one)
        seconds = {str(max(1, size)): value for size, value in ways}
        mode: Literal["solo", "cohort"] = "solo" if together == 1 and not self.fuses_one else "cohort"
        left_over = "no other trial was at hand; " if together == 1 < self.size else ""
        return Execution(
            mode=mode,
            together=together,
            reason=left_over + self.reason,
            epoch_seconds=seconds,
            processes=self.processes,
            processes_seconds={str(count): value for count, value in self.processes_seconds.items()},
        )

    def beside(self, seconds: dict[int, float]) -> Choice:
        """The same of trials alone once it is known, by the number of processes at once, what an epoch takes."""
        speeds = {count: count / value for count, value in seconds.items()}
        best = max(speeds, key=lambda count: speeds[count])
        gain = speeds[best] / speeds[1]
        if best > 1 and gain >= WORTH_A_PROCESS:
            reason = f"{self.reason}; {best} processes at once are {gain:.2f} times as fast as one"
            return replace(self, reason=reason, processes=best, processes_seconds=seconds)
        most = max(seconds)
        told = f"; {most} processes at once reach {speeds[most] / speeds[1]:.2f} of one's speed" if most > 1 else ""
        return replace(self, reason=self.reason + told, processes_seconds=seconds)

    def halved(self) -> Choice:
        """After the device's memory did not suffice."""
        seconds = self.epoch_seconds if self.size > 1 else {}
        return Choice(max(1, self.size // 2), f"{self.size} together did not fit into memory", seconds)

    def noted(self, words: str) -> Choice:
        """The same, and something to tell besides."""
        return self if words in self.reason else replace(self, reason=f"{self.reason}; {words}"[:500])


class ChoiceCache:
    """Choices by task, device and torch, a file each, in a folder that several workers may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: dict[str, Any]) -> Choice | None:
        """None for what was never measured, or cannot be read."""
        try:
            found = json.loads(self._path(key).read_text(encoding="utf-8"))
            together, beside = (
                {int(count): float(value) for count, value in found.get(name, {}).items()}
                for name in ("epoch_seconds", "processes_seconds")
            )
            return Choice(int(found["size"]), str(found["reason"]), together, int(found.get("processes", 1)), beside)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("choice_ignored", path=str(self._path(key)), error=str(error))
            return None

    def store(self, key: dict[str, Any], choice: Choice) -> None:
        """A folder that cannot be written costs a probe in every process, and nothing else."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, beside = tempfile.mkstemp(prefix=".choice.", dir=path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({**asdict(choice), "key": key}, file, indent=1)
            os.replace(beside, path)
        except OSError as error:
            log.warning("choice_not_kept", path=str(path), error=str(error))

    def _path(self, key: dict[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps([VERSION, key], sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest[:32]}.json"
