"""Runs an exported schedule in its framework and returns the rates that it trained with."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lehr.schedules.portable import Export
from tools.parity import upstream

Names = dict[str, Any]


def execute(code: str) -> Names:
    """What an exported text defines."""
    names: Names = {}
    exec(compile(code, "exported", "exec"), names)
    return names


def an_optimizer(lr: float = 7.0) -> Any:
    """An optimizer of one parameter, whose rate no schedule expects."""
    import torch

    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.5)


def stepped(optimizer: Any, step: Callable[[int], None], steps: int, key: str = "lr") -> list[float]:
    """The rates of `steps` optimizer steps; `step(n)` moves the schedule on, to that of step n."""
    rates = []
    for number in range(steps):
        rates.append(float(optimizer.param_groups[0][key]))
        optimizer.step()
        if number < steps - 1:
            step(number + 1)
    return rates


def _torch(export: Export, steps: int) -> list[float]:
    optimizer = an_optimizer()
    scheduler = execute(export.code)["make_scheduler"](optimizer)
    return stepped(optimizer, lambda _number: scheduler.step(), steps)


def _trainer(export: Export, steps: int) -> list[float]:
    names = execute(export.code)
    optimizer = an_optimizer(names["arguments"]["learning_rate"])
    return stepped(optimizer, _trainers_step(names, optimizer), steps)


def _trainers_step(names: Names, optimizer: Any) -> Callable[[int], None]:
    """What moves on the scheduler that the Trainer makes of its arguments, as Trainer.create_scheduler has it."""
    from transformers import TrainerControl, TrainerState, TrainingArguments, get_scheduler

    arguments = TrainingArguments(output_dir="unused", use_cpu=True, report_to=[], **names["arguments"])
    keywords: Any = arguments.lr_scheduler_kwargs
    with warnings.catch_warnings():
        # The Trainer always tells how many steps it takes, and transformers that it looks at num_stable_steps instead.
        warnings.filterwarnings("ignore", message="Both num_training_steps and num_stable_steps")
        scheduler = get_scheduler(
            arguments.lr_scheduler_type,
            optimizer=optimizer,
            num_warmup_steps=arguments.get_warmup_steps(arguments.max_steps),
            num_training_steps=arguments.max_steps,
            scheduler_specific_kwargs=keywords,
        )
    for callback in names["callbacks"]:
        parts = {"optimizer": optimizer, "lr_scheduler": scheduler}
        callback.on_train_begin(arguments, TrainerState(), TrainerControl(), **parts)
    return lambda _number: scheduler.step()


def grouped(framework: str, names: Names, optimizer: Any) -> Callable[[int], None]:
    """What moves a scheduler on that an exported text makes for an optimizer of several parameter groups."""
    if framework == "transformers_trainer":
        return _trainers_step(names, optimizer)
    if framework == "lightning":
        scheduler = names["with_schedule"](optimizer)["lr_scheduler"]["scheduler"]
    else:
        scheduler = names["make_scheduler"](optimizer)
    if hasattr(scheduler, "step_update"):
        step: Callable[[int], None] = scheduler.step_update
        return step
    return lambda _number: scheduler.step()


def _optax(export: Export, steps: int) -> list[float]:
    import jax
    import jax.numpy as jnp

    schedule = execute(export.code)["schedule"]
    counts = jnp.arange(steps)
    # Traced, as in a training step, but not compiled: a hundred rates are not worth it.
    rates = jax.vmap(schedule)(counts)
    return [float(rate) for rate in jnp.broadcast_to(rates, (steps,))]


def _keras(export: Export, steps: int) -> list[float]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    schedule = execute(export.code)["schedule"]
    return [schedule if isinstance(schedule, float) else float(schedule(step)) for step in range(steps)]


def _timm(export: Export, steps: int) -> list[float]:
    upstream.timm_scheduler()
    if export.form != "own":
        return _torch(export, steps)
    optimizer = an_optimizer()
    scheduler = execute(export.code)["make_scheduler"](optimizer)
    return stepped(optimizer, scheduler.step_update, steps)


def _deepspeed(export: Export, steps: int) -> list[float]:
    if export.form != "own":
        return _torch(export, steps)
    config = json.loads(export.code)
    if "scheduler" not in config:
        return [config["optimizer"]["params"]["lr"]] * steps
    import torch

    kind = getattr(upstream.deepspeed_schedules(), config["scheduler"]["type"])
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=7.0)
    scheduler = kind(optimizer, **config["scheduler"]["params"])
    return stepped(optimizer, lambda _number: scheduler.step(), steps)


def _megatron(export: Export, steps: int) -> list[float]:
    if export.form != "own":
        return _csv(export, steps)
    words = export.code.replace("\\\n", " ").split()
    flags = dict(zip(words[::2], words[1::2], strict=True))
    optimizer = an_optimizer()
    scheduler = upstream.megatron_scheduler()(
        optimizer,
        init_lr=float(flags["--lr-warmup-init"]),
        max_lr=float(flags["--lr"]),
        min_lr=float(flags["--min-lr"]),
        lr_warmup_steps=int(flags["--lr-warmup-iters"]),
        lr_decay_steps=int(flags["--lr-decay-iters"]),
        lr_decay_style=flags["--lr-decay-style"],
        start_wd=0.0,
        end_wd=0.0,
        wd_incr_steps=1,
        wd_incr_style="constant",
        wsd_decay_steps=int(flags.get("--lr-wsd-decay-iters", 0)),
        lr_wsd_decay_style=flags.get("--lr-wsd-decay-style"),
    )
    return stepped(optimizer, lambda _number: scheduler.step(1), steps)


def _lightning(export: Export, steps: int) -> list[float]:
    """Steps the scheduler as configure_optimizers asks for; a test trains with Lightning itself."""
    configured = execute(export.code)["with_schedule"](an_optimizer())
    told = configured["lr_scheduler"]
    assert (told["interval"], told["frequency"]) == ("step", 1)
    return stepped(configured["optimizer"], lambda _number: told["scheduler"].step(), steps)


def _csv(export: Export, steps: int) -> list[float]:
    rows = list(csv.DictReader(io.StringIO(export.code)))
    assert [int(row["step"]) for row in rows] == list(range(steps))
    return [float(row["lr"]) for row in rows]


def _json(export: Export, steps: int) -> list[float]:
    document = json.loads(export.code)
    assert document["step"] == list(range(steps))
    rates: list[float] = document["lr"]
    return rates


RUNNERS: Mapping[str, Callable[[Export, int], list[float]]] = {
    "torch": _torch,
    "torch_builtin": _torch,
    "optax": _optax,
    "keras": _keras,
    "transformers": _torch,
    "transformers_trainer": _trainer,
    "lightning": _lightning,
    "timm": _timm,
    "deepspeed": _deepspeed,
    "megatron": _megatron,
    "csv": _csv,
    "json": _json,
}


def rates(export: Export, steps: int) -> list[float]:
    """The rates of the first `steps` steps that training with the export takes. Raises upstream.AbsentError."""
    return RUNNERS[export.framework](export, steps)


def add_sources(folder: str) -> None:
    """Look for frameworks' sources in a folder too."""
    sys.path.append(folder)
