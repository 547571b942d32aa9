"""Who asks: a token, a browser's session, or somebody on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.http.request import split_domain_port, validate_host
from knox.crypto import hash_token
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, UnsupportedMediaType
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from console.models import ApiToken
from console.roles import Role
from jobs import clock

SCHEME = "Bearer"
PROXY_HEADERS = frozenset(
    f"HTTP_{name}"
    for name in (
        "FORWARDED", "FORWARDED_FOR", "VIA", "X_REAL_IP", "X_CLIENT_IP", "CLIENT_IP", "X_CLUSTER_CLIENT_IP",
        "X_REMOTE_IP", "X_REMOTE_ADDR", "X_HOST", "X_SCHEME", "X_VARNISH", "X_AMZN_TRACE_ID", "X_CLOUD_TRACE_CONTEXT",
        "TRUE_CLIENT_IP", "FASTLY_CLIENT_IP", "CDN_LOOP", "PROXY_CONNECTION", "FRONT_END_HTTPS", "DO_CONNECTING_IP",
        "X_REQUEST_START", "X_QUEUE_START", "X_SSL", "X_HTTPS", "X_COMING_FROM", "REMOTE_ADDR", "REMOTE_USER",
    )
)  # fmt: skip
PROXY_PREFIXES = (
    "HTTP_X_FORWARDED", "HTTP_X_ORIGINAL_", "HTTP_X_PROXY", "HTTP_X_ENVOY_", "HTTP_CF_", "HTTP_X_AZURE_", "HTTP_X_ARR_",
    "HTTP_X_APPENGINE_", "HTTP_X_MS_PROXY", "HTTP_TAILSCALE_", "HTTP_FLY_", "HTTP_X_VERCEL_", "HTTP_X_NF_",
    "HTTP_INCAP_", "HTTP_AKAMAI_", "HTTP_X_AKAMAI_", "HTTP_SSL_CLIENT", "HTTP_X_SSL_", "HTTP_X_CLIENT_",
    "HTTP_X_ORIGINATING_", "HTTP_X_NGINX_", "HTTP_X_TRAEFIK", "HTTP_X_GOOG_", "HTTP_X_AUTH_REQUEST_",
)  # fmt: skip


@dataclass(frozen=True)
class LocalRole:
    """What somebody without a name may do, because the request comes from this machine."""

    role: Role


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer TOKEN`; a wrong token is refused, it never falls back to another way in."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, secret = get_authorization_header(request).strip().partition(b" ")
        if scheme.lower() != SCHEME.lower().encode():
            return None
        token = self._token(secret.strip())
        if token.expiry is not None and token.expiry <= clock.now():
            raise AuthenticationFailed(f"This token expired on {token.expiry:%d %B %Y}: make a new one.")
        if not token.user.is_active:
            raise AuthenticationFailed("The user of this token is no longer active.")
        return token.user, token

    def _token(self, secret: bytes) -> ApiToken:
        """Found by the digest of the secret, so that no comparison tells by its time how much of a guess was right."""
        try:
            digest = hash_token(secret.decode("ascii"))
            found: ApiToken = ApiToken.objects.select_related("user").get(digest=digest)
        except (UnicodeDecodeError, ApiToken.DoesNotExist) as error:
            raise AuthenticationFailed("This token is not known: it was revoked, or mistyped.") from error
        return found

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


class BrowserSession(SessionAuthentication):
    """The session of a browser that has logged in; changes need its CSRF token, whatever their content type."""

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise PermissionDenied(
                "This request has no CSRF token of your session: send it as X-CSRFToken, or use an API token."
            ) from error


class LocalAnonymous(BaseAuthentication):
    """No login for requests from this machine, where CONSOLE_ANONYMOUS_API allows it."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, LocalRole] | None:
        role = settings.CONSOLE_ANONYMOUS_API
        if role == "off" or not _comes_from_here(request):
            return None
        if get_authorization_header(request) or "HTTP_X_API_KEY" in request.META:
            raise AuthenticationFailed("Send the token as `Authorization: Bearer TOKEN`; nothing else is read.")
        _refuse_other_sites(request)
        if request.method not in SAFE_METHODS and _media_type(request) != "application/json":
            raise UnsupportedMediaType(_media_type(request))
        return AnonymousUser(), LocalRole(Role(role))


def _comes_from_here(request: Request) -> bool:
    """The peer is this machine itself and no proxy that speaks for another, as far as a request can tell."""
    if request.is_secure() or _is_proxied(request):
        return False
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _is_proxied(request: Request) -> bool:
    """HTTP/1.0 is what nginx speaks to what it stands before, when it was told nothing else."""
    if request.META.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return True
    return any(name in PROXY_HEADERS or name.startswith(PROXY_PREFIXES) for name in request.META)


def _refuse_other_sites(request: Request) -> None:
    """A page of another site, open in a browser on this machine, must not speak for the person at it."""
    host, _ = split_domain_port(request.get_host())
    named = [name for name in settings.ALLOWED_HOSTS if "*" not in name]  # a wildcard would let DNS rebinding in
    own = f"{request.scheme}://{request.get_host()}"
    is_own_origin = request.headers.get("Origin", own) in (own, *settings.CSRF_TRUSTED_ORIGINS)
    is_own_fetch = request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
    if not (validate_host(host, named) and is_own_origin and is_own_fetch):
        raise AuthenticationFailed("A page of another site may not use this API without a token.")


def _media_type(request: Request) -> str:
    return request.content_type.split(";")[0].strip().lower()
