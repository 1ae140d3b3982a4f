"""The problems that OpenAPI lists for an address."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse

from jobs.api.problems import CONTENT_TYPE, Kind
from jobs.api.serializers import ProblemDetails


def problems(*kinds: Kind) -> dict[tuple[int, str], Any]:
    """Return `kinds` as extend_schema's responses; kinds of one status share a line."""
    titles: dict[int, list[str]] = {}
    for kind in kinds:
        titles.setdefault(kind.status, []).append(f"{kind.title} (`{kind.type}`)")
    return {
        (status, CONTENT_TYPE): OpenApiResponse(ProblemDetails, description="; ".join(lines))
        for status, lines in titles.items()
    }
