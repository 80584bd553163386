"""Where a training script gets its trials from."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, SupportsIndex

from lehr.client import Client
from lehr.client.exchange import DEFAULT_URL
from lehr.client.retries import keep_trying
from lehr.schedules.sampling import MAX_HORIZON_STEPS, require_whole
from lehr.script.ranks import require_one_asker
from lehr.script.trial import ScriptTrial
from lehr.wire.leases import Claim, Lease, TaskOffer, WorkerInfo
from lehr.wire.studies import FINISHED_STUDY_STATES, Study, StudySpec

CLAIM_WAIT_SECONDS = 2.0
"""How long the server holds a claim when there is no work: how soon a study that others finish is noticed."""

log = logging.getLogger("lehr.script")

HorizonSteps = SupportsIndex | Callable[[Mapping[str, Any]], SupportsIndex]


class ScriptClient:
    """A training script's connection to a lehr server. Any number of processes may share a study.

    `url`: of the server, without `/v1`. `device`: what the script trains on, for people to see. `leads_all_ranks`: this
    is rank 0 of several processes for one training, and sends the others what each trial is; without it, a process with
    a `WORLD_SIZE` above 1 is refused with InvalidValueError.

    As a context manager it ends a trial that is still open: an exception is the trial's failure, and
    goes on to the script's end; Ctrl-C and `sys.exit` give the trial back.
    """

    def __init__(self, url: str = DEFAULT_URL, *, device: str = "script", leads_all_ranks: bool = False) -> None:
        require_one_asker(leads_all_ranks=leads_all_ranks)
        self._url = url
        # Calls are repeated here, for as long as it takes.
        self._client = Client(url, retry=None)
        self._worker_id = f"s-{uuid.uuid4().hex[:12]}"
        self._device = device
        self._trial: ScriptTrial | None = None
        self._is_entered = False

    def __enter__(self) -> Self:
        self._is_entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._leave(error)
        finally:
            self._client.close()

    def close(self) -> None:
        """Give back a trial that is still open, and let the connections go. The client is of no use afterwards."""
        self.__exit__(None, None, None)

    def _leave(self, error: BaseException | None = None) -> None:
        """End a trial that is still open: the script went on without having asked for the next one."""
        if self._trial is not None:
            self._trial.end(error or GeneratorExit())

    def trials(
        self,
        study: Study | StudySpec | Mapping[str, Any] | str,
        *,
        horizon_steps: HorizonSteps,
        metrics: Sequence[str] | None = None,
        params_schema: Mapping[str, Any] | None = None,
        folds: bool = False,
    ) -> Iterator[ScriptTrial]:
        """The study's trials for as long as it has any, one after the other; the one before ends as the next is asked.

        `study`: one that was posted, its id, or what to post. What is posted here is one study for all processes that
        ask for the same; to search again, change its name.
        `horizon_steps`: optimizer steps of a whole training, or a function of the study's parameters that tells.
        `metrics`, `params_schema`: what the script reports, and the JSON Schema of its parameters; the server checks
        later studies of the task against them.
        `folds`: the script holds out each trial's `fold` of its data; without it studies with folds are refused.

        Raises UnreachableError when the server does not answer at first; later it is waited for. Raises
        InvalidValueError for a horizon without a step.
        """
        posted = self._find(study)
        task = posted.spec["task"]
        steps = horizon_steps(task["params"]) if callable(horizon_steps) else horizon_steps
        whole = require_whole("horizon_steps", steps, 1, MAX_HORIZON_STEPS, "Give a training's length in steps.")
        offer = TaskOffer.model_validate(
            {
                "name": task["name"],
                "params_schema": params_schema,
                "metrics": metrics and list(metrics),
                "folds": folds,
            }
        )
        self._leave()
        while (lease := self._next_lease(posted.study_id, offer)) is not None:
            leased = lease.trials[0]
            steps = leased.horizon_steps or _share(whole, leased.horizon_fraction)
            trial = self._trial = ScriptTrial(self._client, lease, steps)
            try:
                yield trial
            except GeneratorExit:
                # An exception in the loop closes this first. What it was, only the client's own block hears.
                if not self._is_entered:
                    self._leave()
                raise
            trial.end()

    def _find(self, study: Study | StudySpec | Mapping[str, Any] | str) -> Study:
        if isinstance(study, Study):
            return study
        # Patient for a while only: the first call shows whether the URL is right.
        with Client(self._url) as client:
            if isinstance(study, str):
                return client.study(study)
            document = study.model_dump(mode="json") if isinstance(study, StudySpec) else dict(study)
            digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
            return client.create_study(study, idempotency_key=f"script-{digest[:32]}")

    def _next_lease(self, study_id: str, offer: TaskOffer) -> Lease | None:
        """None when the study has finished."""
        never = threading.Event()
        worker = WorkerInfo(
            id=self._worker_id, name=f"{socket.gethostname()}/{os.getpid()}", device=self._device, tasks=[offer]
        )
        wait_seconds = 0.0
        while True:
            claim = Claim(worker=worker, study=study_id, wait_seconds=wait_seconds)
            # One key for all repetitions: a claim whose answer was lost gets the same lease again.
            lease = keep_trying(partial(self._client.claim, claim, idempotency_key=uuid.uuid4().hex), never)
            if lease is not None:
                return lease
            study = keep_trying(partial(self._client.study, study_id), never)
            if study.state == "FAILED":
                log.error("study %s failed: %s", study_id, study.reason)
            if study.state in FINISHED_STUDY_STATES:
                return None
            wait_seconds = CLAIM_WAIT_SECONDS


def _share(whole: int, fraction: float) -> int:
    """Steps of a trial over a part of the horizon (halves round up)."""
    return max(1, math.floor(whole * fraction + 0.5))
