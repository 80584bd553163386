"""In which numbers a model computes, where it is asked for and the device has them.

Weights, gradients and the optimizer's state are float32 in each precision; so are the outputs.
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
"""float16 ends at 65504 and at 6e-8: gradients of a mean over a batch are small, and keep their digits when scaled."""


def use_precision(precision: PrecisionName, device: torch.device) -> None:
    """Have this process multiply float32 as the precision says. Raises InvalidValueError where the device cannot.

    One process trains one task at a time: the setting is torch's, and holds for the whole process.
    """
    if device.type not in DEVICES[precision]:
        able = ", ".join(name for name, kinds in DEVICES.items() if device.type in kinds)
        raise InvalidValueError(
            Fault(
                "task.params.precision",
                f"this worker's device does not train in {precision}",
                f"one of {able} on {device}",
                precision,
                f"Choose one of these, or have a worker with one of {', '.join(DEVICES[precision])} train this study.",
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
    """A model computed in `dtype` wherever torch deems that safe.

    Nothing in it changes from step to step, so it goes through torch.func as the model itself does.
    """

    def __init__(self, inner: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner = inner
        self.dtype = dtype

    def forward(self, inputs: Tensor) -> Tensor:
        # Each weight is used once in a pass: there is nothing to cache, and torch.func's weights live for one call.
        with torch.autocast(inputs.device.type, dtype=self.dtype, cache_enabled=False):
            if self.dtype != torch.float16:
                outputs: Tensor = self.inner(inputs)
                return outputs.float()
            # Gradients are larger by the scale inside; where they leave, at the weights, they are the true ones again.
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
