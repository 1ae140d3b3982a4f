"""What OpenAPI says beside the views: each job class's params, the bodies, who may ask."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from jobs import registry
from jobs.api import creation, examples
from jobs.api.authentication import BearerToken
from jobs.dispatch.bonds import MAX_PARENTS
from jobs.spec import JobSpec

_SCHEMAS = "#/components/schemas/"

CREATE_OPERATION = "create_jobs"
CREATED = {
    "type": "object",
    "properties": {
        "job_id": {"type": "string", "format": "uuid"},
        "status": {
            "type": "string",
            "enum": ["enqueued", "scheduled", "waiting", "cancelled"],
            "description": "scheduled: it waits for its run_at. waiting: for the jobs that it "
            "depends on. cancelled: one of these has failed.",
        },
    },
    "required": ["job_id", "status"],
}
CREATE_BODY = {
    "oneOf": [
        {"$ref": f"{_SCHEMAS}CreateJob"},
        {
            "type": "array",
            "items": {"$ref": f"{_SCHEMAS}CreateJob"},
            "minItems": 1,
            "maxItems": creation.MAX_JOBS,
        },
    ]
}
CREATED_BODY = {
    "oneOf": [
        {"$ref": f"{_SCHEMAS}Created"},
        {"type": "array", "items": {"$ref": f"{_SCHEMAS}Created"}},
    ]
}


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells OpenAPI of our tokens."""

    target_class = BearerToken
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "description": "A token: js_..."}


def with_job_classes(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add a schema for the params of each job class, and one for its job; a postprocessing hook."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    specs = registry.specs()
    for spec in specs:
        schemas[_params_name(spec)] = _component(spec)
        schemas[_job_name(spec)] = _create_one(spec)
    schemas["CreateJob"] = _create_any(specs)
    schemas["Created"] = CREATED
    for body in _create_bodies(result):
        one_by_one = {spec.name: {"value": example_body(spec)} for spec in specs}
        together = {"value": [example_body(spec) for spec in specs]}
        body["examples"] = {**one_by_one, "All of them, as a list": together}
    return result


def _create_bodies(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        operation["requestBody"]["content"]["application/json"]
        for operations in result["paths"].values()
        for operation in operations.values()
        if operation.get("operationId") == CREATE_OPERATION
    ]


def example_body(spec: JobSpec) -> dict[str, Any]:
    """Return a body of POST /create-jobs/ that makes a job of this class."""
    return {"job": spec.name, "params": examples.example_params(examples.params_schema(spec))}


def _params_name(spec: JobSpec) -> str:
    return f"{spec.name}Params"


def _job_name(spec: JobSpec) -> str:
    return f"CreateJob.{spec.name}"


def _component(spec: JobSpec) -> dict[str, Any]:
    schema = examples.params_schema(spec)
    example = examples.example_params(schema)
    here = f"{_SCHEMAS}{_params_name(spec)}/$defs/"
    return {**_pointing(schema, here), "title": _params_name(spec), "examples": [example]}


def _pointing(value: Any, here: str) -> Any:
    """Return `value` with its local references made ones into its place in the document."""
    if isinstance(value, dict):
        return {
            key: item.replace("#/$defs/", here)
            if key == "$ref" and isinstance(item, str)
            else _pointing(item, here)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_pointing(item, here) for item in value]
    return value


def _create_one(spec: JobSpec) -> dict[str, Any]:
    needs_params = bool(examples.params_schema(spec).get("required"))
    return {
        "type": "object",
        "title": spec.name,
        "description": spec.description,
        "properties": {
            "job": {"type": "string", "const": spec.name},
            "params": {"$ref": f"{_SCHEMAS}{_params_name(spec)}"},
            "queue": {
                "type": ["string", "null"],
                "description": "Default: the job class's.",
            },
            "run_at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "From when it may start, with its zone; default: at once.",
            },
            "depends_on": {
                "type": ["array", "null"],
                "items": {"type": "string", "format": "uuid"},
                "maxItems": MAX_PARENTS,
                "description": "Ids of jobs that must have ended before it may start.",
            },
            "on_parent_failure": {
                "enum": ["cancel", "run", None],
                "description": "What becomes of it when one of these fails; default: cancel.",
            },
        },
        "required": ["job", "params"] if needs_params else ["job"],
        "additionalProperties": False,
        "examples": [example_body(spec)],
    }


def _create_any(specs: list[JobSpec]) -> dict[str, Any]:
    if not specs:
        return {"type": "object", "description": "No job class is registered."}
    references = {spec.name: f"{_SCHEMAS}{_job_name(spec)}" for spec in specs}
    return {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "job", "mapping": references},
    }
