"""Load shedding by gunicorn's worker; every response comes from the app, none from gunicorn."""

import json
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import NamedTuple

import gunicorn
import pytest

from testing.checkpoints import save_untrained
from testing.servers import DRAWING, Server, start_gunicorn
from testing.waiting import eventually
from web.security import SECURITY_HEADERS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")

BODY = json.dumps(DRAWING).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker with one thread and no queue, which refuses every request that arrives during another."""
    folder = tmp_path_factory.mktemp("server")
    save_untrained(folder / "model.pth")
    settings = {"DIGITS_MODEL_PATH": str(folder / "model.pth"), "DIGITS_THREADS": "1", "DIGITS_QUEUE": "0"}
    with start_gunicorn(folder / "log", environment=settings, workers=1) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The server, once it has finished the requests of other tests."""
    wait_for_admitted(shared_server, 0)
    return shared_server


@pytest.fixture
def busy(server: Server) -> Iterator[socket.socket]:
    """A connection whose unfinished request holds the only thread."""
    with server.connect() as connection:
        head = "POST /api/v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:10])
        wait_for_admitted(server, 1)
        yield connection


def finish(connection: socket.socket) -> int:
    """Send the rest of the unfinished request; returns the status of its response."""
    connection.sendall(BODY[10:])
    return int(connection.recv(2**16).split()[1])


def wait_for_admitted(server: Server, number: int) -> None:
    """Wait until `number` requests are admitted: a thread is free only some time after its response has been sent."""
    eventually(lambda: count(server, "digits_requests_admitted") == number)


# The worker overrides undocumented methods. Before adding a version here, compare its gunicorn/workers/gthread.py with
# the last one's, run all tests, and run `make overload`.
TESTED_VERSIONS = {"27.0.1"}


def test_worker_is_tested_with_this_version_of_gunicorn() -> None:
    assert gunicorn.__version__ in TESTED_VERSIONS, (
        f"web/load_shedding.py overrides internals of gunicorn and was never tried with {gunicorn.__version__}"
    )


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: Message
    body: bytes


def ask(server: Server, method: str, path: str, body: bytes | None = None) -> Answer:
    with closing(HTTPConnection(*server.address, timeout=60)) as connection:
        return ask_on(connection, method, path, body)


def ask_on(connection: HTTPConnection, method: str, path: str, body: bytes | None = None) -> Answer:
    connection.request(method, path, body, JSON if body else {})
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def assert_security_headers(headers: Message) -> None:
    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert len(headers["X-Request-ID"]) == 32


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("method", "path", "body"), [("POST", "/api/v1/predict", BODY), ("GET", "/api/v1/model", None)]
)
def test_request_that_would_wait_too_long_gets_a_problem(
    server: Server, method: str, path: str, body: bytes | None
) -> None:
    answer = ask(server, method, path, body)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert_security_headers(answer.headers)
    problem = json.loads(answer.body)
    assert (problem["type"], problem["status"]) == ("overloaded", 503)
    assert problem["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.usefixtures("busy")
def test_page_request_that_would_wait_too_long_gets_an_error_page(server: Server) -> None:
    answer = ask(server, "GET", "/")
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert_security_headers(answer.headers)
    assert b"Too busy" in answer.body
    assert ask(server, "HEAD", "/").body == b""


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("path", ["/api/v1/health/live", "/api/v1/health/ready", "/metrics"])
def test_health_and_metrics_are_answered_by_a_busy_server(server: Server, path: str) -> None:
    for _ in range(3):
        assert ask(server, "GET", path).status == 200


@pytest.mark.usefixtures("busy")
def test_refused_upload_gets_a_complete_response(server: Server) -> None:
    answer = ask(server, "POST", "/", bytes(2**20))
    assert answer.status == 503
    assert b"</html>" in answer.body


def test_refused_client_is_answered_later_on_the_same_connection(server: Server, busy: socket.socket) -> None:
    with closing(HTTPConnection(*server.address, timeout=60)) as connection:
        first, opened = ask_on(connection, "GET", "/api/v1/model"), connection.sock
        second = ask_on(connection, "GET", "/api/v1/model")
        assert (first.status, second.status) == (503, 503)
        assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
        assert finish(busy) == 200
        wait_for_admitted(server, 0)
        assert ask_on(connection, "GET", "/api/v1/model").status == 200
        assert connection.sock is opened


def count(server: Server, series: str) -> float:
    lines = [line for line in server.get("/metrics").splitlines() if line.startswith(series + " ")]
    return float(lines[0].split()[1]) if lines else 0.0


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    "series",
    [
        "digits_overloaded_total",
        'digits_problems_total{type="overloaded"}',
        'digits_requests_total{route="none",status="503"}',
    ],
)
def test_refusals_are_counted(server: Server, series: str) -> None:
    before = count(server, series)
    for _ in range(3):
        assert ask(server, "GET", "/").status == 503
    assert count(server, series) == before + 3


def test_invalid_requests_are_counted(server: Server) -> None:
    series = ('digits_problems_total{type="bad-request"}', 'digits_requests_total{route="none",status="400"}')
    before = [count(server, some) for some in series]
    for _ in range(3):
        with server.connect() as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert connection.recv(2**16).startswith(b"HTTP/1.1 400")
        wait_for_admitted(server, 0)
    assert [count(server, some) for some in series] == [number + 3 for number in before]


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /api/v1/health/nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
        b"GET /api/v1/health/live HTTP/1.1\r\nHost: a\r\n\r\nGET /api/v1/model HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["with a body", "with another request after it"],
)
def test_request_that_only_starts_like_a_probe_is_refused(server: Server, request_bytes: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(request_bytes)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 503")
        assert ask(server, "GET", "/api/v1/health/live").status == 200


def test_worker_does_not_wait_for_clients_to_close_their_connections(server: Server) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(3)]
        for connection in connections:
            connection.sendall(b"GET /api/v1/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 200")
        assert ask(server, "GET", "/api/v1/health/live").status == 200
        # gunicorn would wait up to 2 s for each client and then close: what a client sends after that is answered with
        # a reset. Here others have been answered, and the connections are still open.
        for connection in connections:
            connection.sendall(b"x")
            assert ask(server, "GET", "/api/v1/health/live").status == 200
            assert connection.recv(1) == b""


def read_all(connection: socket.socket) -> bytes:
    """Everything the server sends until it closes its side."""
    return b"".join(iter(lambda: connection.recv(2**16), b""))


def test_incomplete_request_holds_a_thread_for_a_limited_time(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"G")
        wait_for_admitted(server, 1)
        wait_for_admitted(server, 0)
        assert ask(server, "GET", "/api/v1/model").status == 200


def test_idle_connection_is_closed_while_other_requests_are_refused(model_path: Path, tmp_path: Path) -> None:
    assert model_path.exists()
    settings = {"DIGITS_THREADS": "1", "DIGITS_QUEUE": "0"}
    start = start_gunicorn(tmp_path / "log", arguments=["--keep-alive", "4"], environment=settings, workers=1)
    with start as server, ExitStack() as stack:
        eager, idle = (stack.enter_context(closing(HTTPConnection(*server.address, timeout=60))) for _ in range(2))
        wait_for_admitted(server, 0)
        assert ask_on(idle, "GET", "/api/v1/model").status == 200
        wait_for_admitted(server, 0)
        busy = stack.enter_context(server.connect())
        busy.sendall(b"POST /api/v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        wait_for_admitted(server, 1)

        def is_closed_while_others_are_refused() -> bool:
            assert ask_on(eager, "GET", "/api/v1/model").status == 503
            return bool(select.select([idle.sock], [], [], 0.1)[0])

        eventually(is_closed_while_others_are_refused)
        assert idle.sock.recv(1) == b""


def test_silent_client_holds_no_thread(server: Server) -> None:
    with server.connect(), server.connect():
        assert len(server.predict()["probabilities"]) == 10


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost a\r\n\r\n", 400),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: strange\r\n\r\n", 501),
    ],
)
def test_invalid_request_is_answered_with_a_problem(server: Server, request_bytes: bytes, status: int) -> None:
    with server.connect() as connection:
        connection.sendall(request_bytes)
        with HTTPResponse(connection) as answer:
            answer.begin()
            assert answer.status == status
            assert json.load(answer)["status"] == status
            assert_security_headers(answer.headers)


def test_log_is_json_lines_without_client_addresses(tmp_path: Path, model_path: Path) -> None:
    assert model_path.parent == tmp_path
    # One worker, because another might still be starting when the server is to end.
    with start_gunicorn(tmp_path / "log", environment={"DIGITS_QUEUE": "16"}, workers=1) as server:
        server.predict()
        with server.connect() as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            connection.recv(1)
    lines = [json.loads(line) for line in server.log().splitlines()]
    (request,) = [line for line in lines if line["logger"] == "digits.requests"]
    assert (request["method"], request["path"], request["status"]) == ("POST", "/api/v1/predict", 200)
    assert len(request["request_id"]) == 32
    assert not [line for line in lines if "127.0.0.1" in str(line) and "Listening" not in line["message"]]
    assert any("invalid request" in line["message"] for line in lines)
