"""Who may use the API, from where, and how often: keys, allowed origins, rate limits. All are off unless set."""

from __future__ import annotations

import hashlib
import hmac
import time

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter
from limits.errors import ConfigurationError

from config import OFF, Settings, SettingsError, split_list
from web.operations import current_settings
from web.problems import MissingKey

# What a page needs to load, and what says how the server is, is there for everybody.
_OPEN_ENDPOINTS = frozenset(
    {"static", "api.index", "api.live", "api.ready", "docs.openapi", "docs.page", "docs.asset", "operations.metrics"}
)
_COUNTED_ENDPOINTS = frozenset({"api.predict", "api.predict_batch", "api.explain", "pages.read_upload"})
_EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
_PREFLIGHT_AGE = "600"


def init_app(app: Flask, settings: Settings) -> None:
    """Guard `app` as the settings say. Raises `SettingsError`."""
    app.before_request(_require_key)
    if settings.rate_limit != OFF:
        _limit_rates(app, settings)
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


# ---- rates ----


def _limit_rates(app: Flask, settings: Settings) -> None:
    try:
        limiter = Limiter(
            _client_name,
            storage_uri=settings.rate_limit_storage,
            strategy="fixed-window",
            application_limits=[settings.rate_limit],
            in_memory_fallback_enabled=True,  # without Redis each process counts for itself
        )
        limiter.request_filter(_is_uncounted)
        limiter.init_app(app)
    except (ConfigurationError, ImportError, ValueError) as error:
        raise SettingsError(f"setting DIGITS_RATE_LIMIT_STORAGE does not fit: {error}") from error
    app.extensions["digits_limiter"] = limiter
    app.after_request(_show_rate)


def _client_name() -> str:
    return key_digest() or request.remote_addr or "unknown"


def _is_uncounted() -> bool:
    return request.endpoint not in _COUNTED_ENDPOINTS or request.method == "OPTIONS"


def _show_rate(response: Response) -> Response:
    """RateLimit headers, as in draft-ietf-httpapi-ratelimit-headers-10."""
    limit = current_app.extensions["digits_limiter"].current_limit
    if limit is not None:
        seconds = max(0, int(limit.reset_at - time.time()) + 1)
        response.headers["RateLimit-Policy"] = f'"default";q={limit.limit.amount};w={limit.limit.get_expiry()}'
        response.headers["RateLimit"] = f'"default";r={max(0, limit.remaining)};t={seconds}'
        if response.status_code == 429:
            response.headers["Retry-After"] = str(seconds)
    return response


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
