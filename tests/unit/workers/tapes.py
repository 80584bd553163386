"""What a step does, operation by operation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

HOST_READS = {"aten::_local_scalar_dense", "aten::item", "aten::equal", "aten::is_nonzero"}
HOST_WRITES = {"aten::lift_fresh", "aten::lift_fresh_copy", "aten::_pin_memory"}
"""What a tensor made of Python numbers begins with: elsewhere than on a CPU, a copy from the host."""
DATA_DEPENDENT = {
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::repeat_interleave.Tensor",
    "aten::bincount",
}


class Ops(TorchDispatchMode):
    """Notes the operations that reach the device, with the numbers and shapes that the host hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, str]] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.noted.append((function.name(), repr(tree_map(_told, (arguments, options or {})))))
        return function(*arguments, **(options or {}))

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.noted}


def _told(value: Any) -> Any:
    """Numbers of tensors are the device's affair, their shapes are the host's."""
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.stride(), value.dtype)
    return "generator" if isinstance(value, torch.Generator) else value
