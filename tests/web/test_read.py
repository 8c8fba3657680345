"""POST /api/v1/read and /api/v1/read/batch, mostly with a number model that reads 42 in every line."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from config import Limits, Settings
from flask_app import create_app
from testing.answers import assert_problem
from testing.handwriting import DIGITS, Drawing
from testing.numbers import let_app_read
from testing.pictures import draw_picture, encode, multipart, picture_of
from web.state import load_model

PATH, BATCH = "/api/v1/read", "/api/v1/read/batch"
TWO_DIGITS: Drawing = [[[x + dx, y] for x, y in stroke] for digit, dx in ((4, 0), (2, 200)) for stroke in DIGITS[digit]]
PICTURE = encode(draw_picture(TWO_DIGITS, (480, 280)))
FIELDS = {"text", "confidence", "alternatives", "digits", "other", "truncated", "model", "elapsed_ms"}
DIGIT_FIELDS = {"digit", "confidence", "is_digit", "top", "probabilities", "box", "line"}


@pytest.fixture
def reads_42(settings: Settings) -> FlaskClient:
    app = create_app(settings)
    let_app_read(app, "42")
    return app.test_client()


def decode_frame(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))


def assert_42(response: TestResponse) -> None:
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    answer = response.get_json()
    assert set(answer) == FIELDS
    assert (answer["text"], answer["model"]) == ("42", "0123456789ab")
    assert len({"42", *(each["text"] for each in answer["alternatives"])}) == 4
    shares = [answer["confidence"], *(each["confidence"] for each in answer["alternatives"])]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < sum(shares) <= 1
    assert [digit["digit"] for digit in answer["digits"]] == [4, 2]
    for digit in answer["digits"]:
        assert set(digit) == DIGIT_FIELDS
        assert digit["is_digit"] is True
        assert digit["line"] == 0
        assert len(digit["top"]) == 3
        assert digit["top"][0] == {"digit": digit["digit"], "confidence": digit["confidence"]}
        assert digit["probabilities"][digit["digit"]] == max(digit["probabilities"]) == digit["confidence"]
        assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"strokes": TWO_DIGITS}},
        {"json": {"image_base64": base64.b64encode(PICTURE).decode()}},
        multipart(PICTURE),
    ],
    ids=["strokes", "base64", "file"],
)
def test_every_form_of_input_is_read(reads_42: FlaskClient, sent: dict[str, Any]) -> None:
    assert_42(reads_42.post(PATH, **sent))


def test_boxes_of_drawn_digits_are_those_of_their_strokes(reads_42: FlaskClient) -> None:
    boxes = [digit["box"] for digit in reads_42.post(PATH, json={"strokes": TWO_DIGITS}).get_json()["digits"]]
    for box, digit, dx in zip(boxes, (4, 2), (0, 200), strict=True):
        points = np.array([point for stroke in DIGITS[digit] for point in stroke])
        left, top = points.min(axis=0)
        # The smooth line that is drawn through the points may go a little beyond them.
        assert box == pytest.approx([left + dx, top, *np.ptp(points, axis=0)], abs=2)


def test_boxes_in_a_picture_are_in_its_pixels(reads_42: FlaskClient) -> None:
    large = encode(draw_picture(TWO_DIGITS, (480, 280)).resize((4800, 2800)), "JPEG")
    answers = [reads_42.post(PATH, **multipart(picture)).get_json() for picture in (PICTURE, large)]
    small, tenfold = (np.array([digit["box"] for digit in answer["digits"]]) for answer in answers)
    assert tenfold == pytest.approx(10 * small, abs=40)
    (left, _, width, _), (next_left, *_) = small
    assert 0 <= left < left + width <= next_left < 480


def test_lines_are_separated_in_the_text_and_numbered(reads_42: FlaskClient) -> None:
    two_lines = [*TWO_DIGITS, *([[x, y + 400] for x, y in stroke] for stroke in TWO_DIGITS)]
    answer = reads_42.post(PATH, json={"strokes": two_lines}).get_json()
    assert answer["text"] == "42\n42"
    assert [(digit["digit"], digit["line"]) for digit in answer["digits"]] == [(4, 0), (2, 0), (4, 1), (2, 1)]


@pytest.mark.parametrize("digit", [0, 3, 7])
def test_single_digit_is_read_as_predict_does(client: FlaskClient, digit: int) -> None:
    read, predicted = (
        client.post(path, json={"strokes": DIGITS[digit]}).get_json() for path in (PATH, "/api/v1/predict")
    )
    (found,) = read["digits"]
    assert (read["text"], read["confidence"]) == (str(digit), predicted["confidence"])
    shared = ("digit", "confidence", "is_digit", "top", "probabilities")
    assert [found[name] for name in shared] == [predicted[name] for name in shared]


def test_what_is_not_a_digit_is_a_question_mark(client: FlaskClient) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 120), np.uint8)
    answer = client.post(PATH, **multipart(encode(Image.fromarray(noise)))).get_json()
    assert (answer["text"], answer["digits"][0]["is_digit"], answer["alternatives"]) == ("?", False, [])


def test_frames_are_included_where_asked_for(reads_42: FlaskClient) -> None:
    answer = reads_42.post(f"{PATH}?include=frame", json={"strokes": TWO_DIGITS}).get_json()
    alone = [
        reads_42.post("/api/v1/predict?include=frame", json={"strokes": DIGITS[d]}).get_json()["frame"] for d in (4, 2)
    ]
    for digit, expected in zip(answer["digits"], alone, strict=True):
        shown, whole = (np.asarray(decode_frame(each), float) for each in (digit["frame"], expected))
        assert shown.shape == (28, 28)
        assert np.abs(shown - whole).mean() < 2  # of 255


@pytest.mark.parametrize(
    ("query", "sent", "status", "problem_type"),
    [
        ("?include=everything", {"json": {"strokes": TWO_DIGITS}}, 422, "invalid-request"),
        ("", {"json": {"strokes": []}}, 422, "blank"),
        ("", {"json": {"strokes": [[[1, "x"]]]}}, 422, "invalid-strokes"),
        ("", multipart(b"hello"), 415, "unsupported-picture"),
        ("", multipart(encode(Image.new("L", (50, 50), 255))), 422, "blank"),
        ("/batch", multipart(b"x"), 422, "missing-picture"),
        ("/batch", multipart(*[b"x"] * 65, name="images"), 422, "invalid-request"),
    ],
)
def test_bad_request_gets_its_problem(
    client: FlaskClient, query: str, sent: dict[str, Any], status: int, problem_type: str
) -> None:
    assert_problem(client.post(PATH + query, **sent), status, problem_type)


def test_every_picture_of_a_batch_gets_its_answer_or_problem_in_order(client: FlaskClient) -> None:
    blank = encode(Image.new("L", (50, 50), 255))
    sent = multipart(picture_of(DIGITS[1]), b"hello", blank, picture_of(DIGITS[2]), name="images")
    answer = client.post(f"{BATCH}?include=frame", **sent).get_json()
    results = answer["results"]
    assert [result.get("text", result.get("type")) for result in results] == ["1", "unsupported-picture", "blank", "2"]
    assert {result["model"] for result in (results[0], results[3])} == {answer["model"]}
    assert results[0]["digits"][0]["frame"].startswith("data:image/png;base64,")
    assert answer["model"] == client.get("/api/v1/model").get_json()["number_model"]


def test_pictures_of_a_batch_are_refused_once_its_time_is_used_up(settings: Settings) -> None:
    limits = Limits(_env_file=None, max_batch_seconds=1e-6)
    client = create_app(settings.model_copy(update={"limits": limits})).test_client()
    answer = client.post(BATCH, **multipart(PICTURE, PICTURE, name="images")).get_json()
    assert [(problem["status"], problem["type"]) for problem in answer["results"]] == [(413, "picture-too-large")] * 2


@pytest.mark.parametrize("path", [PATH, BATCH])
def test_server_without_a_number_model_says_so(settings: Settings, tmp_path: Path, path: str) -> None:
    app = create_app(settings.model_copy(update={"number_model_path": tmp_path / "none.pth"}), load_model=False)
    client = app.test_client()
    assert_problem(client.post(path, **multipart(PICTURE)), 503, "not-ready")
    load_model(app)
    response = client.post(path, **multipart(PICTURE))
    assert_problem(response, 501, "no-number-model")
    assert "no model for numbers" in response.get_json()["detail"]
    assert "number_model" not in client.get("/api/v1/model").get_json()
    assert client.post("/api/v1/predict", json={"strokes": DIGITS[1]}).get_json()["digit"] == 1
    assert "example" not in str(client.get("/openapi.json").get_json()["paths"][path]["post"]["responses"]["200"])
