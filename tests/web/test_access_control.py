"""Keys and origins: both off by default, strict when set."""

import hashlib

import pytest
from flask.testing import FlaskClient

from config import Settings, SettingsError
from flask_app import create_app
from testing.answers import assert_answer, assert_problem
from testing.handwriting import DIGITS

ONE = {"strokes": DIGITS[1]}
KEYS = {"anna": "k-anna-7f3a", "ben": "k-ben-91c2"}
ELSEWHERE = "https://elsewhere.example"


def client_with(settings: Settings, **changes: tuple[str, ...]) -> FlaskClient:
    return create_app(settings.model_copy(update=changes)).test_client()


@pytest.fixture(scope="module")
def guarded(settings: Settings) -> FlaskClient:
    digests = tuple(hashlib.sha256(key.encode()).hexdigest() for key in KEYS.values())
    return client_with(settings, api_keys=digests)


# ---- keys ----


@pytest.mark.parametrize("key", KEYS.values())
def test_known_key_is_accepted(guarded: FlaskClient, key: str) -> None:
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert_answer(guarded.post("/api/v1/predict", json=ONE, headers=headers), 1)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Digest username=x"},
        {"X-API-Key": "k-anna-7f3"},
        {"X-API-Key": hashlib.sha256(KEYS["anna"].encode()).hexdigest()},
        {"X-API-Key": "\xff\xfe"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_api_refuses_requests_without_a_known_key(guarded: FlaskClient, headers: dict[str, str]) -> None:
    for response in (
        guarded.post("/api/v1/predict", json=ONE, headers=headers),
        guarded.post("/api/v1/predict/batch", headers=headers),
        guarded.get("/api/v1/model", headers=headers),
    ):
        assert_problem(response, 401, "missing-key")
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_browser_asks_for_the_key_and_the_page_works_with_it(guarded: FlaskClient, method: str) -> None:
    response = guarded.open("/", method=method)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert guarded.get("/", auth=("anybody", KEYS["ben"])).status_code == 200
    assert_answer(guarded.post("/api/v1/predict", json=ONE, auth=("anybody", KEYS["ben"])), 1)


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/health/live", "/api/v1/health/ready", "/openapi.json", "/docs"])
def test_health_and_documents_need_no_key(guarded: FlaskClient, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_key_that_is_not_hashed_is_refused_as_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_API_KEYS", "secret")
    with pytest.raises(SettingsError, match="sha-256"):
        Settings.load()


# ---- origins ----


PREFLIGHT = {
    "Origin": ELSEWHERE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
    "Sec-Fetch-Site": "cross-site",
}


def test_no_other_origin_is_allowed_by_default(client: FlaskClient) -> None:
    preflight = client.options("/api/v1/predict", headers=PREFLIGHT)
    assert not [name for name in preflight.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118
    assert_problem(client.post("/api/v1/predict", json=ONE, headers={"Origin": ELSEWHERE}), 403, "cross-site")


@pytest.mark.parametrize("origins", [(ELSEWHERE,), ("https://first.example", ELSEWHERE), ("*",)])
def test_allowed_origin_gets_its_preflight_and_its_answer(settings: Settings, origins: tuple[str, ...]) -> None:
    client = client_with(settings, cors_origins=origins)
    preflight = client.options("/api/v1/predict", headers=PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == ELSEWHERE
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "content-type" in preflight.headers["Access-Control-Allow-Headers"].lower()
    headers = {"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site"}
    answer = client.post("/api/v1/predict", json=ONE, headers=headers)
    assert_answer(answer, 1)
    assert answer.headers["Access-Control-Allow-Origin"] == ELSEWHERE
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_allowed_origin_reads_problems_too(settings: Settings) -> None:
    client = client_with(settings, cors_origins=(ELSEWHERE,))
    response = client.post("/api/v1/predict", json={}, headers={"Origin": ELSEWHERE})
    assert_problem(response, 422, "invalid-request")
    assert response.headers["Access-Control-Allow-Origin"] == ELSEWHERE


@pytest.mark.parametrize("origin", ["https://elsewhere.example.evil", "http://elsewhere.example", "null"])
def test_other_origins_are_refused(settings: Settings, origin: str) -> None:
    client = client_with(settings, cors_origins=(ELSEWHERE,))
    response = client.post("/api/v1/predict", json=ONE, headers={"Origin": origin})
    assert_problem(response, 403, "cross-site")
    assert "Access-Control-Allow-Origin" not in response.headers


def test_page_is_closed_to_allowed_origins(settings: Settings) -> None:
    client = client_with(settings, cors_origins=("*",))
    assert client.post("/", headers={"Origin": ELSEWHERE}).status_code == 403


def test_preflight_needs_no_key(settings: Settings) -> None:
    client = client_with(settings, cors_origins=("*",), api_keys=(hashlib.sha256(b"k").hexdigest(),))
    assert client.options("/api/v1/predict", headers=PREFLIGHT).status_code == 200
