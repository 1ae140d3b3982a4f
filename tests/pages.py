"""The pages of the docs as tests read them: their code, and what it declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs import registry


def text(path: str) -> str:
    """Return a page, by its path in the project."""
    return (Path(settings.BASE_DIR) / path).read_text()


def blocks(path: str) -> list[str]:
    """Return a page's blocks of Python, in order."""
    return re.findall(r"^```python\n(.*?)^```", text(path), re.MULTILINE | re.DOTALL)


@contextmanager
def declared(code: str, *names: str) -> Iterator[dict[str, Any]]:
    """Run a block that declares job classes, give what it names; the classes are forgotten again.

    Args:
        code: The block.
        names: Classes of the tests that bear the same names.
    """
    before = dict(registry._spec_by_name)
    for name in names:
        registry._spec_by_name.pop(name, None)
    scope: dict[str, Any] = {"__name__": __name__}
    exec(code, scope)  # noqa: S102 - our own page
    yield scope
    registry._spec_by_name.clear()
    registry._spec_by_name.update(before)
