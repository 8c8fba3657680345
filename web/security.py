"""Nobody let in: headers on every answer, limits on every body, no writes from other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from config import Settings
from web.access import is_allowed_origin
from web.problems import CrossSiteRequest

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


def init_app(app: Flask, settings: Settings) -> None:
    """Guard every route of `app`; a view that takes pictures raises the body limit for its own request."""
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_plain_body_bytes
    # Werkzeug counts its read buffer of 64 KiB, and what the last one left over, against this too: less refuses files.
    app.config["MAX_FORM_MEMORY_SIZE"] = 2 * 2**16
    app.config["MAX_FORM_PARTS"] = 100
    app.before_request(_refuse_cross_site)
    app.after_request(_set_headers)


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
        allowed = origin is None or urlsplit(origin).netloc == request.host
    if not allowed and not is_allowed_origin():
        raise CrossSiteRequest


def _set_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    return response
