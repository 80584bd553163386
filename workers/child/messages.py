"""What the worker and its training process tell each other, over a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lehr.errors import Fault
from lehr.wire.data import DataSummary
from lehr.wire.leases import Directive, LeasedStudy, LeasedTrial, Report, TaskOffer
from lehr.wire.trials import Execution
from workers.monitor.trial_progress import Usage
from workers.settings import WorkerSettings
from workers.trainer import Outcome


@dataclass(frozen=True, slots=True)
class Setup:
    """To the process, once: what it is to be."""

    settings: WorkerSettings


@dataclass(frozen=True, slots=True)
class Train:
    """To the process: train these."""

    study: LeasedStudy
    trials: tuple[LeasedTrial, ...]


@dataclass(frozen=True, slots=True)
class AddTrials:
    """To the process, while it trains: train these of the same study too."""

    trials: tuple[LeasedTrial, ...]


@dataclass(frozen=True, slots=True)
class ServerUpdate:
    """To the process: what the server said last. `acknowledged`: how many of a trial's reports it has."""

    directives: Mapping[str, Directive] = field(default_factory=dict)
    acknowledged: Mapping[str, int] = field(default_factory=dict)
    draining: bool = False


Order = Setup | Train | AddTrials | ServerUpdate


@dataclass(frozen=True, slots=True)
class Ready:
    """From the process: it has the device and the tasks it was asked for."""

    device: str
    offers: tuple[TaskOffer, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """From the process: the settings ask for what is not there."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Started:
    trial: str
    execution: Execution


@dataclass(frozen=True, slots=True)
class Explained:
    """From the process: it trains the trial in another way than it said when it started."""

    trial: str
    execution: Execution


@dataclass(frozen=True, slots=True)
class Opened:
    trial: str
    horizon_steps: int
    data: DataSummary | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """From the process: reports by trial. One message for a cohort: each one costs both ends a change of threads."""

    reports: Mapping[str, Sequence[Report]]


@dataclass(frozen=True, slots=True)
class Capacity:
    """From the process: so many more trials of the study find room, or soon will. `arrived`: how many it has heard of
    since it began with this lease; who has sent it more than that knows that some of the places are taken.
    """

    places: int
    arrived: int


@dataclass(frozen=True, slots=True)
class Saved:
    trial: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Ended:
    trial: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Pulse:
    """From the process, every now and then: how many steps of each trial are done. Sent when one was done since."""

    steps: Mapping[str, int]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Logged:
    """From the process: a line for the worker's log."""

    level: str
    event: str
    keys: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AllEnded:
    """From the process: these ended at once."""

    endings: tuple[Ended, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """From the process: it is done with what it was given, and waits. `wanted`: for how many trials."""

    wanted: int


News = Ready | Refused | Started | Explained | Opened | Reported | Capacity | Saved | AllEnded | Pulse | Logged | Idle
