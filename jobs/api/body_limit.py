"""A bound on bodies before anything reads them: Django spools an ASGI body whole, to disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

from jobs.api.problems import BODY_TOO_LARGE, Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class BodyLimit:
    """An ASGI application around the site's: bodies over DATA_UPLOAD_MAX_MEMORY_SIZE are cut off.

    A declared length is refused before a byte is read, a chunked body once it has passed the limit.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if scope["type"] != "http" or limit is None:
            await self.application(scope, receive, send)
            return
        if _declared(scope) > limit:
            await _refuse(send)
            return
        bounded = _Bounded(receive, limit)
        await self.application(scope, bounded, send)
        if bounded.left < 0:
            # Django reads a body to its end before it begins an answer: none was begun.
            await _refuse(send)


class _Bounded:
    """Past the limit it says that the client has gone: Django then drops what it has read."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.receive = receive
        self.left = limit

    async def __call__(self) -> Message:
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        return message if self.left >= 0 else {"type": "http.disconnect"}


def _declared(scope: Message) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(send: Send) -> None:
    response = Problem(kind=BODY_TOO_LARGE).response({"Connection": "close"})
    headers = [(name.encode(), value.encode()) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
