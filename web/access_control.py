"""API keys and cross-origin requests (CORS). Both are off by default."""

from __future__ import annotations

import hashlib
import hmac

from flask import Flask, Response, request
from werkzeug.datastructures import WWWAuthenticate

from web import metrics
from web.problems import MissingKey
from web.state import current_settings

_PUBLIC_ENDPOINTS = frozenset(
    {"static", "api.index", "api.live", "api.ready", "docs.openapi", "docs.page", "docs.asset", "metrics.export"}
)
_EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
_PREFLIGHT_AGE = "600"
_REALM: dict[str, str | None] = {"realm": "Handwritten digits: the password is your API key"}


def init_app(app: Flask) -> None:
    """Require the API keys and allow the origins in the settings."""
    app.before_request(_require_key)
    app.after_request(_set_cors_headers)


# ---- keys ----


def _require_key() -> Response | None:
    if request.endpoint is None or request.endpoint in _PUBLIC_ENDPOINTS or _is_preflight():
        return None
    known = current_settings().api_keys
    if not known or key_digest() is not None:
        return None
    metrics.count_unauthorized("missing" if _given_key() is None else "unknown")
    # Basic for pages, so that browsers ask for the key and send it with each request.
    is_api = request.path.startswith("/api/")
    raise MissingKey(www_authenticate=WWWAuthenticate("bearer") if is_api else WWWAuthenticate("basic", _REALM))


def key_digest() -> str | None:
    """SHA-256 of the request's API key, if the settings list it."""
    given = _given_key()
    if given is None:
        return None
    digest = hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()
    # All are compared, each in constant time, to prevent timing attacks.
    matches = [hmac.compare_digest(digest, known) for known in current_settings().api_keys]
    return digest if any(matches) else None


def _given_key() -> str | None:
    authorization = request.authorization
    if authorization is None:
        return request.headers.get("X-API-Key")
    return authorization.token if authorization.type == "bearer" else authorization.password


# ---- origins ----


def is_allowed_origin() -> bool:
    """Whether the request is to the API, from a page whose origin the settings allow."""
    allowed = {"*", request.headers.get("Origin")}
    return _is_api() and not allowed.isdisjoint(current_settings().cors_origins)


def _is_api() -> bool:
    return request.path.startswith("/api/") or request.path == "/openapi.json"


def _is_preflight() -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _set_cors_headers(response: Response) -> Response:
    if not current_settings().cors_origins or not _is_api():
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin is None or not is_allowed_origin():
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED
    if _is_preflight():
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET, POST")
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-API-Key, X-Request-ID"
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_AGE
    return response
