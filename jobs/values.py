"""Values of the hot path: frozen to the type checker, without what that costs at run time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[Class]) -> type[Class]:
    """Make `cls` a dataclass with slots and keywords only, whose attributes nobody may write.

    At run time one could. Python takes more than twice as long to make one that it freezes itself,
    and each job that runs makes seven.
    """
    return dataclass(slots=True, kw_only=True)(cls)
