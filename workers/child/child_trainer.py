"""Trains in a separate process, and replaces the process when it may be damaged."""

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
"""How long a process may take to import its tasks and find its device; a cold network disk is slow."""

log = structlog.get_logger(__name__)


class ChildTrainer:
    """A trainer that protects the worker from training code.

    The process is kept from trial to trial, so that modules and data are loaded once. It is replaced after a failed
    training, which may leave it in any state, and after a task that left child processes running.
    """

    def __init__(
        self, settings: WorkerSettings, limits: Limits, measured: Callable[[Usage], object] | None = None
    ) -> None:
        """Starts the process, without waiting for it. `measured`: called with the training's use of its device.

        Raises InvalidValueError for checkpoint storage that cannot be used.
        """
        self._settings = settings
        self._storage = open_storage(settings.checkpoints)
        self._limits = limits
        self._measured = measured or (lambda usage: None)
        self.wanted = 1
        """How many trials the process last asked for."""
        self._process = self._start()
        self._ready: Ready | None = None

    @property
    def pid(self) -> int:
        """The id of the current process."""
        return self._process.pid

    def ready(self) -> Ready:
        """Wait until the process can train, and return its device and tasks.

        Raises InvalidValueError for settings that the machine cannot satisfy, and ProcessEndedError if the process does
        not start.
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
        """End the process."""
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
        output = self._process.output_tail()
        self._process.end()
        raise ProcessEndedError(self._process.exit_code, f"before it was ready; its last output:\n{output}")
