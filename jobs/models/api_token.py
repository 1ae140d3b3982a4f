"""A program's key to the REST API, as its owner."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL

from jobs.models import clock

PREFIX = "js_"


def digest(token: str) -> str:
    """Return what the row holds of `token`: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """Return a fresh token; it is shown once, and only its digest is stored."""
    return PREFIX + secrets.token_urlsafe(32)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Opening a door with a token, by the database's clock."""

    def use(self, token: str) -> ApiToken | None:
        """Return the row of `token` with its owner, or None where it opens nothing.

        It opens nothing if it is unknown, has expired, or its owner is inactive. One query, and a
        second one where it is the token's first use in this hour.
        """
        found = (
            self.filter(digest=digest(token), owner__is_active=True)
            .filter(Q(expires_at=None) | Q(expires_at__gt=RawSQL(clock.NOW, ())))
            .select_related("owner")
            .annotate(is_noted=RawSQL(f"coalesce(last_used_at >= {_this_hour()}, false)", ()))
            .first()
        )
        if found is not None and not vars(found)["is_noted"]:
            self.filter(pk=found.pk).update(last_used_at=RawSQL(_this_hour(), ()))
        return found


def _this_hour() -> str:
    return f"date_trunc('hour', {clock.NOW})"


class ApiToken(models.Model):
    """Acts as its owner, with the owner's permissions, until it expires or is deleted."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100, help_text="What the token is for.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False)  # its first characters, to tell it apart
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)  # to the hour

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        db_table = "job_api_tokens"
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}...)"


def issue(owner: Any, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """Make a token for `owner`; return its row and the token itself, which nobody can read again.

    Args:
        owner: The user it acts as.
        name: What it is for, at most 100 characters.
        expires_at: From when it is refused; None means never.
    """
    token = new_token()
    row = ApiToken.objects.create(
        owner=owner,
        name=name,
        digest=digest(token),
        hint=token[:8],
        expires_at=expires_at,
    )
    return row, token
