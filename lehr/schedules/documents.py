"""Reads schedules from JSON documents, and builds the JSON Schema of these documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from lehr.errors import Fault, InvalidScheduleError, suggest
from lehr.schedules.base import Schedule
from lehr.schedules.compositions.composition import MAX_DEPTH, Composed
from lehr.schedules.parameters import field_fault, parameter_of
from lehr.schedules.registry import COMPOSITIONS, FAMILIES


def schedule_from_dict(document: object) -> Schedule:
    """The schedule that a JSON document describes; `to_dict` is the inverse.

    A family's document is flat; a composition's contains the documents of its parts. Raises InvalidScheduleError,
    with one fault for each unknown, missing or invalid field.
    """
    return _read(document, depth=1)


def _read(document: object, depth: int) -> Schedule:
    """The schedule of a document that is nested in depth - 1 others."""
    if not isinstance(document, Mapping):
        raise InvalidScheduleError(
            Fault("", "is not an object", 'an object such as {"family": "cosine", …}', document, "Give an object.")
        )
    family = document.get("family")
    if isinstance(family, str) and family in COMPOSITIONS:
        return _composed(COMPOSITIONS[family], document, depth)
    if not isinstance(family, str) or family not in FAMILIES:
        raise InvalidScheduleError(unknown_family("family", family))
    values = {name: value for name, value in document.items() if name != "family"}
    faults = list(_field_faults(FAMILIES[family], values))
    if faults:
        raise InvalidScheduleError(faults)
    return FAMILIES[family](**values)


def _composed(composition: type[Composed], document: Mapping[Any, object], depth: int) -> Schedule:
    """The composition that a document describes. Reads its parts first."""
    if depth >= MAX_DEPTH:
        bound = f"at most {MAX_DEPTH} schedules within one another"
        raise InvalidScheduleError(Fault("family", "lies too deep", bound, composition.family, "Compose fewer."))
    values = {name: value for name, value in document.items() if name != "family"}
    part_field = composition.part_field
    faults = list(_field_faults(composition, values))
    inner, read = values.get(part_field), []
    many = isinstance(inner, list | tuple) and part_field == "parts"
    for index, part in enumerate(inner if many and isinstance(inner, list | tuple) else [inner]):
        try:
            read.append(_read(part, depth + 1))
        except InvalidScheduleError as refused:
            name = f"{part_field}[{index}]" if many else part_field
            faults += [fault.under(name) for fault in refused.faults if part_field in values]
    if faults:
        raise InvalidScheduleError(faults)
    return composition(**{**values, part_field: tuple(read) if many else read[0]})


def unknown_family(field: str, name: object) -> Fault:
    """The fault for an unknown family, which suggests the most similar name."""
    return Fault(field, "is not a family", "one of " + ", ".join(FAMILIES), name, suggest(name, FAMILIES, "a family"))


def _field_faults(kind: type[Schedule], values: Mapping[Any, object]) -> Iterator[Fault]:
    declared = {each.name: each for each in fields(kind) if each.init}
    for name, value in values.items():
        if name not in declared:
            yield Fault(
                str(name),
                f"is not a field of {kind.family}",
                "one of " + ", ".join(declared),
                value,
                suggest(name, declared, "a field") + " Or leave it out.",
            )
    for name, each in declared.items():
        if not each.metadata:  # the parts of a composition
            if name not in values:
                yield Fault(name, "is missing", "schedule documents", None, f"Give {name}: what is composed.")
        elif name in values:
            fault = field_fault(each, values[name])
            if fault:
                yield fault
        elif each.default is MISSING:
            yield Fault(name, "is missing", parameter_of(each).bound, None, f"Give {name}: {parameter_of(each).doc}.")


def schedule_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12, as in OpenAPI 3.1) of a schedule of any family or composition."""
    return {
        "title": "Schedule",
        "oneOf": [family_json_schema(family) for family in (*FAMILIES.values(), *COMPOSITIONS.values())],
        "discriminator": {"propertyName": "family"},
    }


def family_json_schema(family: type[Schedule]) -> dict[str, Any]:
    """The JSON Schema of a whole schedule of one family or composition."""
    properties: dict[str, Any] = {"family": {"type": "string", "const": family.family}}
    declared = [each for each in fields(family) if each.init]
    for each in declared:
        if not each.metadata and issubclass(family, Composed):
            properties[each.name] = family.part_schema()
            continue
        schema = parameter_of(each).json_schema()
        if each.default is None:
            schema["type"] = [schema["type"], "null"]
        if each.default is not MISSING:
            schema["default"] = list(each.default) if isinstance(each.default, tuple) else each.default
        properties[each.name] = schema
    return {
        "title": family.__name__,
        "description": family.summary(),
        "type": "object",
        "properties": properties,
        "required": ["family", *(each.name for each in declared if each.default is MISSING)],
        "additionalProperties": False,
    }
