"""Checks whether the server accepts the JSON Schemas that workers offer.

Any worker may send a schema, so it is untrusted input. Only a fixed set of keywords is accepted, references must stay
within the schema, and patterns run in a regular-expression engine with linear time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, core_schema

from lehr.errors import Fault, suggest

MAX_BYTES = 64 * 1024
"""The limit for one task's schema, as JSON."""
MAX_CLAIM_BYTES = 256 * 1024
"""The limit for all schemas of one claim together."""
MAX_DEPTH = 24
"""Levels of nested objects and lists."""
MAX_PATTERN_CHARACTERS = 500
MAX_REFERENCES = 32
"""How many schemas may apply to the same value through nested references and combinations."""
MAX_FAULTS = 20

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
ANNOTATIONS = ("$comment", "default", "deprecated", "description", "discriminator", "examples", "format", "readOnly",
               "title", "writeOnly")  # fmt: skip
SUBSCHEMA = ("additionalProperties", "items")
SUBSCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
NAMED_SUBSCHEMAS = ("$defs", "properties")
IN_PLACE = ("allOf", "anyOf", "oneOf")
"""Keywords whose schemas apply to the same value."""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_types(value: Any) -> bool:
    return value in TYPES if isinstance(value, str) else _is_names(value) and bool(value) and set(value) <= set(TYPES)


VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "$schema": (
        lambda value: isinstance(value, str) and value.rstrip("#").endswith("json-schema.org/draft/2020-12/schema"),
        "https://json-schema.org/draft/2020-12/schema",
    ),
    "type": (_is_types, "one or more of " + ", ".join(TYPES)),
    "enum": (lambda value: isinstance(value, list), "a list of values"),
    "const": (lambda _: True, "a value"),
    "required": (_is_names, "a list of names"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_is_number, "a number")),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        (_is_count, "an integer of 0 or more"),
    ),
}
"""Keywords whose values are not schemas: a check of the value, and its bound."""

KEYWORDS = sorted({*VALUES, *ANNOTATIONS, *SUBSCHEMA, *SUBSCHEMAS, *NAMED_SUBSCHEMAS, "$ref", "pattern"})


def schema_faults(schema: Any) -> list[Fault]:
    """Everything that the server does not accept in a schema, at most MAX_FAULTS. Fields are relative to the schema."""
    if _size(schema) > MAX_BYTES:
        message, remedy = "the schema is too large", "Describe fewer parameters, or describe them more briefly."
        return [Fault("", message, f"at most {MAX_BYTES} bytes of JSON", f"{_size(schema)} bytes", remedy)]
    faults = []
    for fault in _Checker(schema).faults(schema, "", 0):
        faults.append(fault)
        if len(faults) == MAX_FAULTS:
            break
    if not faults and _leads_in_a_circle(schema):
        bound = f"at most {MAX_REFERENCES} nested schemas for one value"
        message = "references or combinations of schemas are circular or too deep"
        faults.append(Fault("", message, bound, None, "Reference a schema from a property or an item, or inline it."))
    return faults


def claim_fault(schemas: list[Any]) -> Fault | None:
    """The fault of a claim whose schemas are too large in total; None if they are not."""
    total = sum(map(_size, schemas))
    if total <= MAX_CLAIM_BYTES:
        return None
    bound, remedy = f"at most {MAX_CLAIM_BYTES} bytes of JSON", "Offer fewer tasks from one worker."
    return Fault("worker.tasks", "the schemas are too large in total", bound, f"{total} bytes", remedy)


@dataclass(frozen=True)
class _Checker:
    root: Any

    def faults(self, schema: Any, field: str, depth: int) -> Iterator[Fault]:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            yield _fault(field, "is not a schema", "an object, true or false", schema)
        elif depth > MAX_DEPTH:
            yield _fault(field, "is nested too deep", f"at most {MAX_DEPTH} levels", "…")
        else:
            for keyword, value in schema.items():
                yield from self._keyword(keyword, value, f"{field}.{keyword}" if field else keyword, depth)

    def _keyword(self, keyword: str, value: Any, field: str, depth: int) -> Iterator[Fault]:
        if keyword in SUBSCHEMA:
            yield from self.faults(value, field, depth + 1)
        elif keyword in SUBSCHEMAS:
            yield from self._listed(value, field, depth)
        elif keyword in NAMED_SUBSCHEMAS:
            yield from self._named(keyword, value, field, depth)
        elif keyword == "$ref":
            yield from self._reference(value, field)
        elif keyword == "pattern":
            yield from _pattern_faults(value, field)
        elif keyword in VALUES:
            is_valid, bound = VALUES[keyword]
            if not is_valid(value):
                yield _fault(field, f"is not a valid value for {keyword}", bound, value)
        elif keyword not in ANNOTATIONS and not keyword.startswith("x-"):
            remedy = suggest(keyword, KEYWORDS, "a keyword") + " Or remove it."
            yield Fault(field, "is not a keyword that this server supports", ", ".join(KEYWORDS), keyword, remedy)

    def _listed(self, value: Any, field: str, depth: int) -> Iterator[Fault]:
        if not isinstance(value, list) or not value:
            yield _fault(field, "is not a list of schemas", "a list of one or more schemas", value)
            return
        for at, inner in enumerate(value):
            yield from self.faults(inner, f"{field}[{at}]", depth + 2)

    def _named(self, keyword: str, value: Any, field: str, depth: int) -> Iterator[Fault]:
        if not isinstance(value, dict):
            yield _fault(field, "is not an object of schemas", "an object of schemas by name", value)
        elif keyword == "$defs" and value is not self.root.get("$defs"):
            yield _fault(field, "is inside another schema", "$defs at the top level of the schema", None)
        else:
            for name, inner in value.items():
                yield from self.faults(inner, f"{field}.{name}", depth + 2)

    def _reference(self, value: Any, field: str) -> Iterator[Fault]:
        if not isinstance(value, str) or _target(self.root, value) is None:
            yield _fault(field, "does not refer to a schema of this document", '"#" or "#/$defs/NAME"', value)


def _fault(field: str, message: str, bound: str, value: Any) -> Fault:
    return Fault(field, message, bound, value, "Fix the schema that the worker offers.")


def _size(schema: Any) -> int:
    return len(json.dumps(schema, separators=(",", ":")))


def _target(root: Any, reference: str) -> Any:
    """The schema that a reference refers to; None if there is none."""
    if reference == "#":
        return root
    definitions = root.get("$defs") if isinstance(root, dict) else None
    prefix, _, name = reference.rpartition("/")
    if prefix != "#/$defs" or not isinstance(definitions, dict) or any(mark in name for mark in "~%"):
        return None
    return definitions.get(name)


def _in_place_depth(schema: Any, root: Any, known: dict[int, int]) -> int:
    """How many nested schemas apply to the same value; above MAX_REFERENCES for circular references."""
    if not isinstance(schema, dict):
        return 0
    if id(schema) not in known:
        # If the schema is seen again before its depth is known, it is part of a circle.
        known[id(schema)] = MAX_REFERENCES + 1
        inside = [inner for keyword in IN_PLACE for inner in schema.get(keyword, [])]
        inside += [_target(root, schema["$ref"])] if "$ref" in schema else []
        known[id(schema)] = 1 + max((_in_place_depth(inner, root, known) for inner in inside), default=0)
    return known[id(schema)]


def _subschemas(schema: Any) -> Iterator[Any]:
    """A schema without faults, and every schema inside it."""
    yield schema
    if isinstance(schema, dict):
        inner = [schema[keyword] for keyword in SUBSCHEMA if keyword in schema]
        inner += [subschema for keyword in SUBSCHEMAS for subschema in schema.get(keyword, [])]
        inner += [subschema for keyword in NAMED_SUBSCHEMAS for subschema in schema.get(keyword, {}).values()]
        for subschema in inner:
            yield from _subschemas(subschema)


def _leads_in_a_circle(schema: Any) -> bool:
    known: dict[int, int] = {}
    try:
        return any(_in_place_depth(inner, schema, known) > MAX_REFERENCES for inner in _subschemas(schema))
    except RecursionError:
        return True


def _pattern_faults(value: Any, field: str) -> Iterator[Fault]:
    bound = (
        f"a regular expression of at most {MAX_PATTERN_CHARACTERS} characters, without look-around or backreferences"
    )
    if not isinstance(value, str) or len(value) > MAX_PATTERN_CHARACTERS:
        yield _fault(field, "is not a pattern that this server supports", bound, value)
        return
    try:
        compiled_pattern(value)
    except SchemaError as error:
        reason = str(error).strip().rsplit("\n", 1)[-1].strip()
        yield _fault(field, f"is not a pattern that this server supports: {reason}"[:300], bound, value)


@lru_cache(maxsize=64)
def compiled_pattern(pattern: str) -> SchemaValidator:
    """A pattern compiled by Rust's engine, which matches in linear time. Raises pydantic_core.SchemaError."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
