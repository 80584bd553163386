"""Loads other frameworks' scheduler sources without their heavy dependencies.

timm imports torchvision, Megatron CUDA extensions, DeepSpeed a compiler and fastai half of PyPI, but none of their
schedulers needs these. `make setup` installs what requirements-sources.lock and requirements-archives.lock name.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import logging
import math
import sys
from functools import cache, partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


class AbsentError(Exception):
    """A framework's source is not installed; the message names it."""


def folders() -> list[Path]:
    """Where installed packages lie, what stands on the path before them, and where `make setup` puts single files."""
    return [*(Path(entry) for entry in sys.path if entry), Path(sys.prefix) / "sources"]


def _package_folder(name: str) -> Path:
    for folder in folders():
        if (folder / name / "__init__.py").exists() or ((folder / name).is_dir() and any((folder / name).iterdir())):
            return folder / name
    raise AbsentError(name)


def _stub(name: str, folder: Path | None = None, **contents: Any) -> None:
    module = ModuleType(name)
    module.__path__ = [str(folder)] if folder else []
    # Others ask for the spec to learn whether the package is installed.
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    vars(module).update(contents)
    sys.modules.setdefault(name, module)


@cache
def timm_scheduler() -> ModuleType:
    """The package timm.scheduler. Raises AbsentError."""
    folder = _package_folder("timm")
    _stub("timm", folder)
    return importlib.import_module("timm.scheduler")


@cache
def megatron_scheduler() -> Any:
    """The class OptimizerParamScheduler of Megatron's core. Raises AbsentError."""
    folder = _package_folder("megatron")
    _stub("megatron", folder)
    _stub("megatron.core", folder / "core")
    _stub("megatron.core.utils", log_single_rank=lambda *_arguments: None)
    return importlib.import_module("megatron.core.optimizer_param_scheduler").OptimizerParamScheduler


@cache
def deepspeed_schedules() -> ModuleType:
    """The module deepspeed.runtime.lr_schedules. Raises AbsentError."""
    file = _package_folder("deepspeed") / "runtime" / "lr_schedules.py"
    if not file.exists():
        raise AbsentError("deepspeed")
    _stub("deepspeed")
    quiet = logging.getLogger("deepspeed-schedules")
    quiet.setLevel(logging.ERROR)
    _stub("deepspeed.utils", logger=quiet)
    spec = importlib.util.spec_from_file_location("deepspeed_lr_schedules", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def fastai_one_cycle() -> Any:
    """Fastai's `combined_cos(pct, start, middle, end)`, taken out of its file alone. Raises AbsentError."""
    import torch

    file = _package_folder("fastai") / "callback" / "schedule.py"
    if not file.exists():
        raise AbsentError("fastai")
    wanted = {"sched_cos", "SchedCos", "combine_scheds", "combined_cos"}
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes: list[ast.stmt] = [node for node in tree.body if getattr(node, "name", "") in wanted]
    names: dict[str, Any] = {
        "math": math,
        "torch": torch,
        "tensor": torch.tensor,
        "L": list,
        "_Annealer": partial(partial),
    }
    exec(compile(ast.Module(nodes, []), str(file), "exec"), names)
    return names["combined_cos"]
