"""The site's addresses: the admin, and everything `jobs` speaks over HTTP."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.autodiscover()  # a worker has not; a job of its may ask for an address

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("", include("jobs.api.urls")),
]
