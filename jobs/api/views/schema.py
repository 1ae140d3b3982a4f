"""/schema/ and /docs: the API described, for programs and for people; closed to strangers."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from jobs.api.views.base import AlwaysJson, Guarded


class Schema(Guarded, SpectacularAPIView):
    """OpenAPI 3.1, as JSON, or as YAML where Accept or `?format=yaml` asks for it."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer]


class Docs(Guarded, SpectacularSwaggerView):
    """Swagger UI from the site's own static files."""

    url_name = "jobs_api:schema"
    content_negotiation_class = AlwaysJson

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Send a person without a session to log in; a program is refused as everywhere."""
        is_browser = "text/html" in request.headers.get("Accept", "")
        if is_browser and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return super().dispatch(request, *args, **kwargs)
