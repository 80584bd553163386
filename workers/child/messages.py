"""The messages between the worker and its training process, over a pipe."""

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
    """To the process, once: its settings."""

    settings: WorkerSettings


@dataclass(frozen=True, slots=True)
class Train:
    """To the process: train these trials."""

    study: LeasedStudy
    trials: tuple[LeasedTrial, ...]


@dataclass(frozen=True, slots=True)
class AddTrials:
    """To the process, while it trains: train these trials of the same study too."""

    trials: tuple[LeasedTrial, ...]


@dataclass(frozen=True, slots=True)
class ServerUpdate:
    """To the process: the server's latest directives. `acknowledged`: the number of acknowledged reports by trial."""

    directives: Mapping[str, Directive] = field(default_factory=dict)
    acknowledged: Mapping[str, int] = field(default_factory=dict)
    draining: bool = False


Order = Setup | Train | AddTrials | ServerUpdate


@dataclass(frozen=True, slots=True)
class Ready:
    """From the process: it can train, on this device and with these tasks."""

    device: str
    offers: tuple[TaskOffer, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """From the process: the machine cannot satisfy the settings."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Started:
    trial: str
    execution: Execution


@dataclass(frozen=True, slots=True)
class Explained:
    """From the process: a correction of the execution that `Started` gave."""

    trial: str
    execution: Execution


@dataclass(frozen=True, slots=True)
class Opened:
    trial: str
    horizon_steps: int
    data: DataSummary | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """From the process: reports by trial. A cohort sends one message, since each costs both sides a thread switch."""

    reports: Mapping[str, Sequence[Report]]


@dataclass(frozen=True, slots=True)
class Capacity:
    """From the process: it has, or soon will have, `places` for more trials of the study.

    `arrived`: the number of added trials that it has received since `Train`. If the worker has sent more than that,
    some of the places are already taken.
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
    """From the process, periodically: the number of steps done by trial. Sent only if there are new steps."""

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
    """From the process: these trials ended together."""

    endings: tuple[Ended, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """From the process: it has finished its trials. `wanted`: the number of trials that the next lease should have."""

    wanted: int


News = Ready | Refused | Started | Explained | Opened | Reported | Capacity | Saved | AllEnded | Pulse | Logged | Idle
