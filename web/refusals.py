"""Refusals as bytes for a socket: what the server says to a request that the app never sees.

They are made by the app itself, once for each kind, so that they have its problems, pages and headers; only the id of
the request differs from one to the next.
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
from web.problems import GIVEN_ERROR, Overloaded, kind_of

_PLACEHOLDER = "0" * 32
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_FIRST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/1\.1\r\n")
_NEEDS_CARE = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_ORIGIN = re.compile(rb"\r\norigin:[ \t]*([!-~]+)[ \t]*(?=\r\n)", re.IGNORECASE)
_ANY_ORIGIN = "https://any.invalid"
_IS_SECURE = re.compile(rb"\r\nx-forwarded-proto:[ \t]*https", re.IGNORECASE)


class Refusal(NamedTuple):
    """What to send, and what that leaves of the connection."""

    data: bytes
    is_whole: bool  # nothing more of the request is to come
    keeps_open: bool  # the connection may be used again


class _Template(NamedTuple):
    """An answer, with a placeholder for the request's id, and as what it is counted."""

    head: bytes
    body: bytes
    status: int
    type: str


class Refusals:
    """Answers of `app` to requests that it does not get to see."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._template = lru_cache(maxsize=64)(self._render)
        settings: Settings = app.extensions["settings"]
        self._origins = settings.cors_origins

    def overloaded(self, request: bytes, *, may_stay: bool = True) -> Refusal:
        """Refuse `request`, what has come of it so far, because too many are waiting."""
        is_api = request.partition(b" ")[2].startswith(b"/api/")
        origin = _find_origin(request)
        # No client may have a template of its own made: that would cost as much as an answer.
        known = origin if origin in self._origins else origin and _ANY_ORIGIN
        template = self._template(Overloaded, is_api, bool(_IS_SECURE.search(request)), known)
        head = template.head.replace(_ANY_ORIGIN.encode(), origin.encode())
        is_whole = _is_whole(request)
        keeps_open = may_stay and is_whole and not _CLOSES.search(request)
        data = _join(head, b"" if request.startswith(b"HEAD ") else template.body, keeps_open)
        return Refusal(data, is_whole, keeps_open)

    def no_request(self, error: Callable[[], HTTPException]) -> bytes:
        """The problem, and the last word, to a client that sent no request that makes sense; it is counted."""
        template = self._template(error, True, False, "")
        metrics.count_unseen(template.type, template.status)
        return _join(template.head, template.body, keeps_open=False)

    def _render(self, error: Callable[[], HTTPException], is_api: bool, is_secure: bool, origin: str) -> _Template:
        given = error()
        environ = create_environ(
            "/api/" if is_api else "/",
            "https://localhost" if is_secure else "http://localhost",
            headers={"X-Request-ID": _PLACEHOLDER, **({"Origin": origin} if origin else {})},
            environ_overrides={GIVEN_ERROR: given},
        )
        chunks, status, headers = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return _Template(head, b"".join(chunks), given.code or 500, kind_of(given).type)


def _join(head: bytes, body: bytes, keeps_open: bool) -> bytes:
    connection = b"keep-alive" if keeps_open else b"close"
    answer = head.replace(b"\r\n\r\n", b"\r\nConnection: " + connection + b"\r\n\r\n", 1) + body
    # Not uuid4, which asks the system: a thread that lets go of Python for that waits for all the others.
    request_id = f"{random.getrandbits(128):032x}"
    return answer.replace(_PLACEHOLDER.encode(), request_id.encode())


def _find_origin(request: bytes) -> str:
    """The site whose page asks, or nothing; whether it may read the answer, the app decides."""
    found = _ORIGIN.search(request.partition(b"\r\n\r\n")[0] + b"\r\n")
    return found[1].decode() if found else ""


def _is_whole(request: bytes) -> bool:
    """Whether `request` is one request of HTTP/1.1 and nothing else, with its body, if it has one."""
    head, end, body = request.partition(b"\r\n\r\n")
    if not end or not _FIRST_LINE.match(head) or _NEEDS_CARE.search(head):
        return False
    lengths = _LENGTH.findall(head + b"\r\n")
    return len(lengths) == head.lower().count(b"content-length") < 2 and len(body) == sum(map(int, lengths))
