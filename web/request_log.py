"""Request ids and the request log."""

from __future__ import annotations

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request

from web.logs import FIELDS, shorten
from web.problems import FORCED_ERROR
from web.state import current_settings

_log = logging.getLogger("digits.requests")
# Probes, scrapes and static files are logged at debug level only.
_ROUTINE = frozenset({"api.live", "api.ready", "docs.asset", "metrics.export", "static"})
_PATH_LENGTH = 200  # characters of a path in the log
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Give every request an id, from `X-Request-ID` if the client sends a valid one, and log it."""
    app.before_request(_set_request_id)
    app.after_request(_log_request)
    app.after_request(_send_request_id)


def _set_request_id() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _send_request_id(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    return response


def _log_request(response: Response) -> Response:
    is_routine = request.endpoint in _ROUTINE or FORCED_ERROR in request.environ
    level = logging.DEBUG if is_routine else logging.INFO
    if _log.isEnabledFor(level):
        fields = _describe(response)
        _log.log(level, "%(method)s %(path)s %(status)d", fields, extra={FIELDS: fields})
    return response


def _describe(response: Response) -> dict[str, object]:
    fields: dict[str, object] = {
        "method": shorten(request.method, 20),
        "path": shorten(request.path, _PATH_LENGTH),
        "status": response.status_code,
        "ms": round(1000 * (time.perf_counter() - g.started), 1),
        "bytes": response.content_length,
    }
    return fields | {"address": request.remote_addr} if current_settings().log_addresses else fields
