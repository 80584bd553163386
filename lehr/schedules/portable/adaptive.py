"""Exports an adaptive schedule as code: torch's ReduceLROnPlateau, with any warm-up before it."""

from __future__ import annotations

import keyword

from lehr.schedules.families.plateau import Plateau
from lehr.schedules.portable.closed_form import RATIOS, arguments_text, set_rates, times_ratios
from lehr.schedules.portable.torch_closed_form import rise_function

HEADER = '''"""The plateau schedule: {rates}, lower whenever {metric} has stopped improving.

{usage}
"""
'''
USAGE = """    scheduler = make_scheduler(optimizer)  # sets the optimizer's rate too
    for epoch in range(epochs):
        ...                                # one epoch of training, and its evaluation
        scheduler.step({metric})           # once an evaluation, not once a step"""
WARMUP_USAGE = """    scheduler = make_scheduler(optimizer)  # sets the rate of the first step
    for epoch in range(epochs):
        for batch in batches:
            ...
            optimizer.step()
            scheduler.step()               # once a step: it warms up over {warmup} of {horizon}
        scheduler.evaluated({metric})      # once an evaluation"""
PLAIN = """{ratios}

def make_scheduler(optimizer):
{rates}    return lr_scheduler.ReduceLROnPlateau(optimizer, {arguments})
"""
WARMED = '''{ratios}

class LehrLR:
    """Sets the rate: the warm-up's, then the one that ReduceLROnPlateau has come to.

    The parameter group with the highest rate gets it. The others keep the ratios of their rates to it.
    """

    def __init__(self, optimizer):
        self.optimizer, self.last_epoch, self.ratios = optimizer, 0, ratios_of(optimizer)
        self._holder = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr={top!r})
        self.plateau = lr_scheduler.ReduceLROnPlateau(self._holder, {arguments})
        self._set()

    def step(self):
        """The optimizer has done a step."""
        self.last_epoch += 1
        self._set()

    def evaluated(self, metric):
        """The metric was measured."""
        self.plateau.step(metric)
        self._set()

    def get_last_lr(self):
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        lr = self._holder.param_groups[0]["lr"]
        return {{"last_epoch": self.last_epoch, "lr": lr, "plateau": self.plateau.state_dict()}}

    def load_state_dict(self, state_dict):
        self.last_epoch = state_dict["last_epoch"]
        self._holder.param_groups[0]["lr"] = state_dict["lr"]
        self.plateau.load_state_dict(state_dict["plateau"])
        self._set()

    def _set(self):
        warm = warmup_lr_at(self.last_epoch)
        rate = self._holder.param_groups[0]["lr"] if warm is None else warm
        for group, ratio in zip(self.optimizer.param_groups, self.ratios):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio


def make_scheduler(optimizer):
    return LehrLR(optimizer)
'''
NOTE = "torch's own ReduceLROnPlateau: step it with {metric} at each evaluation. No rate is known before the training."
WARMUP_NOTE = (
    "A warm-up by steps, then torch's own ReduceLROnPlateau: call evaluated({metric}) at each evaluation. After the "
    "warm-up no rate is known before the training."
)


def torch(plateau: Plateau, horizon_steps: int) -> tuple[str, str]:
    """The code and a note. The warm-up is a fraction of `horizon_steps`."""
    metric = _variable(plateau.metric)
    given = reduce_arguments(plateau)
    top, rates = plateau.levels.top, f"{plateau.levels.top!r} and down to {plateau.end_lr!r}"
    if plateau.rise_fraction == 0:
        header = HEADER.format(rates=rates, metric=_in_docstring(plateau.metric), usage=USAGE.format(metric=metric))
        arguments = arguments_text({**given, "min_lr": times_ratios(plateau.end_lr)})
        made = PLAIN.format(ratios=RATIOS, rates=set_rates(top), arguments=arguments)
        code = f"{header}\nfrom torch.optim import lr_scheduler\n\n\n{made}"
        return code, NOTE.format(metric=plateau.metric)
    usage = WARMUP_USAGE.format(metric=metric, warmup=plateau.rise_fraction, horizon=horizon_steps)
    rates = f"from {plateau.start_lr!r} to {rates}"
    header = HEADER.format(rates=rates, metric=_in_docstring(plateau.metric), usage=usage)
    imports = "import math\n\nimport torch\nfrom torch.optim import lr_scheduler\n\n"
    made = WARMED.format(ratios=RATIOS, top=top, arguments=arguments_text(given))
    parts = [header, imports, rise_function(plateau, horizon_steps), made]
    return "\n".join(parts), WARMUP_NOTE.format(metric=plateau.metric)


def reduce_arguments(plateau: Plateau) -> dict[str, object]:
    """The arguments of torch's ReduceLROnPlateau."""
    return {
        "mode": "min" if plateau.direction == "minimize" else "max",
        "factor": plateau.factor,
        "patience": plateau.patience,
        "threshold": plateau.threshold,
        "threshold_mode": "rel" if plateau.threshold_mode == "relative" else "abs",
        "cooldown": plateau.cooldown,
        "min_lr": plateau.end_lr,
        "eps": plateau.least_drop,
    }


def _variable(metric: str) -> str:
    """The metric's name if it is a valid variable name, else `metric`."""
    return metric if metric.isidentifier() and not keyword.iskeyword(metric) else "metric"


def _in_docstring(metric: str) -> str:
    """The metric's name, escaped for a docstring."""
    return metric.replace("\\", "\\\\").replace('"', '\\"')
