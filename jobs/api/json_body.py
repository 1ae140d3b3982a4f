"""A request's body: JSON that PostgreSQL can hold, read within a limit, or a problem."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from jobs import json_values
from jobs.api.problems import MALFORMED_JSON, Refusal

MEDIA_TYPE = "application/json"


class _DuplicateKey(ValueError):
    pass


def read(request: Request, *, may_be_empty: bool = False) -> Any:
    """Return the body of `request`.

    REST framework's own reading ignores a body without a Content-Length and lets a later duplicate
    key win; neither is what somebody who starts jobs wants.

    Args:
        request: With its body unread.
        may_be_empty: An empty body, of whatever type, counts as an empty object.

    Raises:
        RequestDataTooBig: It is larger than DATA_UPLOAD_MAX_MEMORY_SIZE.
        UnsupportedMediaType: It is not application/json in UTF-8.
        Refusal: It is not JSON, or not JSON that can be stored.
    """
    raw = _bytes(request)
    if not raw:
        if may_be_empty:
            return {}
        raise Refusal(MALFORMED_JSON, "The body is empty.")
    _refuse_other_types(request)
    body = _parsed(raw)
    for fault in json_values.faults(body):
        raise Refusal(MALFORMED_JSON, f"{fault['param']}: {fault['message']}.")
    return body


def _bytes(request: Request) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    # One byte more than allowed, whatever the Content-Length says: a chunked body has none.
    raw: bytes = request.read() if limit is None else request.read(limit + 1)
    if limit is not None and len(raw) > limit:
        raise RequestDataTooBig(f"more than {limit:,} bytes")
    return raw


def _refuse_other_types(request: Request) -> None:
    media_type, parameters = parse_header_parameters(request.content_type or "")
    charset = parameters.get("charset", "utf-8").lower()
    if media_type != MEDIA_TYPE or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(
            media_type, detail=f"Send the body as {MEDIA_TYPE}, in UTF-8: set Content-Type."
        )


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise Refusal(MALFORMED_JSON, "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refusal(MALFORMED_JSON, f"The body is not JSON: {error.msg}, at {where}.") from None
    except RecursionError:
        raise Refusal(MALFORMED_JSON, "The body is nested too deeply.") from None
    except ValueError as error:
        detail = str(error) if isinstance(error, _DuplicateKey) else "The body has a bad number."
        raise Refusal(MALFORMED_JSON, detail) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _DuplicateKey(f"An object has the key {twice[:100]!r} twice.")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
