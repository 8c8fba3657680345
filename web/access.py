"""Who may use the API, and from where: keys and allowed origins (CORS). Both are off unless set."""

from __future__ import annotations

import hashlib
import hmac

from flask import Flask, Response, request

from config import OFF, split_list
from web.operations import current_settings
from web.problems import MissingKey

# What a page needs to load, and what says how the server is, is there for everybody.
_OPEN_ENDPOINTS = frozenset(
    {"static", "api.index", "api.live", "api.ready", "docs.openapi", "docs.page", "docs.asset", "operations.metrics"}
)
_EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
_PREFLIGHT_AGE = "600"


def init_app(app: Flask) -> None:
    """Require API keys, and let pages of other origins read answers, as the settings say."""
    app.before_request(_require_key)
    app.after_request(_let_origins_read)


# ---- keys ----


def _require_key() -> Response | None:
    if request.endpoint is None or request.endpoint in _OPEN_ENDPOINTS or _is_preflight():
        return None
    known = split_list(current_settings().api_keys)
    if not known or key_digest() is not None:
        return None
    error = MissingKey()
    # Pages are opened by people: with Basic, their browser asks for the key, and sends it with all that follows.
    scheme = (
        "Bearer"
        if request.path.startswith("/api/")
        else 'Basic realm="Handwritten digits: the password is your API key"'
    )
    error.challenge = scheme
    raise error


def key_digest() -> str | None:
    """SHA-256 of the key that came with the request, where it is one of ours."""
    given = _given_key()
    if given is None:
        return None
    digest = hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()
    # All of them are compared, each in constant time: how long it takes says nothing of any.
    matches = [hmac.compare_digest(digest, known) for known in split_list(current_settings().api_keys)]
    return digest if any(matches) else None


def _given_key() -> str | None:
    authorization = request.authorization
    if authorization is None:
        return request.headers.get("X-API-Key")
    return authorization.token if authorization.type == "bearer" else authorization.password


# ---- origins ----


def is_allowed_origin() -> bool:
    """Whether the request comes from a page of an origin that the settings allow to use the API."""
    origins = split_list(current_settings().cors_origins)
    return _is_api() and bool({"*", request.headers.get("Origin")} & set(origins))


def _is_api() -> bool:
    return request.path.startswith("/api/") or request.path == "/openapi.json"


def _is_preflight() -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _let_origins_read(response: Response) -> Response:
    if current_settings().cors_origins == OFF or not _is_api():
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
