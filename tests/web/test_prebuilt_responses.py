"""Prebuilt refusals: CORS headers, keep-alive and the cost of rendering."""

from unittest.mock import patch

import pytest

from config import Settings
from flask_app import create_app
from web.prebuilt_responses import Refusals

ALLOWED, FOREIGN = "https://allowed.example", "https://foreign.example"


def allowed_origin(settings: Settings, origins: tuple[str, ...], request: str) -> str | None:
    """The value of Access-Control-Allow-Origin in the refusal of a request."""
    refusals = Refusals(create_app(settings.model_copy(update={"cors_origins": origins})))
    head = refusals.overloaded(request.encode()).data.partition(b"\r\n\r\n")[0].decode()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    assert headers["Retry-After"] == "1"
    return headers.get("Access-Control-Allow-Origin")


def get(origin: str) -> str:
    return f"GET /api/v1/model HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n"


@pytest.mark.parametrize(
    ("origins", "request_", "expected"),
    [
        ((ALLOWED,), get(ALLOWED), ALLOWED),
        ((FOREIGN, ALLOWED), get(ALLOWED), ALLOWED),
        (("*",), get(ALLOWED), ALLOWED),
        ((ALLOWED,), get(FOREIGN), None),
        ((), get(ALLOWED), None),
        (("*",), "GET /api/v1/model HTTP/1.1\r\nHost: a\r\n\r\n", None),
        (("*",), f"POST /api/v1/predict HTTP/1.1\r\nHost: a\r\n\r\n\r\nOrigin: {ALLOWED}\r\n", None),
        (("*",), f"GET / HTTP/1.1\r\nHost: a\r\nOrigin: {ALLOWED}\r\n\r\n", None),
    ],
    ids=["the one", "of two", "any", "another", "off", "not said", "in the body", "page"],
)
def test_cors_headers_of_a_refusal(
    settings: Settings, origins: tuple[str, ...], request_: str, expected: str | None
) -> None:
    assert allowed_origin(settings, origins, request_) == expected


@pytest.mark.parametrize(
    ("lines", "keep_alive", "expected"),
    [
        ("", True, True),
        ("Content-Length: 0\r\n", True, True),
        ("Connection: close\r\n", True, False),
        ("", False, False),
        ("Content-Length: 0000000047\r\n", True, False),
        ("Content-Length: 47, 47\r\n", True, False),
        ("Content-Length: +47\r\n", True, False),
        ("Content-Length:\r\n 47\r\n", True, False),
        ("Content-Length : 47\r\n", True, False),
        ("Transfer-Encoding: chunked\r\n", True, False),
    ],
)
def test_connection_is_kept_alive_only_after_a_simple_request(
    settings: Settings, lines: str, keep_alive: bool, expected: bool
) -> None:
    request = f"POST /api/v1/predict HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode()
    refusal = Refusals(create_app(settings)).overloaded(request, keep_alive=keep_alive)
    assert refusal.keep_alive is expected
    assert (b"Connection: keep-alive" in refusal.data) is expected


def test_unknown_origins_are_not_each_rendered(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"cors_origins": ("*",)}))
    refusals = Refusals(app)
    with patch.object(app, "wsgi_app", wraps=app.wsgi_app) as answer:
        for number in range(100):
            refusals.overloaded(get(f"https://{number}.example").encode())
    assert answer.call_count == 1
