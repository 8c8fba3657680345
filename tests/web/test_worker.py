"""Load shedding by gunicorn's worker; every response comes from the app, none from gunicorn."""

import json
import select
import socket
import sys
import time
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
from web.security import HEADERS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn runs on Unix")

BODY = json.dumps(DRAWING).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker with one thread and no queue: whatever comes beside a request is too much."""
    folder = tmp_path_factory.mktemp("server")
    save_untrained(folder / "model.pth")
    settings = {"DIGITS_MODEL_PATH": str(folder / "model.pth"), "DIGITS_THREADS": "1", "DIGITS_QUEUE": "0"}
    with start_gunicorn(folder / "log", environment=settings, workers=1) as server:
        server.wait_until_ready("/api/v1/model")  # a probe before it may still hold the only thread
        yield server


@pytest.fixture
def busy(server: Server) -> Iterator[socket.socket]:
    """A connection whose unfinished request holds the only thread."""
    while True:
        with server.connect() as connection:
            head = "POST /api/v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:10])
            # Requests are looked at in turn: with this one answered, the other was taken on, or was too much itself
            # because the request of another test had not ended yet.
            ask(server, "GET", "/api/v1/health/live")
            if not select.select([connection], [], [], 0)[0]:
                yield connection
                return


def finish(connection: socket.socket) -> int:
    """Send what is missing of the unfinished request; the status of its answer."""
    connection.sendall(BODY[10:])
    return int(connection.recv(2**16).split()[1])


@pytest.fixture(autouse=True)
def settled() -> None:
    """A thread is free a moment after its answer has left it: here, where there is one, the next test waits for it."""
    time.sleep(0.2)


# The worker overrides undocumented methods. Before adding a version here, compare its gunicorn/workers/gthread.py with
# the last one's, run all tests, and run `make overload`.
TESTED_VERSIONS = {"27.0.1"}


def test_worker_is_tested_with_this_version_of_gunicorn() -> None:
    assert gunicorn.__version__ in TESTED_VERSIONS, (
        f"web/worker.py overrides undocumented methods of gunicorn and was never tried with {gunicorn.__version__}"
    )


class Answer(NamedTuple):
    """What a server said."""

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


def assert_guarded(headers: Message) -> None:
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert len(headers["X-Request-ID"]) == 32


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("method", "path", "body"), [("POST", "/api/v1/predict", BODY), ("GET", "/api/v1/model", None)]
)
def test_what_would_wait_too_long_is_a_problem_at_once(
    server: Server, method: str, path: str, body: bytes | None
) -> None:
    answer = ask(server, method, path, body)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert_guarded(answer.headers)
    problem = json.loads(answer.body)
    assert (problem["type"], problem["status"]) == ("overloaded", 503)
    assert problem["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.usefixtures("busy")
def test_page_that_would_wait_too_long_is_an_error_page(server: Server) -> None:
    answer = ask(server, "GET", "/")
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert_guarded(answer.headers)
    assert b"Too busy" in answer.body
    assert ask(server, "HEAD", "/").body == b""


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("path", ["/api/v1/health/live", "/api/v1/health/ready", "/metrics"])
def test_health_and_metrics_wait_for_nobody(server: Server, path: str) -> None:
    for _ in range(3):
        assert ask(server, "GET", path).status == 200


@pytest.mark.usefixtures("busy")
def test_refused_upload_gets_its_answer_to_the_end(server: Server) -> None:
    answer = ask(server, "POST", "/", bytes(2**20))
    assert answer.status == 503
    assert b"</html>" in answer.body


def test_refused_client_gets_in_again_on_the_same_connection(server: Server, busy: socket.socket) -> None:
    with closing(HTTPConnection(*server.address, timeout=60)) as connection:
        first, opened = ask_on(connection, "GET", "/api/v1/model"), connection.sock
        second = ask_on(connection, "GET", "/api/v1/model")
        assert (first.status, second.status) == (503, 503)
        assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
        assert finish(busy) == 200
        # The thread is free a moment after the answer has left it.
        while (third := ask_on(connection, "GET", "/api/v1/model")).status == 503:
            pass
        assert third.status == 200
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
    refused = 0
    while refused < 3:  # the thread is free a moment after the last answer has left it
        with server.connect() as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            refused += connection.recv(2**16).startswith(b"HTTP/1.1 400")
    assert [count(server, some) for some in series] == [number + 3 for number in before]


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /api/v1/health/nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
        b"GET /api/v1/health/live HTTP/1.1\r\nHost: a\r\n\r\nGET /api/v1/model HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["with a body", "with another behind it"],
)
def test_what_only_begins_like_a_probe_is_refused(server: Server, request_bytes: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(request_bytes)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 503")
        assert ask(server, "GET", "/api/v1/health/live").status == 200


def test_clients_that_do_not_hang_up_keep_nobody_waiting(server: Server) -> None:
    with ExitStack() as stack:
        start = time.monotonic()
        for _ in range(15):
            connection = stack.enter_context(server.connect())
            connection.sendall(b"GET /api/v1/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert connection.recv(2**16).startswith(b"HTTP/1.1 200")
        assert ask(server, "GET", "/api/v1/health/live").status == 200
        # Left to gunicorn, each would keep the worker from everything else for 2 s.
        assert time.monotonic() - start < 20


def test_half_a_request_does_not_hold_a_thread_for_good(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"G")
        deadline = time.monotonic() + 120
        while ask(server, "GET", "/api/v1/model").status == 503:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_idle_connection_is_closed_whatever_others_are_refused(model_path: Path, tmp_path: Path) -> None:
    assert model_path.exists()
    settings = {"DIGITS_THREADS": "1", "DIGITS_QUEUE": "0"}
    start = start_gunicorn(tmp_path / "log", arguments=["--keep-alive", "2"], environment=settings, workers=1)
    with start as server, ExitStack() as stack:
        eager, idle = (stack.enter_context(closing(HTTPConnection(*server.address, timeout=60))) for _ in range(2))
        for connection in (eager, idle):
            while ask_on(connection, "GET", "/api/v1/model").status == 503:
                pass  # the thread is free a moment after the last answer has left it
        busy = stack.enter_context(server.connect())
        busy.sendall(b"POST /api/v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        deadline = time.monotonic() + 60
        while not select.select([idle.sock], [], [], 0.1)[0]:
            ask_on(eager, "GET", "/api/v1/model")
            assert time.monotonic() < deadline
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
            assert_guarded(answer.headers)


def test_log_is_lines_of_json_that_name_nobody(tmp_path: Path, model_path: Path) -> None:
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
