"""Refusals as bytes for a socket: what the server says to a request that the app never sees.

They are made by the app itself, once for each kind, so that they have its problems, pages and headers; only the id of
the request differs from one to the next.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import create_environ, run_wsgi_app

from web.problems import GIVEN_ERROR

_PLACEHOLDER = uuid.UUID(int=0).hex
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_FIRST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/1\.1\r\n")
_NEEDS_CARE = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_IS_SECURE = re.compile(rb"\r\nx-forwarded-proto:[ \t]*https", re.IGNORECASE)


class Refusal(NamedTuple):
    """What to send, and what that leaves of the connection."""

    data: bytes
    is_whole: bool  # nothing more of the request is to come
    keeps_open: bool  # the connection may be used again


class Refusals:
    """Answers of `app` to requests that it does not get to see."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._template = lru_cache(maxsize=64)(self._render)

    def answer(self, error: Callable[[], HTTPException], request: bytes, is_api: bool | None = None) -> Refusal:
        """Refuse `request`, what has come of it so far, with `error`, as an API does or as a page."""
        if is_api is None:
            is_api = request.partition(b" ")[2].startswith(b"/api/")
        head, body = self._template(error, is_api, bool(_IS_SECURE.search(request)))
        is_whole = _is_whole(request)
        keeps_open = is_whole and not _CLOSES.search(request)
        head = head.replace(b"\r\n\r\n", _CONNECTION[keeps_open], 1)
        answer = head if request.startswith(b"HEAD ") else head + body
        return Refusal(answer.replace(_PLACEHOLDER.encode(), uuid.uuid4().hex.encode()), is_whole, keeps_open)

    def _render(self, error: Callable[[], HTTPException], is_api: bool, is_secure: bool) -> tuple[bytes, bytes]:
        """Head and body of an answer, with a placeholder for the request's id."""
        environ = create_environ(
            "/api/" if is_api else "/",
            "https://localhost" if is_secure else "http://localhost",
            headers={"X-Request-ID": _PLACEHOLDER},
            environ_overrides={GIVEN_ERROR: error()},
        )
        chunks, status, headers = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1"), b"".join(chunks)


_CONNECTION = {True: b"\r\nConnection: keep-alive\r\n\r\n", False: b"\r\nConnection: close\r\n\r\n"}


def _is_whole(request: bytes) -> bool:
    """Whether `request` is one request of HTTP/1.1 and nothing else, with its body, if it has one."""
    head, end, body = request.partition(b"\r\n\r\n")
    if not end or not _FIRST_LINE.match(head) or _NEEDS_CARE.search(head):
        return False
    lengths = _LENGTH.findall(head + b"\r\n")
    return len(lengths) < 2 and len(body) == sum(map(int, lengths))
