"""Rates that fastai's and Lightning's functions suggest from a sweep, with losses smoothed as each of them does it."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.tuner.lr_finder import _LRFinder

BETA = 0.98
"""Of both running averages."""
STOP = 4.0
"""Both stop a sweep once the smoothed loss is so many times the least one."""
FASTAI = ("valley", "steep", "slide", "minimum")
PEERS = (*(f"fastai {name}" for name in FASTAI), "Lightning")


def suggestions(rates: Sequence[float], losses: Sequence[float | None]) -> dict[str, float | None]:
    """A rate by each rule; None where it gives none."""
    kept_rates, kept = _averaged(rates, losses)
    steps = len(kept)
    begin = steps // 10
    rules = _fastai_rules()
    lrs, values = torch.tensor(kept_rates[begin:-5]), torch.tensor(kept[begin:-5])
    found: dict[str, float | None] = {}
    for name in FASTAI:
        rate, _ = rules[name](lrs, values, steps)
        found[f"fastai {name}"] = None if rate is None else float(rate)
    finder = _LRFinder("exponential", rates[0], rates[-1], len(rates))
    finder.results = {"lr": kept_rates, "loss": kept}
    suggested = finder.suggestion()
    return {**found, "Lightning": None if suggested is None else float(suggested)}


def _fastai_rules() -> dict[str, Callable[..., Any]]:
    """The functions alone, from the installed file: the whole package needs much that has nothing to do with rates."""
    path = Path(str(distribution("fastai").locate_file("fastai/callback/schedule.py")))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions: list[ast.stmt] = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in FASTAI
    ]
    known: dict[str, Any] = {"torch": torch, "np": np, "to_np": np.asarray}
    exec(compile(ast.Module(functions, []), str(path), "exec"), known)
    return {name: known[name] for name in FASTAI}


def _averaged(rates: Sequence[float], losses: Sequence[float | None]) -> tuple[list[float], list[float]]:
    """The debiased running average, up to where both stop."""
    average, least, smooth = 0.0, math.inf, []
    for step, loss in enumerate(losses, start=1):
        if loss is None:
            break
        average = BETA * average + (1 - BETA) * loss
        smooth.append(average / (1 - BETA**step))
        least = min(least, smooth[-1])
        if smooth[-1] > STOP * least:
            break
    return list(rates[: len(smooth)]), smooth
