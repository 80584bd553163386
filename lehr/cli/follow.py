"""Polls a study until it finishes, also through server restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from lehr.client import Client
from lehr.errors import ServerError, UnreachableError
from lehr.wire.studies import FINISHED_STUDY_STATES, Study
from lehr.wire.trials import FINISHED_TRIAL_STATES, Trial

POLL_SECONDS = 0.5
LONGEST_POLL_SECONDS = 3.0
FIRST_TRIALS = 20
SERVER_FAILURE = 500


@dataclass(frozen=True, slots=True)
class Sighting:
    """The latest known state of a study, and the trials that finished since the previous poll.

    `silent_seconds`: how long the server has not responded; None if it just did.
    """

    study: Study
    finished: tuple[Trial, ...]
    silent_seconds: float | None = None

    @property
    def is_last(self) -> bool:
        return self.silent_seconds is None and self.study.state in FINISHED_STUDY_STATES


def follow(client: Client, study_id: str, *, between: Callable[[], object] = lambda: None) -> Iterator[Sighting]:
    """Yield sightings until the study has finished; `between` is called before each poll.

    Raises UnreachableError only if the server was never reached.
    """
    seen: Sighting | None = None
    silent_since = 0.0
    pause = POLL_SECONDS
    while seen is None or not seen.is_last:
        between()
        try:
            seen = _poll(client, study_id, seen)
            pause = POLL_SECONDS
            silent_since = 0.0
        except (UnreachableError, ServerError) as error:
            if seen is None or (isinstance(error, ServerError) and error.status < SERVER_FAILURE):
                raise
            silent_since = silent_since or time.monotonic()
            seen = Sighting(seen.study, (), time.monotonic() - silent_since)
            pause = min(LONGEST_POLL_SECONDS, 1.5 * pause)
        yield seen
        if not seen.is_last:
            time.sleep(pause)


def _poll(client: Client, study_id: str, before: Sighting | None) -> Sighting:
    study = client.study(study_id)
    if before is None:
        # The study is read first, so that changes between the two calls show up in the next poll.
        trials = list(islice(client.trials(study_id, order="-number", page_size=FIRST_TRIALS), FIRST_TRIALS))
    elif study.revision == before.study.revision:
        return Sighting(study, ())
    else:
        trials = list(client.trials(study_id, after=before.study.revision))
    finished = [trial for trial in trials if trial.state in FINISHED_TRIAL_STATES and trial.revision <= study.revision]
    return Sighting(study, tuple(sorted(finished, key=lambda trial: trial.revision)))
