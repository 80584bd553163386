"""Reads schedules given on the command line, as the name of a family or of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lehr.cli.inputs.flags import naming
from lehr.cli.inputs.study_file import STDIN, StudyFileError, read_document, scalar
from lehr.errors import Fault, InvalidScheduleError, InvalidValueError
from lehr.schedules import FAMILIES, Schedule, schedule_from_dict

TOP_LR = 0.1
SUFFIXES = (".json", ".yaml", ".yml")


def named_schedules(name: str, given: dict[str, Any], flags: Mapping[str, str] | None = None) -> list[Schedule]:
    """The schedules of a family or a file, or from stdin for `-`. `given`: the parameters of a family.

    `flags`: maps fields to their options; other fields are set by --param.
    """
    if name == STDIN or name.endswith(SUFFIXES) or (name not in FAMILIES and Path(name).is_file()):
        return read_schedules(name)
    by_param = {field: f"--param {field}" for field in given}
    with naming({"family": "FAMILY", **by_param, **(flags or {})}):
        return [complete(name, given)]


def read_schedules(name: str) -> list[Schedule]:
    """The schedules in a YAML or JSON file: one, a list, or a document that contains them, such as an answer.

    Raises StudyFileError if the file cannot be read, InvalidScheduleError if a schedule is invalid.
    """
    value, where = read_document(name)
    if isinstance(value, dict) and "family" not in value:
        value = value.get("schedules", value.get("schedule"))
    many = isinstance(value, list)
    documents: Sequence[Any] = value if isinstance(value, list) else [value]
    if not documents or not all(isinstance(document, dict) for document in documents):
        raise StudyFileError(
            f"{where} contains no schedule: expected a mapping with family, start_lr and end_lr, or a list of them."
        )
    return [_read(document, f"[{index}]" if many else "") for index, document in enumerate(documents)]


def complete(family: str, given: dict[str, Any]) -> Schedule:
    """The schedule with the given values, and example rates that show its shape where none are given."""
    kind = FAMILIES.get(family)
    climbs = "peak_lr" in given or given.get("warmup_fraction", 0) != 0 or (kind is not None and kind.climbs)
    top = given.get("peak_lr", given.get("start_lr", TOP_LR) if not climbs else _above(given))
    top = top if isinstance(top, int | float) and top > 0 else TOP_LR
    made_up: dict[str, Any] = {"start_lr": top / 10 if climbs else top}
    if climbs:
        made_up["peak_lr"] = top
    made_up["end_lr"] = top if family == "constant" else top / 1000
    return schedule_from_dict({"family": family, **made_up, **given})


def parameters(pairs: list[str] | None) -> dict[str, Any]:
    """Parse NAME=VALUE pairs."""
    values: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise InvalidValueError(
                Fault("--param", "is not a NAME=VALUE pair", "NAME=VALUE", pair, "For example, --param power=2.")
            )
        values[name.replace("-", "_")] = scalar(text)
    return values


def _above(given: dict[str, Any]) -> float:
    return float(10 * given["start_lr"]) if "start_lr" in given else TOP_LR


def _read(document: dict[str, Any], place: str) -> Schedule:
    try:
        return schedule_from_dict(document)
    except InvalidScheduleError as refused:
        raise InvalidScheduleError([fault.under(place) if place else fault for fault in refused.faults]) from None
