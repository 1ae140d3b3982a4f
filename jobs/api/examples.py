"""A job class's JSON schema for readers: secrets' defaults left out, and an example that fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.spec import JobSpec

MAX_DEPTH = 5

_TEXT_BY_FORMAT: Mapping[str, str] = {
    "date-time": "2026-12-01T08:00:00Z",
    "date": "2026-12-01",
    "time": "08:00:00",
    "duration": "PT10M",
    "uuid": "0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11",
    "email": "someone@example.org",
    "uri": "https://example.org/data.csv",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


def params_schema(spec: JobSpec) -> dict[str, Any]:
    """Return the JSON schema of the params of `spec`, without the defaults of redacted ones."""
    schema = spec.params.json_schema()
    properties = {
        name: {key: value for key, value in prop.items() if key not in {"default", "examples"}}
        if name in spec.params.redact
        else prop
        for name, prop in schema.get("properties", {}).items()
    }
    return schema | {"properties": properties}


def example_params(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return params that fit `schema`, as far as an example can be read from it.

    The required ones; where none is, all of which the schema says anything.
    """
    properties = schema.get("properties", {})
    names = schema.get("required") or list(properties)
    return {
        name: _example(name, prop, schema, 0)
        for name, prop in properties.items()
        if name in names and prop
    }


def _example(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    schema = _resolved(schema, root)
    for given in (schema.get("examples"), schema.get("enum")):
        if given:
            return given[0]
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for choices in (schema.get("anyOf"), schema.get("oneOf"), schema.get("allOf")):
        if choices:
            return _example(name, choices[0], root, depth)
    return _by_type(name, schema, root, depth)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    return {**root.get("$defs", {}).get(name, {}), **schema} if name else schema


def _by_type(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    found: Any = None
    match schema.get("type"):
        case "string":
            found = _text(name, schema)
        case "integer" | "number":
            found = _number(schema)
        case "boolean":
            found = True
        case "array":
            found = _list(name, schema, root, depth)
        case "object":
            found = _object(schema, root, depth)
    return found


def _text(name: str, schema: Mapping[str, Any]) -> str:
    text = _TEXT_BY_FORMAT.get(schema.get("format", ""), name)
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Mapping[str, Any]) -> int | float:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
    highest = schema.get("maximum", schema.get("exclusiveMaximum"))
    number: int | float = schema.get("minimum", 1 if lowest is None else lowest + 1)
    if highest is not None and number > highest:
        number = schema.get("maximum", highest - 1)
    step = schema.get("multipleOf")
    return -(-number // step) * step if step else number


def _list(name: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> list[Any]:
    if depth >= MAX_DEPTH:
        return []
    first = schema.get("prefixItems", [])
    more = schema.get("minItems", 1) - len(first)
    items = [*first, *[schema.get("items", {})] * more]
    return [_example(name, item, root, depth + 1) for item in items]


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth >= MAX_DEPTH:
        return {}
    required = schema.get("required", [])
    return {
        name: _example(name, prop, root, depth + 1)
        for name, prop in schema.get("properties", {}).items()
        if name in required
    }
