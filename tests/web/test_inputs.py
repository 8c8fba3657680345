"""Invalid input gets the documented problem, and the next request works."""

import base64
import io
import json
import struct
import zlib
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from config import Limits, Settings
from flask_app import create_app
from testing.answers import assert_answer, assert_problem
from testing.handwriting import DIGITS
from testing.pictures import encode, multipart, picture_of
from web.inputs import strict_json
from web.problems import MalformedJson

PNG = picture_of(DIGITS[2])
BLANK_PNG = encode(Image.new("L", (100, 100), 255))
JSON = "application/json"


def body(text: str | bytes, content_type: str = JSON) -> dict[str, Any]:
    return {"data": text, "content_type": content_type}


def strokes(value: object) -> dict[str, Any]:
    return body(json.dumps({"strokes": value}))


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def huge_png() -> bytes:
    """A header that promises 20,000 by 20,000 pixels, in a file of a few bytes."""
    start = PNG.index(b"IHDR")
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + PNG[start + 12 : start + 17]
    return PNG[:start] + header + struct.pack(">I", zlib.crc32(header)) + PNG[start + 21 :]


HOSTILE = {
    # pictures
    "a text file named .png": (multipart(b"hello"), 415, "unsupported-picture"),
    "an empty file": (multipart(b""), 422, "undecodable-picture"),
    "a damaged picture": (multipart(PNG[:100]), 422, "undecodable-picture"),
    "a blank picture": (multipart(BLANK_PNG), 422, "blank"),
    "a picture of too many pixels": (multipart(huge_png()), 413, "picture-too-large"),
    "a form without a file": ({"data": {}, "content_type": "multipart/form-data"}, 422, "missing-picture"),
    "a form with no file chosen": (multipart(b"", filename=""), 422, "missing-picture"),
    "a form with text for a file": (
        {"data": {"image": "hello"}, "content_type": "multipart/form-data"},
        422,
        "missing-picture",
    ),
    "a file under another name": (multipart(PNG, name="picture"), 422, "missing-picture"),
    # Werkzeug makes regular expressions of it.
    "a boundary of 10 KB": (
        {"data": b"x", "content_type": "multipart/form-data; boundary=" + "*" * 10**4},
        400,
        "bad-request",
    ),
    "base64 with junk": (body(json.dumps({"image_base64": "!!!!"})), 422, "invalid-request"),
    "base64 cut off": (body(json.dumps({"image_base64": base64_of(PNG)[:-3]})), 422, "invalid-request"),
    "base64 of text": (body(json.dumps({"image_base64": base64_of(b"hello")})), 415, "unsupported-picture"),
    "empty base64": (body(json.dumps({"image_base64": ""})), 422, "undecodable-picture"),
    "base64 beyond ASCII": (body(json.dumps({"image_base64": "äöü="})), 422, "invalid-request"),
    "a number for base64": (body(json.dumps({"image_base64": 5})), 422, "invalid-request"),
    "a lone surrogate for base64": (body('{"image_base64": "\\ud800"}'), 422, "invalid-request"),
    "a data URL of another type": (
        body(json.dumps({"image_base64": "data:text/html;base64,aGk="})),
        415,
        "unsupported-picture",
    ),
    "a data URL without base64": (body(json.dumps({"image_base64": "data:image/png,hello"})), 422, "invalid-request"),
    # A regular expression that tried every character as a start took hours here.
    "a megabyte of data URL without a comma": (
        body(json.dumps({"image_base64": "data:" + "a" * 10**6})),
        422,
        "invalid-request",
    ),
    "a megabyte of commas in a data URL": (
        body(json.dumps({"image_base64": "data:image/png;" + ";" * 10**6 + ",AAAA"})),
        422,
        "invalid-request",
    ),
    # strokes
    "a blank canvas": (strokes([]), 422, "blank"),
    "strokes without points": (strokes([[], []]), 422, "blank"),
    "100,000 points": (strokes([[[1, 2]] * 20_000]), 422, "invalid-strokes"),
    "501 strokes": (strokes([[[1, 2]]] * 501), 422, "invalid-strokes"),
    "strings for numbers": (strokes([[["1", "2"]]]), 422, "invalid-strokes"),
    "booleans for numbers": (strokes([[[True, False]]]), 422, "invalid-strokes"),
    "nulls for numbers": (strokes([[[None, 1]]]), 422, "invalid-strokes"),
    "points of one number": (strokes([[[1]]]), 422, "invalid-strokes"),
    "points of three numbers": (strokes([[[1, 2, 3]]]), 422, "invalid-strokes"),
    "points far outside": (strokes([[[1e9, 0], [0, 0]]]), 422, "invalid-strokes"),
    "a number of 400 digits": (body('{"strokes": [[[1' + 400 * "0" + ", 2]]]}"), 422, "invalid-strokes"),
    "a number of 5,000 digits": (body('{"strokes": [[[1' + 5000 * "0" + ", 2]]]}"), 400, "malformed-json"),
    "a number too large for a float": (body('{"strokes": [[[1e400, 2]]]}'), 422, "invalid-strokes"),
    "text for strokes": (strokes("hello"), 422, "invalid-strokes"),
    "null for strokes": (strokes(None), 422, "invalid-strokes"),
    "an object for a stroke": (strokes([{"x": 1}]), 422, "invalid-strokes"),
    # JSON
    "NaN": (body('{"strokes": [[[NaN, 1]]]}'), 400, "malformed-json"),
    "Infinity": (body('{"strokes": [[[-Infinity, 1]]]}'), 400, "malformed-json"),
    "no body": (body(""), 411, "length-required"),
    "an empty body": ({**body(b""), "environ_overrides": {"CONTENT_LENGTH": "0"}}, 400, "malformed-json"),
    "JSON cut off": (body('{"strokes": [[[1,'), 400, "malformed-json"),
    "a name twice": (body('{"strokes": [[[1, 2]]], "strokes": []}'), 400, "malformed-json"),
    "JSON nested nine deep": (strokes([[[[[[[[[1]]]]]]]]]), 400, "malformed-json"),
    "JSON nested 100,000 deep": (body("[" * 100_000), 400, "malformed-json"),
    "bytes that are no UTF-8": (body(b'{"strokes": "\xff"}'), 400, "malformed-json"),
    "UTF-16": (body(json.dumps({"strokes": []}).encode("utf-16")), 400, "malformed-json"),
    "another charset": (
        body(json.dumps({"strokes": []}), "application/json; charset=latin-1"),
        415,
        "unsupported-media-type",
    ),
    "a list for the object": (body("[]"), 422, "invalid-request"),
    "a number for the object": (body("7"), 422, "invalid-request"),
    "an empty object": (body("{}"), 422, "invalid-request"),
    "an unknown field": (body('{"stroke": []}'), 422, "invalid-request"),
    "both strokes and a picture": (body('{"strokes": [[[1, 2]]], "image_base64": "AAAA"}'), 422, "invalid-request"),
    "another content type": (body("strokes=1", "application/x-www-form-urlencoded"), 415, "unsupported-media-type"),
    "no content type": (body(PNG, ""), 415, "unsupported-media-type"),
    "a bare picture": (body(PNG, "image/png"), 415, "unsupported-media-type"),
    "a body that is not compressed as its header says": (
        {**body('{"strokes": []}'), "headers": {"Content-Encoding": "gzip"}},
        415,
        "unsupported-media-type",
    ),
    # size
    "a large drawing": (body('{"strokes": [' + " " * 2**18 + "]}"), 413, "body-too-large"),
    "a large picture": (multipart(bytes(12 * 2**20)), 413, "body-too-large"),
    "a large base64": (body('{"image_base64": "' + "A" * 12 * 2**20 + '"}'), 413, "body-too-large"),
    "a large body of other fields": (
        body('{"image_base64": "", ' + ", ".join(f'"{number}": 0' for number in range(40_000)) + "}"),
        413,
        "body-too-large",
    ),
    "a large body of strokes": (
        body('{"image_base64": "", "strokes": [' + "[]," * 2**17 + "[]]}"),
        413,
        "body-too-large",
    ),
    "a large form field": (
        {"data": {"image": "A" * 2**18}, "content_type": "multipart/form-data"},
        413,
        "body-too-large",
    ),
}


@pytest.mark.parametrize(("sent", "status", "problem_type"), HOSTILE.values(), ids=HOSTILE)
def test_invalid_input_gets_its_documented_problem(
    client: FlaskClient, sent: dict[str, Any], status: int, problem_type: str
) -> None:
    assert_problem(client.post("/api/v1/predict", **sent), status, problem_type)
    assert_answer(client.post("/api/v1/predict", json={"strokes": DIGITS[8]}), 8)


def test_problem_points_to_the_bad_coordinate(client: FlaskClient) -> None:
    response = client.post("/api/v1/predict", json={"strokes": [[[1, 2]], [[1, 2], [3, "4"]]]})
    assert [error["pointer"] for error in response.get_json()["errors"]] == ["/strokes/1/1"]


def test_problem_points_to_the_unknown_field(client: FlaskClient) -> None:
    response = client.post("/api/v1/predict", json={"strokes": [], "a/b~c": 1})
    assert "/a~1b~0c" in [error["pointer"] for error in response.get_json()["errors"]]


def test_answer_to_many_errors_is_short(client: FlaskClient) -> None:
    sent = json.dumps({str(number): 0 for number in range(10_000)})
    response = client.post("/api/v1/predict", **body(sent))
    assert_problem(response, 422, "invalid-request")
    assert 1 < len(response.get_json()["errors"]) < 50
    assert len(response.data) < len(sent)


@pytest.mark.parametrize("name", ["a", "~", "/", "é", "\x00"])
def test_long_name_of_a_field_is_not_echoed(client: FlaskClient, name: str) -> None:
    response = client.post("/api/v1/predict", **body(json.dumps({name * 40_000: 0}, ensure_ascii=False)))
    assert_problem(response, 422, "invalid-request")
    assert len(response.data) < 1000


def test_base64_may_be_broken_into_lines(client: FlaskClient) -> None:
    text = base64.encodebytes(picture_of(DIGITS[6])).decode().replace("\n", "\r\n")
    assert_answer(client.post("/api/v1/predict", json={"image_base64": text}), 6)


def test_boundary_may_be_a_little_longer_than_the_standard_allows(client: FlaskClient) -> None:
    boundary = "b" * 80  # Werkzeug's own client writes up to 75 characters
    form = multipart(PNG)
    form["data"] = form["data"].replace(b"frontier", boundary.encode())
    response = client.post(
        "/api/v1/predict", data=form["data"], content_type=f"multipart/form-data; boundary={boundary}"
    )
    assert_answer(response, 2)


def test_limits_are_settings(settings: Settings) -> None:
    limits = Limits(_env_file=None, max_points=3, max_plain_body_bytes=2**10, max_body_bytes=2**11)
    client = create_app(settings.model_copy(update={"limits": limits})).test_client()
    assert_problem(client.post("/api/v1/predict", **strokes([[[1, 2]] * 4])), 422, "invalid-strokes")
    assert_problem(client.post("/api/v1/predict", **strokes([[[1, 2]] * 200])), 413, "body-too-large")
    assert_problem(client.post("/api/v1/predict", **multipart(bytes(2**12))), 413, "body-too-large")


def test_chunked_body_over_the_limit_is_refused(client: FlaskClient) -> None:
    response = client.post(
        "/api/v1/predict",
        input_stream=io.BytesIO(b" " * (12 * 2**20 + 1)),
        content_type=JSON,
        environ_overrides={"wsgi.input_terminated": True},
        headers={"Transfer-Encoding": "chunked"},
    )
    assert_problem(response, 413, "body-too-large")


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
shallow = scalars | st.lists(scalars) | st.dictionaries(st.text(), st.lists(scalars))
json_values = st.recursive(
    scalars, lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
)


@given(shallow)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert strict_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_malformed(data: bytes) -> None:
    with suppress(MalformedJson):
        strict_json(data)


@hypothesis_settings(max_examples=60)
@given(value=json_values)
def test_random_json_is_never_an_internal_error(app: Flask, value: object) -> None:
    client = app.test_client()
    for sent in ([value], {"strokes": value}, {"image_base64": value}):
        assert client.post("/api/v1/predict", json=sent).status_code in {200, 400, 415, 422}
