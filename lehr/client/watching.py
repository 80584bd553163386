"""The polling logic of `wait`, shared by the synchronous and the asyncio client."""

from __future__ import annotations

from collections.abc import Callable

from lehr.errors import LehrError
from lehr.wire.studies import FINISHED_STUDY_STATES, Study

OnChange = Callable[[Study], object]


class WaitTimeoutError(LehrError, TimeoutError):
    """The study did not finish in time. It keeps running; call wait again to see its end."""

    def __init__(self, study: Study, timeout_seconds: float) -> None:
        super().__init__(
            f"Study {study.study_id} is {study.state} after {timeout_seconds:g} s "
            f"({study.progress.finished} of {study.progress.planned} trainings done). "
            "It keeps running; call wait again to see its end."
        )
        self.study = study


class Watch:
    """Tracks the polled state of a study. It reads no clock: `now_seconds` is passed in, from any fixed start."""

    def __init__(self, on_change: OnChange | None, timeout_seconds: float | None, started_seconds: float) -> None:
        self._on_change = on_change
        self._timeout_seconds = timeout_seconds
        self._started_seconds = started_seconds
        self._seen: tuple[int, str] | None = None

    def see(self, study: Study, now_seconds: float) -> bool:
        """Whether the study has finished. Calls `on_change` if it changed since the last poll.

        Raises WaitTimeoutError after the timeout.
        """
        seen = (study.revision, study.state)
        if seen != self._seen:
            self._seen = seen
            if self._on_change is not None:
                self._on_change(study)
        if study.state in FINISHED_STUDY_STATES:
            return True
        if self._timeout_seconds is not None and now_seconds - self._started_seconds >= self._timeout_seconds:
            raise WaitTimeoutError(study, self._timeout_seconds)
        return False

    def pause_seconds(self, poll_seconds: float, now_seconds: float) -> float:
        """How long to wait before the next poll, but not past the timeout."""
        if self._timeout_seconds is None:
            return poll_seconds
        return max(0.0, min(poll_seconds, self._started_seconds + self._timeout_seconds - now_seconds))
