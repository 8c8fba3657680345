"""POST /api/v1/explain."""

import base64

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from testing.answers import assert_problem
from testing.handwriting import DIGITS, write_row
from testing.pictures import draw_picture, encode, multipart, picture_of

EXPLAIN = "/api/v1/explain"
FIELDS = {"digit", "confidence", "heat", "strength", "box", "frame", "model", "elapsed_ms"}


def assert_explained(response: TestResponse, digit: int) -> None:
    assert response.status_code == 200, response.text
    explained = response.get_json()
    assert set(explained) == FIELDS
    assert explained["digit"] == digit
    rows = explained["heat"]
    assert [len(row) for row in rows] == [28] * 28
    values = [value for row in rows for value in row]
    assert max(map(abs, values)) == 1
    assert explained["strength"] > 0
    assert explained["frame"].startswith("data:image/png;base64,")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("digit", DIGITS)
def test_likeliest_digit_of_a_drawing_is_explained(client: FlaskClient, digit: int) -> None:
    response = client.post(EXPLAIN, json={"strokes": DIGITS[digit]})
    assert_explained(response, digit)
    predicted = client.post("/api/v1/predict?include=frame", json={"strokes": DIGITS[digit]}).get_json()
    explained = response.get_json()
    assert {name: explained[name] for name in ("confidence", "frame", "model")} == {
        name: predicted[name] for name in ("confidence", "frame", "model")
    }


@pytest.mark.parametrize("digit", range(10))
def test_any_digit_can_be_asked_for(client: FlaskClient, digit: int) -> None:
    response = client.post(f"{EXPLAIN}?digit={digit}", json={"strokes": DIGITS[4]})
    assert_explained(response, digit)
    predicted = client.post("/api/v1/predict", json={"strokes": DIGITS[4]}).get_json()
    assert response.get_json()["confidence"] == pytest.approx(predicted["probabilities"][digit], abs=1e-6)


def test_every_form_of_a_picture_is_explained(client: FlaskClient) -> None:
    picture = picture_of(DIGITS[3])
    text = base64.b64encode(picture).decode()
    answers = [
        client.post(EXPLAIN, **multipart(picture)),
        client.post(EXPLAIN, json={"image_base64": text}),
        client.post(EXPLAIN, json={"image_base64": f"data:image/png;base64,{text}"}),
    ]
    for response in answers:
        assert_explained(response, 3)
    assert len({str(response.get_json()["heat"]) for response in answers}) == 1


def test_box_surrounds_what_was_drawn(client: FlaskClient) -> None:
    x, y, width, height = client.post(EXPLAIN, json={"strokes": DIGITS[7]}).get_json()["box"]
    points = [point for stroke in DIGITS[7] for point in stroke]
    assert width == height
    assert all(x < px < x + width and y < py < y + height for px, py in points)


@pytest.mark.parametrize("digit", ["", "10", "-1", "x", "4.0", "٣", "0x1", " 4", "44"])  # one of them an Arabic 3
def test_invalid_digit_is_refused(client: FlaskClient, digit: str) -> None:
    response = client.post(EXPLAIN, query_string={"digit": digit}, json={"strokes": DIGITS[4]})
    assert_problem(response, 422, "invalid-request")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_digit_of_a_number_is_explained(client: FlaskClient, place: int) -> None:
    drawing = write_row("314")
    found = client.post("/api/v1/read?include=frame", json={"strokes": drawing}).get_json()["digits"][place]
    response = client.post(f"{EXPLAIN}?place={place}", json={"strokes": drawing})
    assert_explained(response, int("314"[place]))
    explained = response.get_json()
    assert explained["frame"] == found["frame"]
    assert explained["confidence"] == found["confidence"]
    left, _, width, _ = explained["box"]
    assert left < found["box"][0] < found["box"][0] + found["box"][2] < left + width


def test_digit_of_a_number_in_a_picture_is_explained(client: FlaskClient) -> None:
    picture = encode(draw_picture(write_row("2718", 120, 20, 80), (520, 280), pen=9))
    response = client.post(f"{EXPLAIN}?place=2&digit=7", **multipart(picture))
    assert_explained(response, 7)
    assert 200 < response.get_json()["box"][0] < 300


@pytest.mark.parametrize("place", ["", "-1", "x", "1.0", " 1", "100", "٣"])
def test_invalid_place_is_refused(client: FlaskClient, place: str) -> None:
    response = client.post(EXPLAIN, query_string={"place": place}, json={"strokes": DIGITS[4]})
    assert_problem(response, 422, "invalid-request")


@pytest.mark.parametrize(("text", "place"), [("42", 2), ("7", 1)])
def test_place_beyond_the_number_is_refused(client: FlaskClient, text: str, place: int) -> None:
    drawing = write_row(text)
    for response in (
        client.post(f"{EXPLAIN}?place={place}", json={"strokes": drawing}),
        client.post(f"{EXPLAIN}?place={place}", **multipart(encode(draw_picture(drawing, (600, 320), pen=9)))),
    ):
        assert_problem(response, 422, "no-such-place")


def test_place_of_the_only_digit_is_the_whole_input(client: FlaskClient) -> None:
    whole, place = (client.post(EXPLAIN + query, json={"strokes": DIGITS[7]}).get_json() for query in ("", "?place=0"))
    assert whole["heat"] == place["heat"]


@pytest.mark.parametrize(
    ("body", "status", "problem_type"),
    [
        ({"strokes": []}, 422, "blank"),
        ({"strokes": [[[1]]]}, 422, "invalid-strokes"),
        ({}, 422, "invalid-request"),
        ({"strokes": DIGITS[4], "digit": 4}, 422, "invalid-request"),
        ({"image_base64": "aGVsbG8="}, 415, "unsupported-picture"),
    ],
)
def test_bad_input_is_refused_as_by_predict(
    client: FlaskClient, body: dict[str, object], status: int, problem_type: str
) -> None:
    assert_problem(client.post(EXPLAIN, json=body), status, problem_type)
    assert_problem(client.post("/api/v1/predict", json=body), status, problem_type)
