"""Numeric precisions of a model's computation: fp32, tf32, bf16 and fp16.

Weights, gradients, optimizer state and outputs are float32 in every precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lehr.errors import Fault, InvalidValueError
from workers.tasks.params import PrecisionName

DEVICES: Mapping[PrecisionName, tuple[str, ...]] = {
    "fp32": ("cpu", "cuda", "mps"),
    "tf32": ("cuda",),
    "bf16": ("cpu", "cuda"),
    "fp16": ("cpu", "cuda"),
}
MIXED: Mapping[PrecisionName, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
_CUDNN: Any = torch.backends.cudnn
FP16_SCALE = 1024.0
"""The range of float16 is 6e-8 to 65504. Gradients of a mean over a batch are small, and scaling keeps their digits."""


def use_precision(precision: PrecisionName, device: torch.device) -> None:
    """Set the precision of float32 products. Raises InvalidValueError if the device does not support it.

    The setting holds for the whole process, which trains one task at a time.
    """
    if device.type not in DEVICES[precision]:
        supported = ", ".join(name for name, kinds in DEVICES.items() if device.type in kinds)
        raise InvalidValueError(
            Fault(
                "task.params.precision",
                f"this worker's device does not support {precision}",
                f"one of {supported} on {device}",
                precision,
                f"Choose one of these, or train this study on a worker with one of {', '.join(DEVICES[precision])}.",
            )
        )
    if device.type == "cuda":
        kind = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cuda.matmul.fp32_precision = kind
        # torch's own default for convolutions is tf32.
        _CUDNN.conv.fp32_precision = kind


def with_precision(model: nn.Module, precision: PrecisionName) -> nn.Module:
    return MixedPrecision(model, MIXED[precision]) if precision in MIXED else model


class MixedPrecision(nn.Module):
    """A model computed in `dtype` by torch's autocast, that is, where torch considers it safe.

    It has no state that changes from step to step, so it works with torch.func.
    """

    def __init__(self, inner: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner = inner
        self.dtype = dtype

    def forward(self, inputs: Tensor) -> Tensor:
        # No cache: each weight is used once in a pass, and the weights that torch.func passes live for one call only.
        with torch.autocast(inputs.device.type, dtype=self.dtype, cache_enabled=False):
            if self.dtype != torch.float16:
                outputs: Tensor = self.inner(inputs)
                return outputs.float()
            # Inside, gradients are multiplied by the scale; at the weights they are divided by it again.
            weights = {name: _scaled(weight, 1 / FP16_SCALE) for name, weight in self.inner.named_parameters()}
            outputs = functional_call(self.inner, weights, (inputs,))
        return _scaled(outputs.float(), FP16_SCALE)


class _ScaledGradient(torch.autograd.Function):
    """The identity; the gradient is multiplied by `factor`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(tensor: Tensor, factor: float) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def _scaled(tensor: Tensor, factor: float) -> Tensor:
    scaled: Tensor = _ScaledGradient.apply(tensor, factor)  # type: ignore[no-untyped-call]
    return scaled
