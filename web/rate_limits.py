"""Rate limits: predictions per API key or address in a fixed window. Off by default.

All processes share their counts in Redis. While Redis does not answer, each process counts separately.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from time import monotonic, time
from zlib import crc32

import limits
from flask import Flask, Response, current_app, g, request
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from werkzeug.exceptions import TooManyRequests

from config import OFF, Settings, SettingsError
from web import metrics
from web.access_control import key_digest

_TIMEOUT = 0.2  # seconds that Redis may take to accept a connection, and again to answer
_RETRY_INTERVAL = 5.0  # seconds between attempts to use a storage that has failed

_log = logging.getLogger("digits.rate_limits")


@dataclass(frozen=True, slots=True)
class Quota:
    """What remains of a client's limit."""

    remaining: int  # predictions in this window; negative when the last request was refused
    reset: int  # seconds until the next window, at least 1


class RateLimiter:
    """Counts predictions in fixed windows: in `storage`, or in memory while that fails."""

    def __init__(self, rate: str, storage: Storage) -> None:
        self.limit = limits.parse(rate)
        self._storage = storage
        self._fallback = MemoryStorage()
        self._failed = False
        self._retry_at = 0.0
        self._lock = threading.Lock()

    def hit(self, client: str, cost: int = 1) -> Quota:
        """Count `cost` predictions of `client`. A batch that does not fit is refused and not counted."""
        period = self.limit.get_expiry()
        # Windows end at different times for different clients, so that they do not all return at once. The window is
        # computed from the current time only, so that setting the clock back does not extend it.
        window, elapsed = divmod(time() + crc32(client.encode()) % period, period)
        key = self.limit.key_for(client, str(int(window)))
        count = self._count(lambda storage: storage.incr(key, period, cost))
        if count > self.limit.amount and cost > 1:
            self._count(lambda storage: storage.incr(key, period, -cost))
        return Quota(self.limit.amount - count, ceil(period - elapsed))

    def _count(self, increment: Callable[[Storage], int]) -> int:
        if not self._may_use_storage():
            return increment(self._fallback)
        is_retry = self._failed
        try:
            count = increment(self._storage)
        except StorageError as error:
            self._set_failed(error)
            return increment(self._fallback)
        if is_retry:
            self._set_failed(None)
        return count

    def _may_use_storage(self) -> bool:
        """Whether to try the storage; after a failure only one request in each interval does, and may be slow."""
        with self._lock:
            if self._failed and monotonic() < self._retry_at:
                return False
            self._retry_at = monotonic() + _RETRY_INTERVAL
            return True

    def _set_failed(self, error: StorageError | None) -> None:
        with self._lock:
            changed = self._failed != (error is not None)
            self._failed = error is not None
        if changed:
            metrics.set_rate_limit_fallback(self._failed)
            if error:
                _log.warning("rate limits: the storage failed, this process now counts for itself: %s", error)
            else:
                _log.warning("rate limits: the storage works again")


def init_app(app: Flask, settings: Settings) -> None:
    """Apply the rate limit in the settings. Raises `SettingsError`."""
    if settings.rate_limit == OFF:
        return
    try:
        storage = storage_from_string(
            settings.rate_limit_storage, wrap_exceptions=True, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
        )
    except (ConfigurationError, ImportError, ValueError) as error:
        raise SettingsError(f"setting DIGITS_RATE_LIMIT_STORAGE is invalid: {error}") from error
    if not isinstance(storage, Storage):
        raise SettingsError("setting DIGITS_RATE_LIMIT_STORAGE is invalid: an asynchronous storage cannot be used")
    app.extensions["rate_limiter"] = RateLimiter(settings.rate_limit, storage)
    app.before_request(_count_prediction)
    app.after_request(_set_headers)


def count_predictions(number: int) -> None:
    """Count `number` predictions of this request's client. Raises `TooManyRequests`."""
    limiter: RateLimiter | None = current_app.extensions.get("rate_limiter")
    if limiter is None or number < 1:
        return
    g.quota = limiter.hit(_client(), number)
    if g.quota.remaining < 0:
        raise TooManyRequests


def _count_prediction() -> None:
    if request.method == "POST" and request.endpoint is not None:  # every view for POST predicts
        count_predictions(1)


def _client() -> str:
    """The client's API key, IPv4 address, or IPv6 /64 network, within which one client can use any address."""
    digest = key_digest()
    if digest is not None:
        return digest
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:  # a Unix socket has none
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return str(address)


def _set_headers(response: Response) -> Response:
    """Set the headers of draft-ietf-httpapi-ratelimit-headers-10."""
    quota: Quota | None = g.get("quota")
    if quota is not None:
        limit = current_app.extensions["rate_limiter"].limit
        response.headers["RateLimit-Policy"] = f'"default";q={limit.amount};w={limit.get_expiry()}'
        response.headers["RateLimit"] = f'"default";r={max(0, quota.remaining)};t={quota.reset}'
        if response.status_code == 429:
            response.headers["Retry-After"] = str(quota.reset)
    return response
