"""Rescales the best schedule of a study for another horizon, batch size or width."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lehr.errors import Fault, InvalidValueError
from lehr.schedules import Schedule
from lehr.schedules.portable import torch_code
from lehr.wire.transfer import Rescaling, Transfer, TransferRequest
from service.parts import Make, directly
from service.transfer.origin import Setting
from service.transfer.rescaled import rescaled
from service.transfer.rules import (
    ADAPTIVE,
    BATCH,
    HORIZON,
    WIDTH,
    Rule,
    default_batch_rule,
    default_horizon_rule,
    mup_groups,
)

FAR = 8.0
"""Most rules have not been tested for changes by more than this factor, in either direction."""


def require_target(request: TransferRequest) -> None:
    """Raises InvalidValueError if the request has no target."""
    if request.horizon_steps is request.batch_size is request.width is None:
        bound = "horizon_steps, batch_size or width"
        raise InvalidValueError(Fault("", "has no target to transfer to", bound, None, "Set at least one of them."))


def transfer(
    study_id: str,
    trial: int,
    schedule: Schedule,
    known: Setting,
    request: TransferRequest,
    *,
    make: Make = directly,
) -> Transfer:
    """Multiply every rate by each rule's factor, and stretch the shape over the new horizon.

    A larger batch needs fewer steps for the same number of epochs, so the horizon follows the batch size unless the
    request sets one. The horizon's rule compares examples seen, not steps, so that no change counts twice.
    """
    horizon = request.horizon_steps or _steps_for_equal_epochs(known, request)
    changes = [*_batch(known, request), *_horizon(known, request, horizon), *_width(known, request)]
    factor = math.prod(change.factor for change in changes)
    moved = rescaled(schedule, factor)
    groups, no_code = {}, dict[str, str]()
    if request.width is not None and known.width is not None and request.width_rule == "mup":
        groups = mup_groups(known.optimizer, request.width / known.width)
    return Transfer(
        study_id=study_id,
        trial=trial,
        origin=schedule,
        schedule=moved,
        horizon_steps=horizon,
        factor=factor,
        rescalings=changes,
        groups=groups,
        cautions=list(_cautions(known, request, changes)),
        code=make("code", lambda: {} if moved.adaptive else {"torch": torch_code(moved, horizon)}, no_code),
    )


def _steps_for_equal_epochs(known: Setting, request: TransferRequest) -> int:
    if request.batch_size is None or known.batch_size is None:
        return known.horizon_steps
    return max(1, math.ceil(known.horizon_steps * known.batch_size / request.batch_size))


def _batch(known: Setting, request: TransferRequest) -> Iterator[Rescaling]:
    if request.batch_size is not None and known.batch_size is not None:
        name = request.batch_rule or default_batch_rule(known.optimizer)
        ratio = request.batch_size / known.batch_size
        yield _rescaling("batch_size", known.batch_size, request.batch_size, name, rule=BATCH[name], ratio=ratio)


def _horizon(known: Setting, request: TransferRequest, horizon: int) -> Iterator[Rescaling]:
    if request.horizon_steps is not None:
        name = request.horizon_rule or default_horizon_rule(known.optimizer)
        batches = (request.batch_size / known.batch_size) if request.batch_size and known.batch_size else 1.0
        ratio = horizon / known.horizon_steps * batches
        yield _rescaling("horizon_steps", known.horizon_steps, horizon, name, rule=HORIZON[name], ratio=ratio)


def _width(known: Setting, request: TransferRequest) -> Iterator[Rescaling]:
    if request.width is not None and known.width is not None:
        name = request.width_rule or "standard"
        ratio = request.width / known.width
        change = _rescaling("width", known.width, request.width, name, rule=WIDTH[name], ratio=ratio)
        hidden = mup_groups(known.optimizer, ratio)["hidden"] if name == "mup" else change.factor
        yield change.model_copy(update={"factor": hidden})


def _rescaling(dimension: str, origin: int, target: int, name: str, *, rule: Rule, ratio: float) -> Rescaling:
    return Rescaling.model_validate(
        {
            "dimension": dimension,
            "origin": origin,
            "target": target,
            "rule": name,
            "factor": rule.factor(ratio),
            "formula": rule.formula,
            "source": rule.source,
            "rests_on": rule.rests_on,
        }
    )


def _cautions(known: Setting, request: TransferRequest, changes: list[Rescaling]) -> Iterator[str]:
    for change in changes:
        if not 1 / FAR <= change.target / change.origin <= FAR:
            times = change.target / change.origin
            yield f"{change.dimension} changes by a factor of {times:.3g}: confirm the rate by a short search around it"
        if change.rule == "square_root" and known.optimizer in ADAPTIVE:
            ratio = change.target / change.origin
            yield (
                f"the rule also multiplies 1 - beta1 and 1 - beta2 by {ratio:.3g} (while they stay below 1) "
                f"and epsilon by {ratio**-0.5:.3g}"
            )
    if request.width is not None and request.width_rule == "mup":
        yield "schedule has the rates of hidden weights; groups has each group's factor for the original rates"
