from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, TypeAdapter

from jobs import registry
from jobs.api import examples
from jobs.params import ParamsSchema
from jobs.spec import JobSpec


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: int
    y: Annotated[float, Field(gt=10)]
    inner: Point | None = None


def spec_of(params: type, *, redact: frozenset[str] = frozenset()) -> JobSpec:
    schema = ParamsSchema(
        job_name="Sample",
        names=frozenset(params.__annotations__),
        redact=redact,
        adapter=TypeAdapter(params),
    )
    return JobSpec(
        name="Sample", path="x.Sample", description="", params=schema, perform=lambda *_: None
    )


@pytest.mark.parametrize(
    "kind",
    [
        str, int, float, bool, Decimal, date, datetime, timedelta, UUID, AnyUrl, Colour,
        Literal["a", "b"], int | None, list[int], dict[str, int], tuple[int, str], Point,
        list[Point],
        Annotated[str, Field(min_length=40)], Annotated[str, Field(max_length=2)],
        Annotated[int, Field(ge=7, multiple_of=5)], Annotated[int, Field(lt=-3)],
        Annotated[int, Field(gt=3, lt=5)], Annotated[list[int], Field(min_length=3)],
        Annotated[str, Field(examples=["ZRH"], pattern="^[A-Z]{3}$")],
    ],
    ids=str,
)  # fmt: skip
def test_an_example_fits_its_schema(kind):
    class Params(BaseModel):
        value: kind

    schema = examples.params_schema(spec_of(Params))

    example = examples.example_params(schema)

    Params.model_validate(example)
    jsonschema.Draft202012Validator(schema).validate(example)


def test_the_default_of_a_redacted_param_is_not_told():
    class Params(BaseModel):
        user: str = "bob"
        password: str = Field(default="hunter2", examples=["hunter2"])

    schema = examples.params_schema(spec_of(Params, redact=frozenset({"password"})))

    assert "hunter2" not in str(schema)
    assert "hunter2" not in str(examples.example_params(schema))
    assert schema["properties"]["user"]["default"] == "bob"


def test_a_type_that_json_schema_has_no_words_for_leaves_a_schema_that_says_so():
    class Params(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        hook: Callable[[], Any]

    schema = examples.params_schema(spec_of(Params))

    assert schema["type"] == "object"
    assert "no words" in schema["description"]
    assert examples.example_params(schema) == {}


def test_every_registered_class_has_an_example_that_it_takes():
    site = [spec for spec in registry.specs() if spec.path.startswith(("jobs.", "tests.jobs."))]

    for spec in site:
        example = examples.example_params(examples.params_schema(spec))

        assert spec.params.check(example).keys() >= example.keys()
