"""Nobody let in: headers on every answer, limits on every body, no writes from other sites, no word of strangers."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted

from config import Settings, split_list
from web.access import is_allowed_origin
from web.problems import CrossSiteRequest, UnknownHost

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
STRICT_TRANSPORT = "max-age=31536000"
# Probes and scrapers come by address, whatever the public name of the server is.
_ASKED_BY_ADDRESS = frozenset({"api.live", "api.ready", "operations.metrics"})


def init_app(app: Flask, settings: Settings) -> None:
    """Guard every route of `app`; a view that takes pictures raises the body limit for its own request."""
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_plain_body_bytes
    # Werkzeug counts its read buffer of 64 KiB, and what the last one left over, against this too: less refuses files.
    app.config["MAX_FORM_MEMORY_SIZE"] = 2 * 2**16
    app.config["MAX_FORM_PARTS"] = 100
    if proxies := split_list(settings.trusted_proxies):
        app.wsgi_app = _BehindProxies(app.wsgi_app, proxies)  # type: ignore[method-assign]
    if hosts := [host.lower() for host in split_list(settings.trusted_hosts)]:
        app.before_request(lambda: _refuse_unknown_host(hosts))
    app.before_request(_refuse_cross_site)
    app.after_request(_set_headers)


class _BehindProxies:
    """Takes the client's address and scheme from the last proxy's X-Forwarded headers, where that proxy is trusted."""

    def __init__(self, app: WSGIApplication, proxies: Iterable[str]) -> None:
        self._plain = app
        self._forwarded = ProxyFix(app, x_for=1, x_proto=1)
        self._networks = [ip_network(proxy) for proxy in proxies]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        app = self._forwarded if self._trusts(environ.get("REMOTE_ADDR", "")) else self._plain
        return app(environ, start_response)

    def _trusts(self, address: str) -> bool:
        try:
            peer = ip_address(address)
        except ValueError:  # a Unix socket has none
            return False
        # What listens on IPv6 sees an IPv4 peer as ::ffff:1.2.3.4.
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self._networks)


def _refuse_unknown_host(hosts: list[str]) -> None:
    """Refuse requests addressed to a name that is not ours: DNS rebinding, poisoned links."""
    if request.endpoint not in _ASKED_BY_ADDRESS and not host_is_trusted(request.host.lower(), hosts):
        raise UnknownHost


def _refuse_cross_site() -> None:
    """Refuse requests with effects that a page of another site makes a visitor's browser send.

    Programs send neither header and pass, as in Go's net/http.CrossOriginProtection.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        # Older browsers, and all browsers on plain http: but for localhost, say no more than the origin.
        origin = request.headers.get("Origin")
        allowed = origin is None or origin.partition("://")[2] == request.host
    if not allowed and not is_allowed_origin():
        raise CrossSiteRequest


def _set_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    return response
