"""/schema/ and /docs: the API described, for programs and for people; closed to strangers."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.exceptions import NotAuthenticated

from jobs.api.views.base import AlwaysJson, Guarded


class Schema(Guarded, SpectacularAPIView):
    """OpenAPI 3.1, as JSON, or as YAML where Accept or `?format=yaml` asks for it."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer]


class Docs(Guarded, SpectacularSwaggerView):
    """Swagger UI from the site's own static files."""

    url_name = "jobs_api:schema"
    content_negotiation_class = AlwaysJson

    def handle_exception(self, exc: Exception) -> Any:
        """Send a person without a session to log in; a program is refused as everywhere."""
        is_browser = "text/html" in self.request.headers.get("Accept", "")
        if is_browser and isinstance(exc, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(exc)
