"""API tokens: made for oneself, shown once, deleted to revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers

from jobs.models import ApiToken, api_token, clock

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[ApiToken]
    ModelForm = forms.ModelForm[ApiToken]
else:
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm


class TokenForm(ModelForm):
    """What a person says about a new token."""

    class Meta:
        model = ApiToken
        fields = ("owner", "name", "expires_at")

    def clean_expires_at(self) -> Any:
        """A token that has expired already helps nobody."""
        moment = self.cleaned_data["expires_at"]
        if moment is not None and moment <= clock.read():
            raise forms.ValidationError("This moment has passed.")
        return moment


@admin.register(ApiToken)
class ApiTokenAdmin(ModelAdmin):
    """A token acts as its owner: people make and see their own, a superuser everybody's."""

    form = TokenForm
    list_display = ("name", "owner", "hint", "created_at", "expires_at", "last_used_at")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    ordering = ("-created_at",)
    show_full_result_count = False

    def has_change_permission(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Model | None = None,  # noqa: ARG002
    ) -> bool:
        """A token is never edited: delete it and make another."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """One's own tokens; a superuser sees all."""
        tokens = super().get_queryset(request)
        return tokens if request.user.is_superuser else tokens.filter(owner_id=request.user.pk)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """A person who isn't a superuser makes tokens for themselves."""
        if obj is not None:
            return ["name", "owner", "hint", "created_at", "expires_at", "last_used_at"]
        return (
            ["owner", "name", "expires_at"] if request.user.is_superuser else ["name", "expires_at"]
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A token is mostly for oneself."""
        return {"owner": request.user.pk}

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form with one button: whatever is saved, its token has to be shown next."""
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**one_button, **(extra_context or {})})

    def save_model(
        self,
        request: HttpRequest,
        obj: ApiToken,
        form: Any,  # noqa: ARG002
        change: bool,  # noqa: ARG002, FBT001
    ) -> None:
        """Make the token; the row holds only its digest."""
        owner = obj.owner if request.user.is_superuser else request.user
        row, token = api_token.issue(owner, obj.name, obj.expires_at)
        obj.pk, obj.owner, obj.hint = row.pk, row.owner, row.hint
        vars(obj)["token_shown_once"] = token

    def response_add(
        self,
        request: HttpRequest,
        obj: ApiToken,
        post_url_continue: str | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show the token in this very answer: a message or a session would store it."""
        context = {
            **self.admin_site.each_context(request),
            "title": "API token made",
            "opts": self.opts,
            "api_token": obj,
            "token": vars(obj)["token_shown_once"],
        }
        response = TemplateResponse(request, "admin/jobs/apitoken/made.html", context)
        add_never_cache_headers(response)
        return response
