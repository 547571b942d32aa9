"""Log in, log out: for every role, not only for those whom the admin lets in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import path

from console.theme import comes_for_files
from console.views.shell import looks


class Login(LoginView):
    """The login page; who is already in goes on to the page they wanted."""

    template_name = "login.html"
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Whoever comes for files, and may start nothing, begins where the files are."""
        return resolve_url("library") if comes_for_files(self.request) else super().get_default_redirect_url()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), **looks(), "title": "Log in"}


def locked(request: HttpRequest, credentials: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> HttpResponse:
    """After too many wrong passwords: the login page, with how long to wait."""
    view = Login()
    view.setup(request)
    shown = view.get_context_data(form=view.get_form_class()(request), is_locked=True)
    answer = render(request, "login.html", shown, status=429)
    answer["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return answer


urlpatterns = [
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
