"""What every address of the API has in common: who may ask, JSON in and out, problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import QueryDict
from django.http.response import HttpResponseBase
from rest_framework.authentication import SessionAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from jobs.api import problems
from jobs.api.authentication import BearerToken


class Unread(BaseParser):
    """Leaves a body for json_body: else REST framework's CSRF check would read it, as a form."""

    media_type = "*/*"

    def parse(self, *_: Any, **__: Any) -> QueryDict:
        """Return an empty form."""
        return QueryDict("")


class AlwaysJson(BaseContentNegotiation):
    """JSON, whatever the Accept header says: there is nothing else."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:  # noqa: ARG002
        """Return the first parser."""
        parser: BaseParser = parsers[0]
        return parser

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002
        renderers: Any,
        format_suffix: str | None = None,  # noqa: ARG002
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type


class Guarded(APIView):
    """Closed to strangers; every error is a problem detail. No setting changes either."""

    authentication_classes = [BearerToken, SessionAuthentication]
    permission_classes = [IsAuthenticated]
    http_method_names = ["get", "head", "post"]  # no OPTIONS: nothing is open to other origins

    def get_exception_handler(self) -> Callable[..., Any]:
        """Return the one that makes problem details."""
        return problems.handle

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> Any:
        """Return `response`, marked as this user's alone."""
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]


class View(Guarded):
    """An address that speaks JSON."""

    renderer_classes = [JSONRenderer]
    parser_classes = [Unread]
    content_negotiation_class = AlwaysJson
