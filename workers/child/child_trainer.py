"""Trains in a process of its own, which is kept while it is sound and replaced when it is not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import structlog

from lehr.errors import InvalidValueError
from lehr.wire.leases import LeasedStudy, LeasedTrial
from workers.checkpoints.generations import discard
from workers.checkpoints.storage import open_storage
from workers.child.messages import Ready, Refused, Setup
from workers.child.process import TrainingProcess
from workers.child.session import Limits, Session
from workers.monitor.trial_progress import Usage
from workers.settings import WorkerSettings
from workers.trainer import TrialChannel
from workers.training.failures import ProcessEndedError

START_SECONDS = 300.0
"""How long a process may take to import its tasks and find its device: a cold network disk is slow."""

log = structlog.get_logger(__name__)


class ChildTrainer:
    """A trainer that no training code can harm.

    The process stays from trial to trial, so that imports and data are paid for once. One whose training failed is
    replaced, since nobody knows what it left behind; so is one that left processes of its own.
    """

    def __init__(
        self, settings: WorkerSettings, limits: Limits, measured: Callable[[Usage], object] | None = None
    ) -> None:
        """Starts the process, which gets ready meanwhile. `measured`: is told what training has of its device.

        Raises InvalidValueError for a place that cannot be used.
        """
        self._settings = settings
        self._storage = open_storage(settings.checkpoints)
        self._limits = limits
        self._measured = measured or (lambda usage: None)
        self.wanted = 1
        """What the process said last that it would train together."""
        self._process = self._start()
        self._ready: Ready | None = None

    @property
    def pid(self) -> int:
        """Of the process as it is now."""
        return self._process.pid

    def ready(self) -> Ready:
        """Waits until the process can train; what it found.

        Raises InvalidValueError when the settings ask for what is not there, ProcessEndedError when it does not start.
        """
        if self._ready is None:
            self._ready = self._await_ready()
        return self._ready

    def train(self, study: LeasedStudy, trials: Sequence[LeasedTrial], channel: TrialChannel) -> None:
        waiting = deque([tuple(trials)])
        while waiting and not channel.draining:
            self.ready()
            trials = waiting.popleft()
            session = Session(
                self._process, study, trials, channel=channel, limits=self._limits, measured=self._measured
            )
            waiting.extendleft(reversed(session.complete()))
            self.wanted = session.wanted
            if not session.is_sound:
                self._replace()

    def discard(self, trial: LeasedTrial) -> None:
        try:
            discard(self._storage, trial.trial, trial.checkpoint)
        except OSError as error:
            log.warning("checkpoint_kept", trial=trial.trial, error=str(error))

    def close(self) -> None:
        """The worker ends."""
        self._process.end()

    def _start(self) -> TrainingProcess:
        process = TrainingProcess(verbose=self._settings.log_level == "debug")
        process.send(Setup(self._settings))
        return process

    def _replace(self) -> None:
        self._process.end()
        self._process, self._ready = self._start(), None
        log.info("training_process_replaced")

    def _await_ready(self) -> Ready:
        match self._process.receive(START_SECONDS):
            case Ready() as ready:
                return ready
            case Refused(faults):
                raise InvalidValueError(faults)
        words = self._process.last_words()
        self._process.end()
        raise ProcessEndedError(self._process.exit_code, f"before it was ready; it wrote:\n{words}")
