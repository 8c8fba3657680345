import gzip
import io
import re
from pathlib import Path

import pytest
from flask import request
from flask.testing import FlaskClient

from config import Settings
from flask_app import create_app
from testing.answers import assert_problem
from testing.handwriting import DIGITS

ROOT = Path(__file__).parents[2]
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
ANSWERS = [
    ("GET", "/", 200),
    ("POST", "/", 422),
    ("PUT", "/", 405),
    ("GET", "/nothing", 404),
    ("GET", "/model", 200),
    ("GET", "/static/style.css", 200),
    ("GET", "/static/nothing.css", 404),
    ("GET", "/static/../config.py", 404),
    ("GET", "/api/v1", 308),
    ("GET", "/api/v1/", 200),
    ("GET", "/api/v1/model", 200),
    ("GET", "/api/v1/health/ready", 200),
    ("GET", "/api/v1/nothing", 404),
    ("GET", "/api/v1/predict", 405),
    ("POST", "/api/v1/predict", 411),
    ("OPTIONS", "/api/v1/predict", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_response_has_security_headers(client: FlaskClient, method: str, path: str, status: int) -> None:
    response = client.open(path, method=method, buffered=True)
    assert response.status_code == status
    headers = response.headers
    assert headers["Content-Security-Policy"] == CSP
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-ID"])
    assert "Strict-Transport-Security" not in headers
    assert "Access-Control-Allow-Origin" not in headers


def test_hsts_is_sent_over_tls(client: FlaskClient) -> None:
    headers = client.get("/", base_url="https://localhost").headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/"), ("GET", "/model"), ("GET", "/nothing")])
def test_pages_are_not_cached_for_others(client: FlaskClient, method: str, path: str) -> None:
    assert client.open(path, method=method).headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("host", ["evil.example", "[::1]:80", "[", "a b", "a/b", ""])
@pytest.mark.parametrize(
    ("path", "location"),
    [("/api/v1", "/api/v1/"), ("/api/v1?a=//b", "/api/v1/?a=//b"), ("/api//v1/", "/api/v1/")],
)
def test_redirects_do_not_contain_the_host(client: FlaskClient, host: str, path: str, location: str) -> None:
    response = client.get(path, headers={"Host": host})
    assert response.headers.get("Location") == location
    assert "evil.example" not in response.text


@pytest.mark.parametrize("name", ["a", "3f-2.B_x", "x" * 64])
def test_valid_request_id_is_kept(client: FlaskClient, name: str) -> None:
    assert client.get("/", headers={"X-Request-ID": name}).headers["X-Request-ID"] == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "<b>", "ä"])
def test_invalid_request_id_is_replaced(client: FlaskClient, name: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", client.get("/", headers={"X-Request-ID": name}).headers["X-Request-ID"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "localhost"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/predict"])
def test_other_sites_cannot_post(client: FlaskClient, path: str, headers: dict[str, str]) -> None:
    response = client.post(path, json={"strokes": DIGITS[1]}, headers=headers)
    assert response.status_code == 403
    if path.startswith("/api/"):
        assert_problem(response, 403, "cross-site")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example"},
    ],
)
def test_own_pages_and_programs_can_post(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/api/v1/predict", json={"strokes": DIGITS[1]}, headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["Accept", "Accept-Language", "Content-Type", "X-Unknown"])
@pytest.mark.parametrize("path", ["/api/v1/", "/"])
def test_large_headers_are_refused_before_they_are_parsed(client: FlaskClient, path: str, name: str) -> None:
    response = client.get(path, headers={name: "a;q=1," * 11_000})
    assert response.status_code == 431
    if path.startswith("/api/"):
        assert_problem(response, 431, "request-header-fields-too-large")
    assert client.get(path, headers={name: "text/html;q=1," * 3_000 + "*/*"}).status_code == 200


def test_other_sites_may_link_here(client: FlaskClient) -> None:
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_refused_body_is_read_to_its_end(client: FlaskClient) -> None:
    # A browser whose upload is cut off does not show the response.
    upload = io.BytesIO(bytes(13 * 2**20))
    response = client.post("/", input_stream=upload, content_length=13 * 2**20, content_type="multipart/form-data")
    assert response.status_code == 413
    assert upload.tell() == 13 * 2**20


@pytest.mark.parametrize("path", sorted((ROOT / "templates").glob("*.html")), ids=lambda path: path.name)
def test_no_template_has_inline_script_or_style(path: Path) -> None:
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|<script(?![^>]*\bsrc=)", path.read_text())


TEXTS = [path for path in sorted((ROOT / "static").iterdir()) if path.suffix in {".css", ".js", ".svg", ".ts"}]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nothing_is_loaded_from_another_host(path: Path) -> None:
    urls = re.findall(r"https?://[^\s\"')]+", path.read_text())
    assert set(urls) <= {"http://www.w3.org/2000/svg"}


def test_page_and_assets_are_small(client: FlaskClient) -> None:
    assets = {*re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)}
    assert len(client.get("/static/style.css", buffered=True).data) < 15_000
    # Compressed, as nginx sends them.
    weights = [len(gzip.compress(client.get(path, buffered=True).data)) for path in ("/", *assets)]
    assert sum(weights) < 60_000


# ---- hosts and proxies ----


@pytest.fixture(scope="module")
def named(settings: Settings) -> FlaskClient:
    return create_app(settings.model_copy(update={"trusted_hosts": ("digits.example", ".below.example")})).test_client()


@pytest.mark.parametrize("host", ["digits.example", "digits.example:8443", "a.below.example", "DIGITS.example"])
def test_trusted_hosts_are_answered(named: FlaskClient, host: str) -> None:
    assert named.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "digits.example.evil", "127.0.0.1", "", "a b"])
def test_other_hosts_are_refused(named: FlaskClient, host: str) -> None:
    assert_problem(named.get("/api/v1/model", headers={"Host": host}), 400, "unknown-host")
    assert named.get("/nothing", headers={"Host": host}).status_code == 400
    assert "evil" not in named.get("/api/v1", headers={"Host": host}).headers.get("Location", "")


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1/model"])
def test_invalid_host_is_a_bad_request(client: FlaskClient, named: FlaskClient, path: str, host: str) -> None:
    assert_problem(client.get(path, headers={"Host": host}), 400, "bad-request")
    assert_problem(named.get(path, headers={"Host": host}), 400, "unknown-host")


@pytest.mark.parametrize("path", ["/api/v1/health/live", "/api/v1/health/ready", "/metrics"])
def test_probes_may_use_an_address(named: FlaskClient, path: str) -> None:
    assert named.get(path, headers={"Host": "10.1.2.3:5000"}).status_code == 200


@pytest.mark.parametrize(
    ("port", "path", "status"),
    [("5000", "/metrics", 404), ("5000", "/", 200), ("5001", "/metrics", 200), ("5001", "/", 404)],
)
def test_metrics_port_serves_metrics_and_nothing_else(settings: Settings, port: str, path: str, status: int) -> None:
    client = create_app(settings.model_copy(update={"metrics_port": 5001})).test_client()
    # The Host header, which the client chooses, makes no difference.
    for host in ("localhost:5000", "localhost:5001"):
        response = client.get(path, headers={"Host": host}, environ_overrides={"SERVER_PORT": port})
        assert response.status_code == status


FORWARDED = {
    "X-Forwarded-For": "198.51.100.9, 192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
}


@pytest.mark.parametrize(
    ("proxies", "peer", "is_trusted"),
    [
        ((), "10.0.0.2", False),
        (("10.0.0.0/24",), "10.0.0.2", True),
        (("10.0.0.0/24",), "10.0.1.2", False),
        (("::1", "10.0.0.2"), "10.0.0.2", True),
        (("10.0.0.0/24",), "", False),
        (("10.0.0.0/24",), "::ffff:10.0.0.2", True),  # IPv4 through an IPv6 socket
        (("10.0.0.0/24",), "::ffff:10.0.1.2", False),
    ],
)
def test_only_trusted_proxies_set_address_and_scheme(
    settings: Settings, proxies: tuple[str, ...], peer: str, is_trusted: bool
) -> None:
    app = create_app(settings.model_copy(update={"trusted_proxies": proxies}))
    with app.test_client() as client:
        response = client.get("/", headers=FORWARDED, environ_overrides={"REMOTE_ADDR": peer})
        assert (request.remote_addr == "192.0.2.7") is is_trusted
        assert request.host == "localhost"
    assert ("Strict-Transport-Security" in response.headers) is is_trusted


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("anything, 192.0.2.7 ", "192.0.2.7"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%" + 1000 * "x", "fe80::1"),
        *((value, "10.0.0.2") for value in ("", ",", "unknown", "192.0.2.7:80", "[::1]", "192.0.2.7\t1", 8000 * "1")),
    ],
)
def test_forwarded_address_is_an_ip_address(settings: Settings, forwarded: str, address: str) -> None:
    app = create_app(settings.model_copy(update={"trusted_proxies": ("10.0.0.2",)}))
    with app.test_client() as client:
        client.get("/", headers={"X-Forwarded-For": forwarded}, environ_overrides={"REMOTE_ADDR": "10.0.0.2"})
        assert request.remote_addr == address


@pytest.mark.parametrize(
    ("forwarded", "scheme"), [("https", "https"), ("HTTPS", "https"), ("javascript", "http"), ("https,ftp", "http")]
)
def test_forwarded_scheme_is_http_or_https(settings: Settings, forwarded: str, scheme: str) -> None:
    app = create_app(settings.model_copy(update={"trusted_proxies": ("10.0.0.2",)}))
    with app.test_client() as client:
        client.get("/", headers={"X-Forwarded-Proto": forwarded}, environ_overrides={"REMOTE_ADDR": "10.0.0.2"})
        assert request.scheme == scheme


def test_older_browser_may_post_from_another_port_than_443(client: FlaskClient) -> None:
    headers = {"Host": "digits.example:8443", "Origin": "https://digits.example:8443"}
    response = client.post("/api/v1/predict", json={"strokes": DIGITS[1]}, headers=headers)
    assert response.status_code == 200
