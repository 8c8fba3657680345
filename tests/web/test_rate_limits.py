"""Rate limits, counted in the process; tests/web/test_shared_rates.py counts them in Redis."""

import hashlib
import io
import logging
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from limits.errors import StorageError
from limits.storage import MemoryStorage

from config import Settings, SettingsError
from flask_app import create_app
from testing.answers import assert_answer, assert_problem
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from web.rate_limits import RateLimiter

ONE = {"strokes": DIGITS[1]}
DAY = 86_400


class Clock:
    """The clock of the rate limits, which only the test advances."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("web.rate_limits.time", clock)
    monkeypatch.setattr("web.rate_limits.monotonic", clock)
    return clock


@pytest.fixture
def limited(settings: Settings) -> Callable[..., FlaskClient]:
    return lambda **changes: create_app(settings.model_copy(update=changes)).test_client()


def predict(client: FlaskClient, address: str = "192.0.2.7") -> int:
    return client.post("/api/v1/predict", json=ONE, environ_overrides={"REMOTE_ADDR": address}).status_code


def batch(number: int) -> dict[str, object]:
    return {"images": [(io.BytesIO(picture_of(DIGITS[1])), f"{index}.png") for index in range(number)]}


def test_requests_beyond_the_rate_are_refused_until_the_window_ends(
    limited: Callable[..., FlaskClient], clock: Clock
) -> None:
    client = limited(rate_limit="3/day")
    remaining = []
    for _ in range(3):
        response = client.post("/api/v1/predict", json=ONE)
        assert_answer(response, 1)
        assert response.headers["RateLimit-Policy"] == f'"default";q=3;w={DAY}'
        remaining.append(response.headers["RateLimit"].split(";")[1])
    assert remaining == ["r=2", "r=1", "r=0"]
    refused = client.post("/api/v1/predict", json=ONE)
    assert_problem(refused, 429, "too-many-requests")
    assert client.get("/api/v1/health/ready").status_code == 200
    clock.now += int(refused.headers["Retry-After"])
    assert_answer(client.post("/api/v1/predict", json=ONE), 1)


@pytest.mark.parametrize("step", [-DAY, -600, DAY])
def test_setting_the_clock_locks_no_client_out_for_longer_than_the_window(
    limited: Callable[..., FlaskClient], clock: Clock, step: int
) -> None:
    client = limited(rate_limit="1/minute")
    assert predict(client) == 200
    clock.now += step
    assert predict(client) == 200
    refused = client.post("/api/v1/predict", json=ONE, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    clock.now += int(refused.headers["Retry-After"])
    assert predict(client) == 200


@pytest.mark.parametrize(
    ("path", "field"), [("/api/v1/predict/batch", "images"), ("/api/v1/read/batch", "images"), ("/", "image")]
)
def test_each_picture_of_a_batch_counts(limited: Callable[..., FlaskClient], path: str, field: str) -> None:
    client = limited(rate_limit="70/day")
    response = client.post(path, data={field: batch(64)["images"]})
    assert response.status_code == 200
    assert "r=6;" in response.headers["RateLimit"]
    assert client.post(path, data={field: batch(7)["images"]}).status_code == 429
    assert "r=0;" in client.post(path, data={field: batch(5)["images"]}).headers["RateLimit"]


def test_readings_count_as_predictions(limited: Callable[..., FlaskClient]) -> None:
    client = limited(rate_limit="2/day")
    paths = ("/api/v1/read", "/api/v1/predict", "/api/v1/read")
    assert [client.post(path, json=ONE).status_code for path in paths] == [200, 200, 429]


def test_each_key_has_its_own_rate(limited: Callable[..., FlaskClient]) -> None:
    keys = ("k-anna-7f3a", "k-ben-91c2")
    digests = tuple(hashlib.sha256(key.encode()).hexdigest() for key in keys)
    client = limited(rate_limit="1/day", api_keys=digests)
    statuses = [
        client.post("/api/v1/predict", json=ONE, headers={"X-API-Key": key}).status_code for key in sorted(keys * 2)
    ]
    assert statuses == [200, 429, 200, 429]


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("192.0.2.7", "192.0.2.8", 200),
        ("::ffff:192.0.2.7", "192.0.2.7", 429),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", 429),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", 200),
    ],
)
def test_ipv6_addresses_count_by_their_network(
    limited: Callable[..., FlaskClient], first: str, second: str, status: int
) -> None:
    client = limited(rate_limit="1/day")
    assert predict(client, first) == 200
    assert predict(client, second) == status


def test_no_rate_is_shown_without_a_limit(client: FlaskClient) -> None:
    assert "RateLimit" not in client.post("/api/v1/predict", json=ONE).headers


@pytest.mark.parametrize("rate", ["many", "0/minute", "5 per minute", "5/fortnight"])
def test_invalid_rate_is_refused_as_a_setting(rate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_RATE_LIMIT", rate)
    with pytest.raises(SettingsError, match="60/minute"):
        Settings.load()


@pytest.mark.parametrize("storage", ["nosuch://host", "redis://host:port", "async+memory://"])
def test_unusable_storage_stops_the_start(limited: Callable[..., FlaskClient], storage: str) -> None:
    with pytest.raises(SettingsError, match="DIGITS_RATE_LIMIT_STORAGE"):
        limited(rate_limit="1/day", rate_limit_storage=storage)


class Unreliable(MemoryStorage):
    """A storage that fails when told to, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.calls = 0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        self.calls += 1
        if self.fails:
            raise StorageError(TimeoutError("timed out"))
        return super().incr(key, expiry, amount)


def test_storage_that_fails_is_tried_once_in_an_interval(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    storage = Unreliable()
    limiter = RateLimiter("100/minute", storage)
    limiter.hit("anna")
    storage.fails = True
    assert [limiter.hit("anna").remaining for _ in range(10)] == list(range(99, 89, -1))
    assert storage.calls == 2
    clock.now += 6
    for _ in range(10):
        limiter.hit("anna")
    assert storage.calls == 3
    storage.fails = False
    clock.now += 6
    limiter.hit("anna")
    assert storage.calls == 4
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
