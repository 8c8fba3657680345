"""Request bodies that are malformed, cut short or too large for the disk, on the real server."""

import json
import socket
import sys
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from testing.checkpoints import save_untrained
from testing.servers import Server, start_gunicorn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")

_END = b"0\r\n\r\n"
MALFORMED = {
    "size with a prefix": b"0x3\r\n{ }\r\n" + _END,
    "negative size": b"-3\r\n{ }\r\n" + _END,
    "size with an underscore": b"0_3\r\n{ }\r\n" + _END,
    "size with trailing spaces": b"3  \r\n{ }\r\n" + _END,
    "bad terminator": b"3\r\n{ }xx" + _END,
    "extension without a name": b"3;\r\n{ }\r\n" + _END,
    "content-length trailer": b"3\r\n{ }\r\n0\r\nContent-Length: 3\r\n\r\n",
    "size line of 100 KB": b"3;a=" + b"b" * 100_000 + b"\r\n{ }\r\n" + _END,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its log must not show an exception, whatever the tests send."""
    folder = tmp_path_factory.mktemp("server")
    save_untrained(folder / "model.pth")
    with start_gunicorn(
        folder / "log", workers=1, environment={"DIGITS_MODEL_PATH": str(folder / "model.pth")}
    ) as server:
        yield server
    # Only now is the log complete.
    assert "Traceback" not in server.log()
    assert '"trace"' not in server.log()


def send_chunked(connection: socket.socket, target: str, content_type: str, body: bytes) -> None:
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head.encode() + body)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/api/v1/predict", "application/json"),
        ("/api/v1/predict", "multipart/form-data; boundary=b"),
        ("/api/v1/nothing", "application/json"),  # refused before the body is read
        ("/", "multipart/form-data; boundary=b"),
    ],
)
def test_malformed_chunked_body_is_a_bad_request_and_the_last_one(
    server: Server, target: str, content_type: str, body: bytes
) -> None:
    with server.connect() as connection:
        send_chunked(connection, target, content_type, body)
        with HTTPResponse(connection) as answer:
            answer.begin()
            assert answer.status == (404 if target.endswith("nothing") else 400)
            assert answer.headers["Connection"] == "close"
            content = answer.read()
            if target.startswith("/api/"):
                assert json.loads(content)["status"] == answer.status
        assert connection.recv(1) == b""


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_request_whose_malformed_body_is_not_read_is_answered_once(server: Server, body: bytes) -> None:
    head = b"GET /api/v1/health/live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head + body)
        received = b"".join(iter(lambda: connection.recv(2**16), b""))
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


def test_body_that_ends_in_the_middle_of_a_chunk_is_a_bad_request(server: Server) -> None:
    with server.connect() as connection:
        send_chunked(connection, "/api/v1/predict", "application/json", b"9\r\n{")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(2**16).split()[1] == b"400"
