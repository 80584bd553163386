"""A schedule for what trains with torch: its closed-form scheduler, built in as each one wants it."""

from __future__ import annotations

from lehr.schedules.base import Schedule
from lehr.schedules.export_torch import torch_code
from lehr.schedules.plateau import Plateau
from lehr.schedules.portable import adaptive

MAKE = """
def make_scheduler(optimizer):
    return LehrLR(optimizer)
"""
LIGHTNING = '''
def configure_optimizers(self):
    """A method of your LightningModule."""
    optimizer = {optimizer}
    scheduler = {{"scheduler": LehrLR(optimizer), "interval": "step", "frequency": 1}}
    return {{"optimizer": optimizer, "lr_scheduler": scheduler}}
'''
LIGHTNING_NOTE = (
    "Lightning takes any torch scheduler; interval 'step' makes it one of optimizer steps, where its default is epochs."
    " The code computes the rates from the formula."
)
GIVEN = {
    "torch_builtin": "torch has no such scheduler: {reason}.",
    "transformers": (
        "get_scheduler has no such schedule: {reason}. Give this one to the Trainer: "
        "Trainer(…, optimizers=(optimizer, make_scheduler(optimizer)))."
    ),
    "timm": "timm has no such schedule: {reason}. Step this scheduler with step() instead of step_update(…).",
    "deepspeed": (
        "DeepSpeed's configuration has no such schedule: {reason}. Give this one to "
        "deepspeed.initialize(…, lr_scheduler=make_scheduler)."
    ),
}


def formula(framework: str, schedule: Schedule, horizon_steps: int, reason: str) -> tuple[str, bool, str]:
    """The closed-form scheduler for a framework without a counterpart."""
    if isinstance(schedule, Plateau):
        code, note = adaptive.torch(schedule, horizon_steps)
        return code, True, GIVEN[framework].format(reason=reason) + " " + note
    note = GIVEN[framework].format(reason=reason) + " The code computes the same rates from the formula."
    return torch_code(schedule, horizon_steps) + "\n" + MAKE, True, note


def torch(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, str]:
    """The closed-form scheduler by itself; of an adaptive schedule torch's own."""
    if isinstance(schedule, Plateau):
        code, note = adaptive.torch(schedule, horizon_steps)
        return code, True, note
    note = "Each rate is computed from its step alone: to the last bit lehr's, and resumed from any step."
    return torch_code(schedule, horizon_steps) + "\n" + MAKE, True, note


def lightning(schedule: Schedule, horizon_steps: int) -> tuple[str, bool, str]:
    """The closed-form scheduler in a LightningModule's configure_optimizers."""
    optimizer = f"torch.optim.AdamW(self.parameters(), lr={schedule.start_lr!r})"
    if schedule.momentum_levels is not None:
        optimizer = (
            f"torch.optim.SGD(self.parameters(), lr={schedule.start_lr!r}, momentum={schedule.momentum_levels.first!r})"
        )
    code = torch_code(schedule, horizon_steps) + "\n" + LIGHTNING.format(optimizer=optimizer)
    return code, True, LIGHTNING_NOTE
