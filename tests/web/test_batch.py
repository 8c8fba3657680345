"""POST /api/v1/predict/batch."""

import pytest
from flask.testing import FlaskClient
from PIL import Image

from testing.answers import ANSWER_FIELDS, assert_problem
from testing.handwriting import DIGITS
from testing.pictures import encode, multipart, picture_of

PATH = "/api/v1/predict/batch"


def form(pictures: list[bytes], name: str = "images") -> dict[str, object]:
    return multipart(*pictures, name=name)


def test_every_picture_gets_its_answer_in_order(client: FlaskClient) -> None:
    response = client.post(PATH, **form([picture_of(drawing) for drawing in DIGITS.values()]))
    assert response.status_code == 200
    answer = response.get_json()
    assert [result["digit"] for result in answer["results"]] == list(DIGITS)
    assert all(set(result) == ANSWER_FIELDS for result in answer["results"])
    assert {result["model"] for result in answer["results"]} == {answer["model"]}


def test_answers_are_those_of_single_requests(client: FlaskClient) -> None:
    one = picture_of(DIGITS[4])
    (batched,) = client.post(PATH, **form([one])).get_json()["results"]
    single = client.post("/api/v1/predict", **form([one], "image")).get_json()
    assert batched["probabilities"] == pytest.approx(single["probabilities"], abs=1e-5)


def test_bad_picture_does_not_affect_the_others(client: FlaskClient) -> None:
    blank = encode(Image.new("L", (50, 50), 255))
    response = client.post(PATH, **form([picture_of(DIGITS[1]), b"hello", blank, b"", picture_of(DIGITS[2])]))
    first, unsupported, empty, damaged, last = response.get_json()["results"]
    assert (first["digit"], last["digit"]) == (1, 2)
    problems = [(problem["status"], problem["type"]) for problem in (unsupported, empty, damaged)]
    assert problems == [(415, "unsupported-picture"), (422, "blank"), (422, "undecodable-picture")]
    assert {problem["request_id"] for problem in (unsupported, empty, damaged)} == {response.headers["X-Request-ID"]}


def test_frames_are_included_where_asked_for(client: FlaskClient) -> None:
    answer = client.post(f"{PATH}?include=frame", **form([picture_of(DIGITS[1])])).get_json()
    assert answer["results"][0]["frame"].startswith("data:image/png;base64,")


def test_64_pictures_are_read_and_65_refused(client: FlaskClient) -> None:
    one = picture_of(DIGITS[1])
    assert len(client.post(PATH, **form([one] * 64)).get_json()["results"]) == 64
    refused = client.post(PATH, **form([one] * 65))
    assert_problem(refused, 422, "invalid-request")
    assert [error["pointer"] for error in refused.get_json()["errors"]] == ["/images"]


@pytest.mark.parametrize(
    ("sent", "status", "problem_type"),
    [
        (form([]), 422, "missing-picture"),
        (form([b"x"], "image"), 422, "missing-picture"),
        ({"json": {"images": []}}, 415, "unsupported-media-type"),
        (form([bytes(7 * 2**20)] * 2), 413, "body-too-large"),
    ],
)
def test_bad_batch_gets_its_problem(
    client: FlaskClient, sent: dict[str, object], status: int, problem_type: str
) -> None:
    assert_problem(client.post(PATH, **sent), status, problem_type)
