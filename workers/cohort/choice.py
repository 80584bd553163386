"""The choice of how a task's trials train on a device, with its measurements, and a cache of choices."""

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
"""Minimum speed-up of a cohort over solo training, since a cohort delays its first result."""
WORTH_A_PROCESS = 1.2
"""Minimum speed-up of several processes over one, since each holds its own data and device context."""

VERSION = 1
"""Version of the probe; measurements of other versions are ignored."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """How to train a task's trials.

    `size`: trials in a cohort, 1 for solo training. `reason`: why, for users. `epoch_seconds`: measured duration of an
    epoch, by cohort size, with 0 for solo training. `processes`: concurrent processes on the device, each training one
    trial. `processes_seconds`: measured duration of an epoch, by the number of processes.
    """

    size: int
    reason: str
    epoch_seconds: dict[int, float] = field(default_factory=dict)
    processes: int = 1
    processes_seconds: dict[int, float] = field(default_factory=dict)

    @property
    def fuses_one(self) -> bool:
        """Whether a single trial trains faster as a cohort of one, whose steps are replayed, than solo."""
        alone, one = self.epoch_seconds.get(0), self.epoch_seconds.get(1)
        return alone is not None and one is not None and one * WORTH <= alone

    def size_of(self, trials: int) -> int:
        """How many of `trials` trials to train together: the fastest measured size that they fill."""
        if trials >= self.size or not self.epoch_seconds:
            return min(self.size, max(1, trials))
        sizes = [size for size in self.epoch_seconds if size <= trials]
        return max(1, min(sizes, key=lambda size: self.epoch_seconds[size] / max(1, size), default=1))

    def execution(self, together: int) -> Execution:
        """The execution to report for trials that train in a cohort of `together`; 1 for a single trial."""
        # Sizes 0 and 1 share the key "1". The faster of them comes later, and so overwrites the other.
        entries = sorted(self.epoch_seconds.items(), key=lambda entry: (entry[0] == 1) == self.fuses_one)
        seconds = {str(max(1, size)): value for size, value in entries}
        mode: Literal["solo", "cohort"] = "solo" if together == 1 and not self.fuses_one else "cohort"
        left_over = "no other trial was available; " if together == 1 < self.size else ""
        return Execution(
            mode=mode,
            together=together,
            reason=left_over + self.reason,
            epoch_seconds=seconds,
            processes=self.processes,
            processes_seconds={str(count): value for count, value in self.processes_seconds.items()},
        )

    def with_processes(self, seconds: dict[int, float]) -> Choice:
        """This choice of solo training with the fastest number of processes. `seconds`: of an epoch, by number."""
        speeds = {count: count / value for count, value in seconds.items()}
        best = max(speeds, key=lambda count: speeds[count])
        gain = speeds[best] / speeds[1]
        if best > 1 and gain >= WORTH_A_PROCESS:
            reason = f"{self.reason}; {best} processes at once are {gain:.2f} times as fast as one"
            return replace(self, reason=reason, processes=best, processes_seconds=seconds)
        most = max(seconds)
        detail = f"; {most} processes at once reach {speeds[most] / speeds[1]:.2f} of the speed of one"
        return replace(self, reason=self.reason + (detail if most > 1 else ""), processes_seconds=seconds)

    def halved(self) -> Choice:
        """This choice with half the size, after the cohort did not fit into memory."""
        seconds = self.epoch_seconds if self.size > 1 else {}
        return Choice(max(1, self.size // 2), f"{self.size} together did not fit into memory", seconds)

    def with_remark(self, remark: str) -> Choice:
        """This choice with a remark added to its reason."""
        return self if remark in self.reason else replace(self, reason=f"{self.reason}; {remark}"[:500])


class ChoiceCache:
    """Choices by task, device and version of torch, one file each, in a folder that several workers may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: dict[str, Any]) -> Choice | None:
        """The cached choice; None if there is none or it cannot be read."""
        try:
            document = json.loads(self._path(key).read_text(encoding="utf-8"))
            epoch_seconds, processes_seconds = (
                {int(count): float(value) for count, value in document.get(name, {}).items()}
                for name in ("epoch_seconds", "processes_seconds")
            )
            return Choice(
                int(document["size"]),
                str(document["reason"]),
                epoch_seconds,
                int(document.get("processes", 1)),
                processes_seconds,
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("choice_ignored", path=str(self._path(key)), error=str(error))
            return None

    def store(self, key: dict[str, Any], choice: Choice) -> None:
        """Cache a choice. If the folder cannot be written, the only harm is that every process measures again."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=".choice.", dir=path.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({**asdict(choice), "key": key}, file, indent=1)
            os.replace(temporary, path)
        except OSError as error:
            log.warning("choice_not_kept", path=str(path), error=str(error))

    def _path(self, key: dict[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps([VERSION, key], sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest[:32]}.json"
