"""A program's key to the REST API, as its owner."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.db import models

PREFIX = "js_"


def digest(token: str) -> str:
    """Return what the row holds of `token`: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """Return a fresh token; it is shown once, and only its digest is stored."""
    return PREFIX + secrets.token_urlsafe(32)


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

    class Meta:
        db_table = "job_api_tokens"
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}...)"
