"""`ScriptClient`: gets trials from the server for a training script."""

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
"""How long the server holds a claim without work, and so how soon a study finished by others is noticed."""

log = logging.getLogger("lehr.script")

HorizonSteps = SupportsIndex | Callable[[Mapping[str, Any]], SupportsIndex]


class ScriptClient:
    """A training script's connection to a lehr server. Any number of processes may share a study.

    `url`: the server URL, without `/v1`. `device`: the device to show in lists of workers. `leads_all_ranks`: this
    process is rank 0 of a distributed training and sends each trial to the other ranks; without it, a `WORLD_SIZE`
    above 1 raises InvalidValueError.

    As a context manager, it ends a trial that is still open: an exception fails the trial and propagates; Ctrl-C and
    `sys.exit` release the trial for another attempt.
    """

    def __init__(self, url: str = DEFAULT_URL, *, device: str = "script", leads_all_ranks: bool = False) -> None:
        require_one_asker(leads_all_ranks=leads_all_ranks)
        self._url = url
        # Retries are done here, without a limit.
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
        """Release a trial that is still open, and close the connections. The client cannot be used afterwards."""
        self.__exit__(None, None, None)

    def _leave(self, error: BaseException | None = None) -> None:
        """End a trial that is still open because the script left the loop over trials."""
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
        """Iterate over the study's trials until it has finished. Requesting the next trial ends the previous one.

        `study`: an existing study, its id, or a spec. All processes that pass the same spec share one study; to search
        again, change its name.
        `horizon_steps`: optimizer steps of a full training, or a function of the study's parameters that returns them.
        `metrics`, `params_schema`: the metrics that the script reports, and the JSON Schema of its parameters; the
        server validates later studies of the task against them.
        `folds`: whether the script holds out each trial's `fold` of its data; required for studies with folds.

        Raises UnreachableError if the server does not respond to the first call; later calls are retried without a
        limit. Raises InvalidValueError if the horizon is less than one step.
        """
        posted = self._find(study)
        task = posted.spec["task"]
        steps = horizon_steps(task["params"]) if callable(horizon_steps) else horizon_steps
        whole = require_whole("horizon_steps", steps, 1, MAX_HORIZON_STEPS, "Set the length of a training in steps.")
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
                # An exception in the loop closes this generator first. Only the client's __exit__ gets the exception.
                if not self._is_entered:
                    self._leave()
                raise
            trial.end()

    def _find(self, study: Study | StudySpec | Mapping[str, Any] | str) -> Study:
        if isinstance(study, Study):
            return study
        # With limited retries, since the first call shows whether the URL is right.
        with Client(self._url) as client:
            if isinstance(study, str):
                return client.study(study)
            document = study.model_dump(mode="json") if isinstance(study, StudySpec) else dict(study)
            digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
            return client.create_study(study, idempotency_key=f"script-{digest[:32]}")

    def _next_lease(self, study_id: str, offer: TaskOffer) -> Lease | None:
        """The next lease; None once the study has finished."""
        never = threading.Event()
        worker = WorkerInfo(
            id=self._worker_id, name=f"{socket.gethostname()}/{os.getpid()}", device=self._device, tasks=[offer]
        )
        wait_seconds = 0.0
        while True:
            claim = Claim(worker=worker, study=study_id, wait_seconds=wait_seconds)
            # One key for all retries: a claim whose response was lost returns the same lease.
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
    """The steps of a trial over a fraction of the horizon (halves round up)."""
    return max(1, math.floor(whole * fraction + 0.5))
