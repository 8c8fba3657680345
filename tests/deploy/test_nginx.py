"""deploy/nginx.conf in a real nginx, in front of a server that notes what reaches it."""

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import pytest

from testing.nginx import MISSING, Nginx, find_nginx, start_nginx
from testing.programs import require
from web.security import HEADERS, STRICT_TRANSPORT

MOST_CONNECTIONS = 40


@dataclass
class Upstream:
    """The app's stand-in: dies over a request as often as its X-Die header says, and waits at /slow."""

    port: int
    seen: list[tuple[str, str, Message, bytes]] = field(default_factory=list)
    go_on: Event = field(default_factory=Event)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            noted.seen.append((self.command, self.path, self.headers, body))
            if len(noted.seen) <= int(self.headers.get("X-Die", 0)):
                self.close_connection = True
                return
            if self.path == "/slow":
                noted.go_on.wait(60)
            self.send_response(200)
            for name, value in {**HEADERS, "Content-Length": "2", "X-Request-ID": self.headers["X-Request-ID"]}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        noted = Upstream(server.server_address[1])
        Thread(target=server.serve_forever, daemon=True).start()
        yield noted
        noted.go_on.set()
        server.shutdown()


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Message
    body: bytes


class Proxy:
    """A running nginx that speaks TLS."""

    def __init__(self, server: Nginx) -> None:
        self.port, self.plain_port = server.address[1], server.redirect[1]
        self.log = server.access_log

    def connect(self) -> ssl.SSLSocket:
        """A TLS connection on which nothing is said yet."""
        return unverified().wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=60))

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        with closing(HTTPSConnection("127.0.0.1", self.port, timeout=60, context=unverified())) as connection:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def changes() -> dict[str, str]:
    """What of the file is to be changed, beside its places."""
    return {}


@pytest.fixture
def proxy(tmp_path: Path, certificate: Path, upstream: Upstream, changes: dict[str, str]) -> Iterator[Proxy]:
    require("nginx", find_nginx(), MISSING)
    app = "127.0.0.1", upstream.port
    with start_nginx(tmp_path / "nginx", app, certificate=certificate, changes=changes) as server:
        yield Proxy(server)


def assert_guarded(headers: Message) -> None:
    """Every header of the app's answers stands once, whoever wrote it."""
    for name in (*HEADERS, "Strict-Transport-Security", "X-Request-ID"):
        assert len(headers.get_all(name, [])) == 1, name
    assert headers["Strict-Transport-Security"] == STRICT_TRANSPORT


def test_app_is_told_who_asks_and_nobody_can_forge_it(proxy: Proxy, upstream: Upstream) -> None:
    answer = proxy.ask("GET", "/", X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="http", X_Request_ID="mine")
    assert (answer.status, answer.body) == (200, b"ok")
    ((_, _, headers, _),) = upstream.seen
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Request-ID"] == "mine"
    assert headers["Host"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65])
def test_request_id_that_the_app_would_refuse_is_made_anew(proxy: Proxy, upstream: Upstream, name: str) -> None:
    answer = proxy.ask("GET", "/", X_Request_ID=name)
    assert re.fullmatch("[0-9a-f]{32}", upstream.seen[0][2]["X-Request-ID"])
    assert answer.headers["X-Request-ID"] == upstream.seen[0][2]["X-Request-ID"]


def test_headers_of_the_app_are_not_doubled(proxy: Proxy) -> None:
    answer = proxy.ask("GET", "/")
    assert_guarded(answer.headers)
    assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
    assert "Retry-After" not in answer.headers


def test_figures_stay_inside(proxy: Proxy, upstream: Upstream) -> None:
    answer = proxy.ask("GET", "/metrics")
    assert answer.status == 404
    assert_guarded(answer.headers)
    assert answer.headers["Content-Type"] == "text/html"
    assert not upstream.seen


def test_own_errors_are_problems_under_the_api(proxy: Proxy, upstream: Upstream) -> None:
    answer = proxy.ask("POST", "/api/v1/predict", bytes(15 * 2**20))
    assert answer.status == 413
    assert_guarded(answer.headers)
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert (problem["type"], problem["status"]) == ("body-too-large", 413)
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert not upstream.seen


def test_app_that_is_gone_is_a_503(proxy: Proxy) -> None:
    answer = proxy.ask("POST", "/api/v1/predict", b"{}", X_Die="2")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert json.loads(answer.body)["type"] == "overloaded"
    assert_guarded(answer.headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("POST", "/api/v1/predict"), ("POST", "/api/v1/predict/batch"), ("GET", "/docs")],
)
def test_what_has_no_effects_is_tried_again(proxy: Proxy, upstream: Upstream, method: str, path: str) -> None:
    body = b"a drawing" if method == "POST" else None
    assert proxy.ask(method, path, body, X_Die="1").status == 200
    assert [(seen[0], seen[1], seen[3]) for seen in upstream.seen] == [(method, path, body or b"")] * 2


@pytest.mark.parametrize("path", ["/api/v1/elsewhere", "/api/v1/predict/more", "/elsewhere"])
def test_what_may_have_effects_is_tried_once(proxy: Proxy, upstream: Upstream, path: str) -> None:
    assert proxy.ask("POST", path, b"{}", X_Die="1").status == 503
    assert len(upstream.seen) == 1


def test_plain_http_is_sent_to_tls(proxy: Proxy, upstream: Upstream) -> None:
    with closing(HTTPConnection("127.0.0.1", proxy.plain_port, timeout=60)) as connection:
        connection.request("GET", "/docs?a=b")
        response = connection.getresponse()
        assert response.status == 308
        assert response.headers["Location"] == "https://127.0.0.1/docs?a=b"
    assert not upstream.seen


def test_one_address_has_so_many_requests_at_a_time(proxy: Proxy, upstream: Upstream) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            connection = stack.enter_context(proxy.connect())
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        while len(upstream.seen) < MOST_CONNECTIONS:
            pass
        answer = proxy.ask("POST", "/api/v1/predict", b"{}")
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "1"
        assert json.loads(answer.body)["type"] == "too-many-requests"
        upstream.go_on.set()


class TestSlowClients:
    """With seconds for tens of seconds."""

    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {
            "client_header_timeout 10s": "client_header_timeout 1s",
            "client_body_timeout 10s": "client_body_timeout 1s",
        }

    @pytest.mark.parametrize(
        "beginning",
        [b"POST / HTTP/1.1\r\nHost: a\r\nConte", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12"],
    )
    def test_who_does_not_finish_is_hung_up_on_and_never_reaches_the_app(
        self, proxy: Proxy, upstream: Upstream, beginning: bytes
    ) -> None:
        with proxy.connect() as connection:
            connection.sendall(beginning)
            with suppress(ConnectionResetError):
                while connection.recv(2**16):
                    pass
        assert not upstream.seen


def test_log_names_requests_and_nobody(proxy: Proxy) -> None:
    answer = proxy.ask("GET", "/docs?secret=1")
    proxy.ask("GET", "/", X_Request_ID='a"}forged')
    lines = [json.loads(line) for line in proxy.log.read_text().splitlines()]
    assert lines[0]["request_id"] == answer.headers["X-Request-ID"]
    assert [(line["path"], line["status"]) for line in lines] == [("/docs", 200), ("/", 200)]
    assert "127.0.0.1" not in proxy.log.read_text()
    assert "secret" not in proxy.log.read_text()
