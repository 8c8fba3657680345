"""Security headers, body limits, cross-site requests, and which hosts and proxies are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from flask import Flask, Response, redirect, request
from werkzeug.exceptions import NotFound, RequestHeaderFieldsTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import RequestRedirect
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wrappers import Response as BaseResponse

from config import Settings
from web.access_control import is_allowed_origin
from web.problems import CrossSiteRequest, UnknownHost

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"
# Pages depend on the language cookie, and may show an uploaded picture.
_PAGE_CACHING = "private, no-cache"
# gunicorn limits a header line to 8 KB, but joins up to 100 with the same name: parsing 800 KB takes a second.
_MAX_HEADERS = 2**16  # characters
# Probes and scrapers use the address of a server, not its name.
_ANY_HOST_ENDPOINTS = frozenset({"api.live", "api.ready", "metrics.export"})


def init_app(app: Flask, settings: Settings) -> None:
    """Protect every route of `app`. Views that accept pictures raise the body limit for their request."""
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_plain_body_bytes
    # Werkzeug counts two of its 64 KiB read buffers against this limit: a smaller one would refuse files.
    app.config["MAX_FORM_MEMORY_SIZE"] = 2 * 2**16
    app.config["MAX_FORM_PARTS"] = 100
    if settings.trusted_proxies:
        app.wsgi_app = _TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    app.before_request(_refuse_large_headers)
    if settings.metrics_port:
        app.before_request(lambda: _separate_metrics(str(settings.metrics_port)))
    if settings.trusted_hosts:
        app.before_request(lambda: _refuse_unknown_host(settings.trusted_hosts))
    app.before_request(_refuse_cross_site)
    app.before_request(_redirect_to_path)
    app.after_request(_set_headers)


class _TrustedProxies:
    """Takes the client's address and scheme from X-Forwarded-For and X-Forwarded-Proto of trusted proxies.

    Only the last value of each is used, which the proxy itself added; invalid values are ignored.
    """

    def __init__(self, app: WSGIApplication, proxies: Iterable[str]) -> None:
        self._direct = app
        self._forwarded = ProxyFix(app, x_for=1, x_proto=1)
        self._networks = [ip_network(proxy) for proxy in proxies]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        peer = _parse_address(environ.get("REMOTE_ADDR", ""))
        if peer is None or not any(peer in network for network in self._networks):
            return self._direct(environ, start_response)
        client = _parse_address(_last_value(environ, "HTTP_X_FORWARDED_FOR"))
        scheme = _last_value(environ, "HTTP_X_FORWARDED_PROTO").lower()
        environ["HTTP_X_FORWARDED_FOR"] = str(client or "")
        environ["HTTP_X_FORWARDED_PROTO"] = scheme if scheme in {"http", "https"} else ""
        return self._forwarded(environ, start_response)


def _last_value(environ: WSGIEnvironment, header: str) -> str:
    value: str = environ.get(header, "")
    return value.rpartition(",")[2].strip()


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address; ::ffff:1.2.3.4, as IPv6 sockets report it, becomes 1.2.3.4. None if `text` is not an address."""
    try:
        address = ip_address(text.partition("%")[0])  # without the zone id
    except ValueError:  # a Unix socket's peer has no address
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _separate_metrics(port: str) -> None:
    """Serve /metrics on `port` only, and nothing else there."""
    if (request.endpoint == "metrics.export") != (request.environ["SERVER_PORT"] == port):
        raise NotFound


def _refuse_large_headers() -> None:
    environ = request.environ
    names = [name for name in environ if name.startswith("HTTP_") or name == "CONTENT_TYPE"]
    if sum(len(environ[name]) for name in names) > _MAX_HEADERS:
        for name in names:
            environ[name] = ""  # rendering and logging the refusal reads them, too
        raise RequestHeaderFieldsTooLarge


def _refuse_unknown_host(hosts: Sequence[str]) -> None:
    """Refuse requests for other host names, as protection against DNS rebinding and forged links."""
    if request.endpoint not in _ANY_HOST_ENDPOINTS and not host_is_trusted(request.host.lower(), hosts):
        raise UnknownHost


def _refuse_cross_site() -> None:
    """Refuse cross-site requests with unsafe methods (CSRF).

    As in Go's net/http.CrossOriginProtection, requests without either header are allowed: browsers send one.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        # Older browsers, and all browsers on plain HTTP except on localhost, send Origin only.
        origin = request.headers.get("Origin")
        allowed = origin is None or origin.partition("://")[2] == request.host
    if not allowed and not is_allowed_origin():
        raise CrossSiteRequest


def _redirect_to_path() -> BaseResponse | None:
    """Redirect to the canonical path of a route, without the host, which Werkzeug copies from the request."""
    error = request.routing_exception
    if not isinstance(error, RequestRedirect):
        return None
    path = error.new_url.split("/", 3)[3]
    return redirect(f"/{path}", error.code)


def _set_headers(response: Response) -> Response:
    response.headers.update(SECURITY_HEADERS)
    if response.mimetype == "text/html":
        response.headers.setdefault("Cache-Control", _PAGE_CACHING)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    return response
