"""Mixed precision, where it is asked for and the device has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lehr.errors import Fault, InvalidValueError
from workers.tasks.params import PrecisionName


class MixedPrecision(nn.Module):
    """A model computed in bfloat16 on CUDA; its weights and its outputs stay float32."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            outputs: Tensor = self.inner(inputs)
        return outputs.float()


def with_precision(model: nn.Module, precision: PrecisionName) -> nn.Module:
    return MixedPrecision(model) if precision == "bfloat16" else model


def check_precision(precision: PrecisionName, device: torch.device) -> None:
    """Raises InvalidValueError where the device does not have it."""
    if precision == "bfloat16" and device.type != "cuda":
        raise InvalidValueError(
            Fault(
                "task.params.precision",
                "this worker's device trains in float32 only",
                "bfloat16 on CUDA",
                f"bfloat16 on {device}",
                "Leave it out, or have a worker with a CUDA device train this study.",
            )
        )
