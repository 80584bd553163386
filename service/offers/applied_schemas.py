"""Applies a worker's JSON Schema to a study's parameters, with a fixed budget of work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import create
from pydantic_core import ValidationError as PatternMismatch
from referencing import Registry

from service.offers.offered_schemas import KEYWORDS, MAX_FAULTS, compiled_pattern

WORK = 5_000_000
"""How many characters may be examined while a schema is applied. Ordinary parameters need a few thousand."""


def parameter_errors(schema: dict[str, Any], params: dict[str, Any]) -> list[ValidationError]:
    """The parameters' errors by a schema without faults, at most MAX_FAULTS. Raises TooMuchWorkError."""
    validator = _validator_class(_Budget())(schema, registry=Registry())
    errors: list[ValidationError] = []
    try:
        for error in validator.iter_errors(params):
            errors.append(error)
            if len(errors) == MAX_FAULTS:
                break
    except RecursionError:
        raise TooMuchWorkError from None
    return sorted(errors, key=lambda error: list(map(str, error.absolute_path)))


class TooMuchWorkError(Exception):
    """Applying the schema to these parameters takes more work than the server allows."""


class _Budget:
    def __init__(self) -> None:
        self.left = WORK

    def charge(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise TooMuchWorkError


Rule = Callable[[Any, Any, Any, Any], Any]


def _validator_class(budget: _Budget) -> Any:
    """A validator for only the supported keywords, which stops when the budget is spent."""

    def bounded(rule: Rule) -> Rule:
        def apply(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            # jsonschema writes the instance into each message, so its length counts as work.
            budget.charge(20 + len(repr(instance)) + (len(value) if isinstance(value, dict | list | str) else 0))
            yield from rule(validator, value, instance, schema) or ()

        return apply

    rules: dict[str, Rule] = {
        name: rule for name, rule in Draft202012Validator.VALIDATORS.items() if name in KEYWORDS and name != "$defs"
    }
    rules |= {"pattern": _match, "uniqueItems": _have_unique_items}
    return create(
        meta_schema=Draft202012Validator.META_SCHEMA,
        validators={name: bounded(rule) for name, rule in rules.items()},
        type_checker=Draft202012Validator.TYPE_CHECKER,
    )


def _match(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    try:
        compiled_pattern(pattern).validate_python(instance)
    except PatternMismatch:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _have_unique_items(_validator: Any, is_asked: bool, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if is_asked and isinstance(instance, list) and len({_key(item) for item in instance}) < len(instance):
        yield ValidationError("has an item twice")


def _key(value: Any) -> str:
    """A key that is equal for values that are equal by JSON Schema: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_key(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_key, value)) + "]"
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
