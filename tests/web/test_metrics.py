"""Metrics for Prometheus."""

import io

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from config import Settings
from flask_app import create_app
from testing.handwriting import DIGITS, write_row
from testing.pictures import picture_of


def figures(client: FlaskClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain; version=")
    families = text_string_to_metric_families(response.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


class Change:
    """Increases of metrics since the start of a test."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        self._before = figures(client)

    def of(self, name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return figures(self._client)[key] - self._before.get(key, 0.0)


@pytest.fixture
def change(client: FlaskClient) -> Change:
    return Change(client)


def test_requests_are_counted_by_route_and_status(client: FlaskClient, change: Change) -> None:
    client.post("/api/v1/predict", json={"strokes": DIGITS[3]})
    client.post("/api/v1/predict", json={"strokes": []})
    client.get("/static/style.css", buffered=True)
    assert change.of("digits_requests_total", route="/api/v1/predict", status="200") == 1
    assert change.of("digits_requests_total", route="/api/v1/predict", status="422") == 1
    assert change.of("digits_requests_total", route="/static/<path:filename>", status="200") == 1
    assert change.of("digits_request_seconds_count", route="/api/v1/predict") == 2
    assert change.of("digits_problems_total", type="blank") == 1


def test_unknown_paths_create_no_series(client: FlaskClient, change: Change) -> None:
    for number in range(5):
        client.get(f"/nothing/{number}")
    assert change.of("digits_requests_total", route="none", status="404") == 5
    assert not [key for key in figures(client) if "/nothing" in str(key)]


def test_drawing_passes_two_phases_and_a_picture_three(client: FlaskClient, change: Change) -> None:
    client.post("/api/v1/predict", json={"strokes": DIGITS[3]})
    # One network reads the frame, another the path of the pen.
    assert [change.of("digits_phase_seconds_count", phase=p) for p in ("normalize", "network")] == [1, 2]
    picture = io.BytesIO(picture_of(DIGITS[3]))
    client.post("/api/v1/predict", data={"image": (picture, "3.png")})
    phases = ("decode", "normalize", "network")
    # A picture passes the other phases once as a digit; to count its digits, its lines are found, it is cropped to its
    # line and taken whole, and the network reads both.
    assert [change.of("digits_phase_seconds_count", phase=phase) for phase in phases] == [1, 5, 5]
    assert figures(client)["digits_decodes_in_progress", frozenset()] == 0


def test_answers_are_counted_by_digit_confidence_and_score(client: FlaskClient, change: Change) -> None:
    answer = client.post("/api/v1/predict", json={"strokes": DIGITS[3]}).get_json()
    assert change.of("digits_predictions_total", digit="3", is_digit="true") == 1
    assert change.of("digits_confidence_sum") == pytest.approx(answer["confidence"], abs=1e-5)
    assert change.of("digits_digit_score_count") == 1


def test_numbers_are_counted_with_their_digits(client: FlaskClient, change: Change) -> None:
    answer = client.post("/api/v1/read", json={"strokes": write_row("42")}).get_json()
    assert change.of("digits_number_confidence_count") == 1
    assert change.of("digits_number_confidence_sum") == pytest.approx(answer["confidence"], abs=1e-5)
    assert change.of("digits_predictions_total", digit="4", is_digit="true") == 1


def test_each_picture_of_a_batch_is_counted(client: FlaskClient, change: Change) -> None:
    pictures = [(io.BytesIO(picture_of(DIGITS[digit])), f"{digit}.png") for digit in (1, 3, 3)]
    client.post("/api/v1/predict/batch", data={"images": pictures})
    assert change.of("digits_predictions_total", digit="3", is_digit="true") == 2


def test_model_is_named(client: FlaskClient) -> None:
    model = client.get("/api/v1/model").get_json()
    labels = frozenset({"model": model["id"], "architecture": model["architecture"], "engine": "onnx"}.items())
    assert figures(client)["digits_model_info", labels] == 1


def test_missing_and_unknown_keys_are_counted_apart(settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"api_keys": ("0" * 64,)})).test_client()
    change = Change(client)
    client.post("/api/v1/predict", json={})
    for headers in ({"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}):
        client.post("/api/v1/predict", json={}, headers=headers)
    assert change.of("digits_unauthorized_total", reason="missing") == 1
    assert change.of("digits_unauthorized_total", reason="unknown") == 2
