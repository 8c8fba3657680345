"""deploy/nginx.conf in a real nginx, in front of a server that records what reaches it."""

import gzip
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import NamedTuple

import pytest

from testing.nginx import MISSING, Nginx, find_nginx, start_nginx
from testing.programs import require
from testing.waiting import eventually
from web.security import SECURITY_HEADERS, STRICT_TRANSPORT

LARGE = b"[" + b"0, " * 5000 + b"0]"


@dataclass
class Upstream:
    """Stands in for the app: closes the connection on requests with an X-Die header, and answers URIs that end in slow
    after `proceed` is set.
    """

    port: int
    requests: list[tuple[str, str, Message, bytes]] = field(default_factory=list)
    waiting: Queue[str] = field(default_factory=Queue)
    proceed: Event = field(default_factory=Event)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            stub.requests.append((self.command, self.path, self.headers, body))
            if "X-Die" in self.headers:
                self.close_connection = True
                return
            if self.path.endswith("slow"):
                stub.waiting.put(self.path)
                stub.proceed.wait(60)
            answer = LARGE if self.path == "/large" else b"ok"
            self.send_response(200)
            own = {"Content-Length": str(len(answer)), "Content-Type": "application/json", "ETag": '"1"'}
            for name, value in {**SECURITY_HEADERS, **own, "X-Request-ID": self.headers["X-Request-ID"]}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_HEAD = do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub = Upstream(server.server_address[1])
        Thread(target=server.serve_forever, daemon=True).start()
        yield stub
        stub.proceed.set()
        server.shutdown()


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes


class Proxy:
    """A running nginx with TLS."""

    def __init__(self, server: Nginx) -> None:
        self.port, self.plain_port = server.address[1], server.redirect[1]
        self.log = server.access_log

    def connect(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A TLS connection on which nothing has been sent."""
        return (context or unverified()).wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=60))

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=60, context=unverified())
        return send(connection, method, path, body, headers)

    def request_plain(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Over HTTP without TLS."""
        return send(HTTPConnection("127.0.0.1", self.plain_port, timeout=60), method, path, body, headers)

    def send_raw(self, data: bytes) -> Answer:
        with self.connect() as connection:
            connection.sendall(data)
            response = HTTPResponse(connection)
            response.begin()
            return Answer(response.status, response.headers, response.read())


def send(connection: HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    with closing(connection):
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
    """A folder with a certificate and its key; RSA, so that key exchange without forward secrecy would be possible."""
    require("openssl", shutil.which("openssl"), "there is no openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def changes() -> dict[str, str]:
    """Text of the file to replace, besides ports and paths."""
    return {}


@pytest.fixture
def proxy(tmp_path: Path, certificate: Path, upstream: Upstream, changes: dict[str, str]) -> Iterator[Proxy]:
    require("nginx", find_nginx(), MISSING)
    app = "127.0.0.1", upstream.port
    with start_nginx(tmp_path / "nginx", app, certificate=certificate, changes=changes) as server:
        yield Proxy(server)


def assert_problem(answer: Answer, status: int, problem_type: str) -> None:
    """A problem in the format of the app, with every security header exactly once."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert (problem["type"], problem["status"]) == (problem_type, status)
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert_secured(answer.headers)


def assert_secured(headers: Message) -> None:
    for name in (*SECURITY_HEADERS, "Strict-Transport-Security", "X-Request-ID"):
        assert len(headers.get_all(name, [])) == 1, name
    assert headers["Strict-Transport-Security"] == STRICT_TRANSPORT


# ---- compression ----


def test_large_answer_is_compressed(proxy: Proxy) -> None:
    answer = proxy.request("GET", "/large", Accept_Encoding="br, gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["ETag"] == 'W/"1"'
    assert gzip.decompress(answer.body) == LARGE


@pytest.mark.parametrize(("path", "accepted"), [("/large", "identity"), ("/large", "gzip;q=0"), ("/small", "gzip")])
def test_other_answers_are_not_compressed(proxy: Proxy, path: str, accepted: str) -> None:
    assert "Content-Encoding" not in proxy.request("GET", path, Accept_Encoding=accepted).headers


# ---- what the app is told ----


def test_client_cannot_forge_what_the_app_is_told(proxy: Proxy, upstream: Upstream) -> None:
    answer = proxy.request("GET", "/", X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="http", X_Request_ID="mine")
    assert (answer.status, answer.body) == (200, b"ok")
    ((_, _, headers, _),) = upstream.requests
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Request-ID"] == "mine"


@pytest.mark.parametrize(
    ("target", "host", "forwarded"),
    [
        ("/", "digits.example", "digits.example"),
        ("/", "Digits.example:8443", "digits.example:8443"),
        ("/", "[::1]:8443", "[::1]:8443"),
        ("https://digits.example/", "other.example", "digits.example"),
    ],
)
def test_host_keeps_its_port(proxy: Proxy, upstream: Upstream, target: str, host: str, forwarded: str) -> None:
    assert proxy.send_raw(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == 200
    assert upstream.requests[0][2]["Host"] == forwarded


@pytest.mark.parametrize("name", ["", "a b", "x" * 65])
def test_invalid_request_id_is_replaced(proxy: Proxy, upstream: Upstream, name: str) -> None:
    answer = proxy.request("GET", "/", X_Request_ID=name)
    assert re.fullmatch("[0-9a-f]{32}", upstream.requests[0][2]["X-Request-ID"])
    assert answer.headers["X-Request-ID"] == upstream.requests[0][2]["X-Request-ID"]


def test_headers_of_the_app_are_not_repeated(proxy: Proxy) -> None:
    answer = proxy.request("GET", "/")
    for name in SECURITY_HEADERS:
        assert answer.headers.get_all(name) == [SECURITY_HEADERS[name]]
    assert "Retry-After" not in answer.headers


# ---- errors ----


def test_metrics_are_not_public(proxy: Proxy, upstream: Upstream) -> None:
    answer = proxy.request("GET", "/metrics")
    assert answer.status == 404
    assert_secured(answer.headers)
    assert answer.headers["Content-Type"] == "text/html"
    assert not upstream.requests


def test_too_large_a_body_is_a_problem(proxy: Proxy, upstream: Upstream) -> None:
    assert_problem(proxy.request("POST", "/api/v1/predict", bytes(15 * 2**20)), 413, "body-too-large")
    assert not upstream.requests


@pytest.mark.parametrize(
    ("request_bytes", "status", "problem_type"),
    [
        (b"garbage\r\n\r\n", 400, "bad-request"),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        (b"GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        (b"GET /api/ HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"GET /api/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "bad-request"),
        # Lines that fill nginx's buffer of 8 KiB exactly: it resets a connection that it closes with bytes unread.
        (b"GET /".ljust(8192, b"a"), 414, "uri-too-long"),
        (b"GET /api/ HTTP/1.1\r\nHost: a\r\n" + b"A: ".ljust(8192, b"a"), 431, "request-header-fields-too-large"),
        (b"TRACE /api/ HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method-not-allowed"),
        (b"POST /api/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not-implemented"),
        (b"GET /api/ HTTP/3.0\r\nHost: a\r\n\r\n", 505, "http-version-not-supported"),
    ],
    ids=lambda value: str(value[:30]) if isinstance(value, bytes) else None,
)
def test_malformed_request_is_a_problem_and_not_an_internal_error(
    proxy: Proxy, upstream: Upstream, request_bytes: bytes, status: int, problem_type: str
) -> None:
    assert_problem(proxy.send_raw(request_bytes), status, problem_type)
    assert not upstream.requests


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/"), ("GET", "/docs"), ("POST", "/api/v1/predict"), ("POST", "/api/v1/predict/batch")],
)
def test_request_that_killed_its_worker_is_not_sent_again(
    proxy: Proxy, upstream: Upstream, method: str, path: str
) -> None:
    for _ in range(2):  # the second one might find a cached connection
        answer = proxy.request(method, path, b"{}" if method == "POST" else None, X_Die="1")
        assert answer.status == 502
        assert "Retry-After" not in answer.headers
        assert_secured(answer.headers)
    assert [request[:2] for request in upstream.requests] == [(method, path)] * 2


def test_lost_request_is_a_problem_under_the_api(proxy: Proxy) -> None:
    assert_problem(proxy.request("POST", "/api/v1/predict", b"{}", X_Die="1"), 502, "bad-gateway")


class TestSlowAnswers:
    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {"proxy_read_timeout 35s": "proxy_read_timeout 1s"}

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_slow_answer_is_a_gateway_timeout_that_invites_no_retry(
        self, proxy: Proxy, upstream: Upstream, method: str
    ) -> None:
        answer = proxy.request(method, "/slow")
        assert answer.status == 504
        assert "Retry-After" not in answer.headers
        assert len(upstream.requests) == 1


# ---- plain HTTP and TLS ----


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080"])
def test_pages_are_redirected_to_https(proxy: Proxy, method: str, host: str) -> None:
    answer = proxy.request_plain(method, "/docs?a=%0d%0ab", Host=host)
    assert answer.status == 308
    assert answer.headers["Location"] == "https://localhost/docs?a=%0d%0ab"


@pytest.mark.parametrize(
    ("method", "path", "host"),
    [
        ("GET", "/api/v1/model", "localhost"),
        ("GET", "//api/v1/model", "localhost"),
        ("GET", "/%61pi/v1/model", "localhost"),
        ("POST", "/api/v1/predict", "localhost"),
        ("POST", "/", "localhost"),
        ("OPTIONS", "/", "localhost"),
        ("GET", "/", "evil.example"),
        ("GET", "/", "localhost.evil.example"),
    ],
)
def test_everything_else_over_plain_http_is_refused(
    proxy: Proxy, upstream: Upstream, method: str, path: str, host: str
) -> None:
    answer = proxy.request_plain(method, path, b"secret" if method == "POST" else None, Host=host)
    assert answer.status == 403
    assert "Location" not in answer.headers
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.body)["type"] == "https-required"
    assert not upstream.requests


@pytest.mark.parametrize("ciphers", ["ECDHE+AESGCM", "ECDHE+CHACHA20"])
def test_tls_1_2_with_forward_secrecy_is_accepted(proxy: Proxy, ciphers: str) -> None:
    with proxy.connect(tls_1_2(ciphers)) as connection:
        assert connection.version() == "TLSv1.2"


@pytest.mark.parametrize("ciphers", ["kRSA", "ECDHE+SHA1", "ECDHE+SHA256:!AESGCM:!CHACHA20"])
def test_weaker_tls_1_2_ciphers_are_refused(proxy: Proxy, ciphers: str) -> None:
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as connection,
        pytest.raises(ssl.SSLError),
    ):
        tls_1_2(ciphers).wrap_socket(connection)


def tls_1_2(ciphers: str) -> ssl.SSLContext:
    context = unverified()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    return context


# ---- limits ----


class TestConnectionLimit:
    """With one request at a time for each client, whose address is taken from a header."""

    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {
            "limit_conn per_client 40;": (
                "limit_conn per_client 1; set_real_ip_from 127.0.0.1; real_ip_header X-Client;"
            )
        }

    @pytest.mark.parametrize(
        ("first", "second", "is_limited"),
        [
            ("192.0.2.1", "192.0.2.1", True),
            ("192.0.2.1", "192.0.2.2", False),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
            ("2001:db8:0:a0a::1", "2001:db8:0:a0a:a0a:a0a:a0a:a0a", True),  # 0a is a line feed
            ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1", True),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ],
    )
    def test_limit_is_per_address_and_for_ipv6_per_64(
        self, proxy: Proxy, upstream: Upstream, first: str, second: str, is_limited: bool
    ) -> None:
        with proxy.connect() as connection:
            connection.sendall(f"GET /slow HTTP/1.1\r\nHost: a\r\nX-Client: {first}\r\n\r\n".encode())
            upstream.waiting.get(timeout=60)
            answer = proxy.request("GET", "/api/v1/model", X_Client=second)
        if is_limited:
            assert_problem(answer, 429, "too-many-requests")
            assert answer.headers["Retry-After"] == "1"
        else:
            assert answer.status == 200


class TestPredictionLimit:
    """With one prediction at a time for all clients."""

    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {"max_conns=40;": "max_conns=1;"}

    @pytest.mark.parametrize(
        ("path", "status"), [("/api/v1/predict", 503), ("/api/v1/read", 503), ("/api/v1/explain", 503), ("/", 200)]
    )
    def test_more_predictions_than_the_app_admits_are_refused(
        self, proxy: Proxy, upstream: Upstream, path: str, status: int
    ) -> None:
        with proxy.connect() as connection:
            connection.sendall(b"GET /api/v1/predict?slow HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream.waiting.get(timeout=60)
            answer = proxy.request("POST", path, b"{}")
        assert answer.status == status
        if status == 503:
            assert_problem(answer, 503, "overloaded")

    def test_half_sent_requests_take_no_place(self, proxy: Proxy) -> None:
        with proxy.connect() as connection:
            connection.sendall(b"POST /api/v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
            answers = [proxy.request("POST", "/api/v1/predict", b"{}").status for _ in range(20)]
        assert answers == [200] * 20


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
    def test_unfinished_request_is_dropped_and_never_reaches_the_app(
        self, proxy: Proxy, upstream: Upstream, beginning: bytes
    ) -> None:
        with proxy.connect() as connection:
            connection.sendall(beginning)
            with suppress(ConnectionResetError):
                while connection.recv(2**16):
                    pass
        assert not upstream.requests


# ---- log ----


def test_log_has_request_ids_but_no_addresses_or_queries(proxy: Proxy) -> None:
    answer = proxy.request("GET", "/docs?secret=1")
    proxy.request("GET", "/", X_Request_ID='a"}forged')
    proxy.request("POST", "/api/v1/predict?secret=1", b"{}", X_Die="1")
    # nginx logs a request after it has sent the response.
    eventually(lambda: proxy.log.read_text().count("\n") == 3)
    lines = [json.loads(line) for line in proxy.log.read_text().splitlines()]
    assert lines[0]["request_id"] == answer.headers["X-Request-ID"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/docs", 200),
        ("GET", "/", 200),
        ("POST", "/api/v1/predict", 502),
    ]
    assert "127.0.0.1" not in proxy.log.read_text()
    assert "secret" not in proxy.log.read_text()
