"""The job classes of this process: a name to a spec. The only module-level state in the house."""

from __future__ import annotations

from jobs.errors import DuplicateJob, UnknownJob
from jobs.spec import JobSpec

_spec_by_name: dict[str, JobSpec] = {}


def register(spec: JobSpec) -> None:
    """Add `spec`; one that comes again from the same place (a module loaded anew) replaces itself.

    Raises:
        DuplicateJob: Another class has this name.
    """
    present = _spec_by_name.get(spec.name)
    if present is not None and present.path != spec.path:
        raise DuplicateJob(name=spec.name, first=present.path, second=spec.path)
    _spec_by_name[spec.name] = spec


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
