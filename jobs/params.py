"""A job class's annotations as its params: declare, check, build, JSON schema, redaction."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import (
    ConfigDict,
    PydanticUserError,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticUndefinedAnnotation

from jobs import json_values
from jobs.errors import Fault, InvalidDeclaration, InvalidParams

# Pydantic's kinds of error whose message is a job's own validator's and may repeat a value.
_OWN_WORDS = frozenset({"value_error", "assertion_error"})
_PLACEHOLDERS = frozenset({json_values.REDACTED, json_values.HIDDEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamsSchema:
    """The params of one job class: their checking and their JSON schema are pydantic's."""

    job_name: str
    names: frozenset[str]
    redact: frozenset[str]
    adapter: TypeAdapter[Any]

    def check(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return `raw` checked and coerced, as JSON that PostgreSQL can hold.

        Raises:
            InvalidParams: With every fault found, also that one is given as it is shown where it
                is hidden; no value of a redacted one is repeated.
        """
        return self.written(raw)[0]

    def written(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """Return what `check` does, and the same as compact JSON.

        Raises:
            InvalidParams: As `check`.
        """
        shown = self.shown(raw)
        try:
            built = self.adapter.validate_python(dict(raw))
        except ValidationError as error:
            others = [each for each in self._faults(error, raw) if each["param"] not in shown]
            raise InvalidParams(self.job_name, _as_shown(raw, shown) + others) from None
        if shown:
            raise InvalidParams(self.job_name, _as_shown(raw, shown))
        params = self._dumped(built, raw)
        text = json_values.written(params)
        if text is None:
            self._refuse_faults(params)
            text = json_values.dump(params)
        return params, text

    def _refuse_faults(self, params: Mapping[str, Any]) -> None:
        faults = [
            fault if name not in self.redact else Fault(param=name, message=fault["message"])
            for name, value in params.items()
            for fault in json_values.faults(value, path=name)
        ]
        if faults:
            raise InvalidParams(self.job_name, faults)

    def build(self, params: Mapping[str, Any]) -> Any:
        """Return an instance of the job class with these params, as they stand in a row.

        Raises:
            InvalidParams: The class has changed since the job was dispatched.
        """
        try:
            return self.adapter.validate_python(dict(params))
        except ValidationError as error:
            raise InvalidParams(self.job_name, self._faults(error, params)) from None

    def json_schema(self) -> dict[str, Any]:
        """Return the params as a JSON schema: draft 2020-12, an object, no further properties.

        A type that pydantic checks but can't write as JSON schema leaves a schema that says so.
        """
        try:
            return self.adapter.json_schema()
        except PydanticUserError:
            return {
                "type": "object",
                "title": self.job_name,
                "description": "The params have types that JSON schema has no words for.",
                "properties": {name: {} for name in sorted(self.names)},
                "additionalProperties": False,
            }

    def redacted(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return `params` with the values of the redacted ones hidden."""
        return {
            name: json_values.REDACTED if name in self.redact else value
            for name, value in params.items()
        }

    def shown(self, params: Mapping[str, Any]) -> list[str]:
        """Return which are given as they are shown where they are hidden: nobody's secret."""
        # Asked at every dispatch, where there is hardly ever one.
        found = [
            name
            for name, value in params.items()
            if isinstance(value, str) and value in _PLACEHOLDERS
        ]
        if not found:
            return found
        return sorted(
            name for name in found if params[name] == json_values.HIDDEN or name in self.redact
        )

    def secrets(self, params: Mapping[str, Any]) -> list[str]:
        """Return the texts that must not be shown of these params, longest first."""
        return json_values.secrets_in(
            value for name, value in params.items() if name in self.redact
        )

    def is_complete(self) -> bool:
        """Whether every annotation could be resolved; a name that can't fails only at dispatch."""
        if not self.adapter.pydantic_complete:
            try:
                self.adapter.rebuild(raise_errors=True)
            except (PydanticUndefinedAnnotation, PydanticUserError, NameError):
                return False
        return True

    def _dumped(self, built: Any, raw: Mapping[str, Any]) -> dict[str, Any]:
        try:
            # round_trip: a Json param is written as the text that it is read from again.
            dumped: dict[str, Any] = self.adapter.dump_python(built, mode="json", round_trip=True)
        except ValueError as error:
            why = json_values.scrubbed(str(error), self.secrets(raw))
            fault = Fault(param="(whole)", message=f"can't be written as JSON: {why}")
            raise InvalidParams(self.job_name, [fault]) from None
        return dumped

    def _faults(self, error: ValidationError, raw: Mapping[str, Any]) -> list[Fault]:
        secrets = self.secrets(raw)
        return [
            Fault(
                param=self._place(item["loc"]),
                message=self._message(item["type"], item["msg"], item["loc"], secrets),
            )
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        ]

    def _place(self, loc: tuple[int | str, ...]) -> str:
        # Within a redacted param a key may be a secret itself.
        shown = loc[:1] if loc and loc[0] in self.redact else loc
        return ".".join(str(part) for part in shown) or "(whole)"

    def _message(self, kind: str, text: str, loc: tuple[int | str, ...], secrets: list[str]) -> str:
        if kind == "unexpected_keyword_argument":
            return f"is no param of {self.job_name}; its params are: {self._names()}"
        if kind == "missing":
            return "is required"
        if kind in _OWN_WORDS and loc and loc[0] in self.redact:
            return "is not valid"
        own = text.removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return json_values.scrubbed(own, secrets)

    def _names(self) -> str:
        return ", ".join(sorted(self.names)) or "none"


def declare(
    cls: type[Any],
    *,
    job_name: str,
    base: type[Any],
    reserved: Collection[str],
    redact: tuple[str, ...],
) -> ParamsSchema:
    """Make `cls` a dataclass of its annotations, in place, and return its params.

    Args:
        cls: A subclass of `base`, just made.
        job_name: The name it is registered under.
        base: The class every job class descends from; itself without params.
        reserved: Names that no param may bear.
        redact: Names of the params whose values are hidden.

    Raises:
        InvalidDeclaration: What is wrong and what to do.
    """
    _refuse_foreign_annotations(cls, base)
    _refuse_bare_overrides(cls)
    try:
        dataclass(kw_only=True, repr=False, eq=False)(cls)
    except (ValueError, TypeError) as error:
        raise InvalidDeclaration(
            f"{cls.__name__}: {error}. A param's default must be immutable; "
            "for a list or dict write: field(default_factory=list)."
        ) from error
    names = frozenset(field.name for field in dataclasses.fields(cls))
    _refuse_reserved(cls, names, reserved)
    _refuse_secrets(cls, names)
    unknown = set(redact) - names
    if unknown:
        raise InvalidDeclaration(
            f"{cls.__name__}: redact names {_listed(unknown)}, which is no param of it."
        )
    cls.__pydantic_config__ = ConfigDict(extra="forbid")
    try:
        adapter = TypeAdapter(cls)
    except PydanticUserError as error:
        raise InvalidDeclaration(
            f"{cls.__name__}: a param has a type that can't be checked: {error.message}"
        ) from error
    return ParamsSchema(job_name=job_name, names=names, redact=frozenset(redact), adapter=adapter)


def _refuse_foreign_annotations(cls: type[Any], base: type[Any]) -> None:
    for ancestor in cls.__mro__[1:]:
        # A dataclass ignores the annotations of an ancestor that is none: its params would vanish.
        if (
            ancestor is not object
            and not issubclass(ancestor, base)
            and not issubclass(base, ancestor)
            and inspect.get_annotations(ancestor)
        ):
            raise InvalidDeclaration(
                f"{cls.__name__}: its mixin {ancestor.__name__} has annotations, which "
                f"would be lost. Derive {ancestor.__name__} from {base.__name__} and set "
                "abstract = True on it."
            )


def _refuse_bare_overrides(cls: type[Any]) -> None:
    inherited = {
        field.name
        for ancestor in cls.__mro__[1:]
        if dataclasses.is_dataclass(ancestor)
        for field in dataclasses.fields(ancestor)
    }
    bare = (inherited & cls.__dict__.keys()) - inspect.get_annotations(cls).keys()
    if bare:
        raise InvalidDeclaration(
            f"{cls.__name__}: {_listed(bare)} is an inherited param; to give it another default, "
            "repeat its annotation."
        )


def _refuse_reserved(cls: type[Any], names: Collection[str], reserved: Collection[str]) -> None:
    taken = set(names) & set(reserved) | {name for name in names if name.startswith("_")}
    if taken:
        raise InvalidDeclaration(
            f"{cls.__name__}: {_listed(taken)} can't be a param's name. An annotated attribute "
            "is a param, a plain one an option: to set an option, leave out its annotation. "
            "Reserved are names that begin with an underscore and: "
            f"{', '.join(sorted(reserved))}."
        )


def _refuse_secrets(cls: type[Any], names: Collection[str]) -> None:
    try:
        types = get_type_hints(cls)
    except (NameError, AttributeError, TypeError):
        return  # `is_complete` tells of it
    # Their JSON is asterisks, and the row's JSON is what the job is built from.
    secrets = [name for name in names if _holds_secret(types[name])]
    if secrets:
        raise InvalidDeclaration(
            f"{cls.__name__}: {_listed(secrets)} has a secret type of pydantic's, whose value no "
            "row can hold. Declare it as str and name it in redact."
        )


def _holds_secret(kind: Any) -> bool:
    own = get_origin(kind) or kind
    return (isinstance(own, type) and issubclass(own, SecretStr | SecretBytes | Secret)) or any(
        _holds_secret(part) for part in get_args(kind)
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))


def _as_shown(raw: Mapping[str, Any], names: Sequence[str]) -> list[Fault]:
    told = "is {!r}, as a secret is shown: write the secret itself"
    return [Fault(param=name, message=told.format(raw[name])) for name in names]
