"""A job class's JSON schema as a list of params, each with the kind of field that suits it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    """What a param looks like to the person who fills it in."""

    TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    DATE = auto()
    TIME = auto()
    DATETIME = auto()
    LINES = auto()  # a list of texts or numbers: one a line
    JSON = auto()  # everything nested


_FORMATS = {"date": Kind.DATE, "date-time": Kind.DATETIME, "time": Kind.TIME}
_SIMPLE = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
}
# In a line of its own each of these can be told from the next.
_LINE_TYPES = frozenset({"string", "integer", "number"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One param of a job class."""

    name: str
    kind: Kind
    schema: Mapping[str, Any] = field(repr=False)  # references resolved, without null
    is_required: bool
    is_nullable: bool
    has_default: bool
    default: Any = None
    choices: tuple[Any, ...] = ()

    def help(self) -> str:
        """Return what the class says about it, and for JSON its whole schema."""
        words = [str(self.schema.get("description", ""))]
        if self.is_required:
            words.append("Required.")
        if self.is_nullable and self.default is not None:
            words.append("Empty: null.")
        if self.kind == Kind.LINES:
            words.append("One a line.")
        if self.kind == Kind.JSON:
            words.append(f"JSON: {json.dumps(_without_words(self.schema), ensure_ascii=False)}")
        return " ".join(word for word in words if word)

    def bounds(self) -> dict[str, str]:
        """Return the field's attributes that hold a browser to the schema's bounds."""
        names = {"minimum": "min", "maximum": "max", "maxLength": "maxlength"}
        found = {
            attribute: str(self.schema[name])
            for name, attribute in names.items()
            if name in self.schema
        }
        if self.kind == Kind.NUMBER:
            found["step"] = "any"
        return found


def params_of(schema: Mapping[str, Any]) -> list[Param]:
    """Return the params of an object's JSON schema: the required first, else in its order.

    Those of a base class, which nobody must fill in, come before a class's own in the schema.
    """
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    found = [
        _param(name, _resolved(part, definitions), is_required=name in required)
        for name, part in schema.get("properties", {}).items()
    ]
    return sorted(found, key=lambda param: not param.is_required)


def _param(name: str, schema: Mapping[str, Any], *, is_required: bool) -> Param:
    kinds = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    is_nullable = len(kinds) < len(schema.get("anyOf", [schema]))
    outer = {key: value for key, value in schema.items() if key != "anyOf"}
    one = {**kinds[0], **outer} if len(kinds) == 1 else schema
    choices = tuple(one.get("enum", ())) or ((one["const"],) if "const" in one else ())
    kind = _kind(one, kinds)
    if kind == Kind.BOOLEAN and (is_nullable or (is_required and "default" not in schema)):
        choices = (True, False)  # an unticked box couldn't say "not given"
    return Param(
        name=name,
        kind=kind,
        schema=one,
        is_required=is_required,
        is_nullable=is_nullable,
        has_default="default" in schema,
        default=schema.get("default"),
        choices=choices,
    )


def _kind(one: Mapping[str, Any], kinds: list[Mapping[str, Any]]) -> Kind:
    if len(kinds) > 1:
        # Decimal: a number, or a text that is one.
        is_decimal = {part.get("type") for part in kinds} == {"number", "string"}
        return Kind.TEXT if is_decimal else Kind.JSON
    if one.get("type") == "array":
        items = one.get("items", {})
        return Kind.LINES if items.get("type") in _LINE_TYPES else Kind.JSON
    if one.get("type") == "string":
        return _FORMATS.get(one.get("format", ""), Kind.TEXT)
    return _SIMPLE.get(one.get("type", ""), Kind.JSON)


def _resolved(part: Any, definitions: Mapping[str, Any], depth: int = 0) -> Any:
    """Return `part` with its references followed; one that refers to itself stays a reference."""
    if depth > 8:  # noqa: PLR2004 - deeper than anybody fills in by hand
        return part
    match part:
        case {"$ref": str(reference), **rest}:
            target = definitions.get(reference.rsplit("/", 1)[-1], {})
            return {**_resolved(target, definitions, depth + 1), **rest}
        case dict():
            return {
                key: value
                if key in {"default", "enum", "const", "examples"}
                else _resolved(value, definitions, depth + 1)
                for key, value in part.items()
            }
        case list():
            return [_resolved(item, definitions, depth + 1) for item in part]
        case _:
            return part


def _without_words(schema: Mapping[str, Any]) -> dict[str, Any]:
    dropped = {"title", "description", "default"}
    return {key: value for key, value in schema.items() if key not in dropped}
