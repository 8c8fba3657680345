"""Prebuilt responses for requests that are refused without calling the app.

The app renders each of them once, with its problem types, pages and headers; only the request id is replaced.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import create_environ, run_wsgi_app

from config import Settings
from web import metrics
from web.problems import FORCED_ERROR, Overloaded, problem_type_of

_PLACEHOLDER = "0" * 32
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_FIRST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/1\.1\r\n")
_NOT_SIMPLE = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_ORIGIN = re.compile(rb"\r\norigin:[ \t]*([!-~]+)[ \t]*(?=\r\n)", re.IGNORECASE)
_ANY_ORIGIN = "https://any.invalid"
_IS_SECURE = re.compile(rb"\r\nx-forwarded-proto:[ \t]*https", re.IGNORECASE)


class Refusal(NamedTuple):
    """A response, and the state of the connection after it."""

    data: bytes
    is_complete: bool  # the whole request has arrived
    keep_alive: bool  # the connection can be reused


class _Template(NamedTuple):
    """A rendered response with a placeholder for the request id, and how it is counted."""

    head: bytes
    body: bytes
    status: int
    type: str


class Refusals:
    """The responses of `app` to requests that it does not receive."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._template = lru_cache(maxsize=64)(self._render)
        settings: Settings = app.extensions["settings"]
        self._origins = settings.cors_origins

    def overloaded(self, request: bytes, *, keep_alive: bool = True) -> Refusal:
        """The response to `request`, which may be incomplete, when too many are waiting."""
        is_api = request.partition(b" ")[2].startswith(b"/api/")
        origin = _find_origin(request)
        # Rendering costs as much as answering, so clients must not be able to cause new templates.
        known = origin if origin in self._origins else origin and _ANY_ORIGIN
        template = self._template(Overloaded, is_api, bool(_IS_SECURE.search(request)), known)
        head = template.head.replace(_ANY_ORIGIN.encode(), origin.encode())
        is_complete = _is_complete(request)
        keep_alive = keep_alive and is_complete and not _CLOSES.search(request)
        data = _join(head, b"" if request.startswith(b"HEAD ") else template.body, keep_alive)
        return Refusal(data, is_complete, keep_alive)

    def invalid_request(self, error: Callable[[], HTTPException]) -> bytes:
        """The response to a request that cannot be parsed, which closes the connection. Counts it."""
        template = self._template(error, True, False, "")
        metrics.count_early_refusal(template.type, template.status)
        return _join(template.head, template.body, keep_alive=False)

    def _render(self, error: Callable[[], HTTPException], is_api: bool, is_secure: bool, origin: str) -> _Template:
        exception = error()
        environ = create_environ(
            "/api/" if is_api else "/",
            "https://localhost" if is_secure else "http://localhost",
            headers={"X-Request-ID": _PLACEHOLDER, **({"Origin": origin} if origin else {})},
            environ_overrides={FORCED_ERROR: exception},
        )
        chunks, status, headers = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return _Template(head, b"".join(chunks), exception.code or 500, problem_type_of(exception).type)


def _join(head: bytes, body: bytes, keep_alive: bool) -> bytes:
    connection = b"keep-alive" if keep_alive else b"close"
    answer = head.replace(b"\r\n\r\n", b"\r\nConnection: " + connection + b"\r\n\r\n", 1) + body
    # Not uuid4: its system call releases the GIL, and reacquiring it may have to wait for other threads.
    request_id = f"{random.getrandbits(128):032x}"
    return answer.replace(_PLACEHOLDER.encode(), request_id.encode())


def _find_origin(request: bytes) -> str:
    """The value of the Origin header, or an empty string."""
    found = _ORIGIN.search(request.partition(b"\r\n\r\n")[0] + b"\r\n")
    return found[1].decode() if found else ""


def _is_complete(request: bytes) -> bool:
    """Whether `request` is exactly one HTTP/1.1 request, including its body."""
    head, end, body = request.partition(b"\r\n\r\n")
    if not end or not _FIRST_LINE.match(head) or _NOT_SIMPLE.search(head):
        return False
    lengths = _LENGTH.findall(head + b"\r\n")
    return len(lengths) == head.lower().count(b"content-length") < 2 and len(body) == sum(map(int, lengths))
