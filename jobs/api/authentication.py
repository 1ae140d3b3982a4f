"""Who asks: a program with a token, or a person with a session."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from jobs.models import ApiToken

SCHEME = "Bearer"


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer js_...` acts as the token's owner."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """Return the owner and the token; None where the request brings no bearer token.

        Raises:
            AuthenticationFailed: The token opens nothing; whether it is unknown, expired or its
                owner inactive is not said.
        """
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != SCHEME.lower().encode():
            return None
        token = _token(words[1:])
        row = ApiToken.objects.use(token) if token else None
        if row is None:
            raise AuthenticationFailed("This token opens nothing: it may be mistyped or expired.")
        return row.owner, row

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - REST framework's
        """Return what a 401 answer asks for."""
        return f'{SCHEME} realm="jobs"'


def _token(words: list[bytes]) -> str:
    if len(words) != 1 or not words[0].isascii():
        return ""
    return words[0].decode("ascii")
