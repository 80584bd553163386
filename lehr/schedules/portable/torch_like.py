"""Exports a schedule to frameworks based on torch: the closed-form scheduler, and the code that installs it."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.schedules.base import Schedule
from lehr.schedules.families.plateau import Plateau
from lehr.schedules.portable import adaptive
from lehr.schedules.portable.torch_closed_form import torch_code

MAKE = """
def make_scheduler(optimizer):
    return LehrLR(optimizer)
"""
STEPPED = """scheduler = make_scheduler(optimizer)  # sets the rate of the first step
for batch in batches:
    ...
    {stepped}
    scheduler.step()                   # once a step, not once an epoch"""
LIGHTNING_USAGE = """def configure_optimizers(self):    # a method of your LightningModule
    optimizer = …                  # as you make it now
    return with_schedule(optimizer)"""
LIGHTNING = '''
def with_schedule(optimizer):
    """What configure_optimizers returns: your optimizer, whose rate is set once a step."""
    scheduler = {"scheduler": LehrLR(optimizer), "interval": "step", "frequency": 1}
    return {"optimizer": optimizer, "lr_scheduler": scheduler}
'''
LIGHTNING_NOTE = (
    "Let configure_optimizers end with `return with_schedule(optimizer)`, with your own optimizer. Lightning takes any"
    " torch scheduler; interval 'step' counts optimizer steps, where its default counts epochs."
)


@dataclass(frozen=True, slots=True)
class Given:
    """How a framework takes a torch scheduler: the name for the note, the call, and the usage lines."""

    subject: str
    call: str
    usage: str


TRAINER = "transformers.Trainer(…, optimizers=(optimizer, make_scheduler(optimizer)))"
INITIALIZE = "deepspeed.initialize(…, lr_scheduler=make_scheduler)"
GIVEN = {
    "torch_builtin": Given("torch", "scheduler.step()", STEPPED.format(stepped="optimizer.step()")),
    "transformers": Given("get_scheduler", TRAINER, f"trainer = {TRAINER}"),
    "timm": Given("timm", "scheduler.step()", STEPPED.format(stepped="optimizer.step()")),
    "deepspeed": Given(
        "DeepSpeed's configuration",
        INITIALIZE,
        f"engine, optimizer, _, scheduler = {INITIALIZE}\nfor batch in batches:\n    ...\n"
        "    engine.step()                      # steps the scheduler too",
    ),
}
MISSING = "{subject} has no such schedule: {reason}. The code computes the same rates from the formula; use {call}."


def formula(framework: str, schedule: Schedule, horizon_steps: int, reason: str) -> tuple[str, bool, str]:
    """The closed-form scheduler for a framework without an equivalent schedule."""
    given = GIVEN[framework]
    if isinstance(schedule, Plateau):
        code, note = adaptive.torch(schedule, horizon_steps)
        return code, True, f"{given.subject} has no such schedule: {reason}. {note}"
    note = MISSING.format(subject=given.subject, reason=reason, call=given.call)
    return torch_code(schedule, horizon_steps, given.usage) + "\n" + MAKE, True, note


def torch(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, str]:
    """The closed-form scheduler alone; for an adaptive schedule, torch's own scheduler."""
    if isinstance(schedule, Plateau):
        code, note = adaptive.torch(schedule, horizon_steps)
        return code, True, note
    note = "Each rate is computed from its step alone: to the last bit lehr's, and resumed from any step."
    return torch_code(schedule, horizon_steps) + "\n" + MAKE, True, note


def lightning(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, str]:
    """The closed-form scheduler in a LightningModule's configure_optimizers."""
    return torch_code(schedule, horizon_steps, LIGHTNING_USAGE) + "\n" + LIGHTNING, True, LIGHTNING_NOTE
