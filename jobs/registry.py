"""The job classes of this process: a name to a spec, and what of a row's params may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jobs import json_values
from jobs.errors import DuplicateJob, UnknownJob
from jobs.spec import JobSpec

_spec_by_name: dict[str, JobSpec] = {}


def register(spec: JobSpec) -> None:
    """Add `spec`; one that comes again from the same place (a module loaded anew) replaces itself.

    Raises:
        DuplicateJob: Another class has this name. Case doesn't tell names apart: the permission to
            run a class bears its name in lower case, and would be one for both.
    """
    for present in _spec_by_name.values():
        if present.name.lower() == spec.name.lower() and present.path != spec.path:
            raise DuplicateJob(name=spec.name, first=present.path, second=spec.path)
    _spec_by_name[spec.name] = spec
    for names in (async_names, atomic_names):
        names.cache_clear()


def get(name: str) -> JobSpec:
    """Return the spec registered under `name`.

    Raises:
        UnknownJob: None is.
    """
    try:
        return _spec_by_name[name]
    except KeyError:
        raise UnknownJob(name, known=_spec_by_name) from None


def find(name: str) -> JobSpec | None:
    """Return the spec registered under `name`, or None: a row may name a class that is gone."""
    return _spec_by_name.get(name)


def specs() -> list[JobSpec]:
    """Return every spec, by name."""
    return [_spec_by_name[name] for name in sorted(_spec_by_name)]


@cache
def async_names() -> list[str]:
    """Return the names of the async job classes; asked at every start."""
    return [spec.name for spec in specs() if spec.is_async]


@cache
def atomic_names() -> list[str]:
    """Return the names of the atomic job classes; asked at every start."""
    return [spec.name for spec in specs() if spec.atomic]


def shown_params(job_class: str, params: object) -> dict[str, Any]:
    """Return the params of a row with the redacted ones hidden.

    Of a class that this process doesn't know all are hidden: nobody can say which were secret. None
    are shown that aren't named, in a row that somebody wrote by hand: its attempts fail by it.
    """
    spec = find(job_class)
    if not isinstance(params, Mapping):
        return {}
    if spec is None:
        return dict.fromkeys(params, json_values.HIDDEN)
    return spec.params.redacted(params)


def secrets(job_class: str, params: object) -> list[str]:
    """Return the texts of a row's params that must not be shown, for `json_values.scrubbed`."""
    spec = find(job_class)
    if spec is None or not isinstance(params, Mapping):
        return []
    return spec.params.secrets(params)
