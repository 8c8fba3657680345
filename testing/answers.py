"""What every answer of the API looks like, checked in one place."""

import pytest
from werkzeug.test import TestResponse

# Headers of a visitor who prefers German.
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}

ANSWER_FIELDS = {
    "digit",
    "confidence",
    "is_digit",
    "digit_score",
    "top",
    "probabilities",
    "model",
    "elapsed_ms",
}


def assert_answer(response: TestResponse, digit: int) -> None:
    """A well-formed answer whose likeliest digit is `digit`."""
    assert response.status_code == 200, response.text
    answer = response.get_json()
    assert set(answer) - {"frame", "box"} == ANSWER_FIELDS
    assert answer["digit"] == digit
    assert answer["is_digit"] is True
    assert answer["top"][0] == {"digit": digit, "confidence": answer["confidence"]}
    assert len(answer["probabilities"]) == 10
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    likeliest = sorted(answer["probabilities"], reverse=True)[:3]
    assert [guess["confidence"] for guess in answer["top"]] == likeliest


def assert_problem(response: TestResponse, status: int, problem_type: str) -> None:
    """An RFC 9457 problem that names the request and gives a sentence."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    problem = response.get_json()
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert (problem["type"], problem["status"]) == (problem_type, status)
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert problem["detail"][0].isupper()
    assert problem["detail"].endswith(".")
    assert "Traceback" not in response.text
