import base64
import io
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from config import Settings
from flask_app import create_app
from testing.answers import assert_answer, assert_problem
from testing.handwriting import DIGITS, HANDWRITINGS, Drawing, write_row
from testing.pictures import draw_picture, encode, multipart, picture_of
from web.state import load_model

EVERY_HANDWRITING = [(digit, drawing) for digit, drawings in HANDWRITINGS.items() for drawing in drawings]


@pytest.mark.parametrize(("digit", "drawing"), EVERY_HANDWRITING)
def test_strokes_are_read(client: FlaskClient, digit: int, drawing: Drawing) -> None:
    assert_answer(client.post("/api/v1/predict", json={"strokes": drawing}), digit)


@pytest.mark.parametrize("digit", DIGITS)
def test_uploaded_picture_is_read(client: FlaskClient, digit: int) -> None:
    assert_answer(client.post("/api/v1/predict", **multipart(picture_of(DIGITS[digit]))), digit)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_every_documented_format_is_read(client: FlaskClient, file_format: str) -> None:
    assert_answer(client.post("/api/v1/predict", **multipart(picture_of(DIGITS[3], file_format))), 3)


@pytest.mark.parametrize(
    "prefix", ["", "data:image/png;base64,", "data:image/png;name=four.png;base64,"], ids=["bare", "url", "parameters"]
)
def test_base64_gives_the_same_answer_as_a_file(client: FlaskClient, prefix: str) -> None:
    picture = picture_of(DIGITS[4])
    upload = client.post("/api/v1/predict", **multipart(picture))
    text = client.post("/api/v1/predict", json={"image_base64": prefix + base64.b64encode(picture).decode()})
    assert_answer(text, 4)
    assert text.get_json()["probabilities"] == upload.get_json()["probabilities"]


def test_base64_may_be_wrapped_into_lines(client: FlaskClient) -> None:
    wrapped = base64.encodebytes(picture_of(DIGITS[4])).decode()
    assert "\n" in wrapped
    assert_answer(client.post("/api/v1/predict", json={"image_base64": wrapped}), 4)


def test_large_picture_is_read(client: FlaskClient) -> None:
    # Larger than a body without a picture may be.
    large = encode(draw_picture([[[4 * x, 4 * y] for x, y in stroke] for stroke in DIGITS[6]], (1120, 1120), 60), "BMP")
    assert len(large) > 2**20
    assert_answer(client.post("/api/v1/predict", json={"image_base64": base64.b64encode(large).decode()}), 6)
    assert_answer(client.post("/api/v1/predict", **multipart(large)), 6)


@pytest.mark.parametrize(
    ("above", "accepting"), [(3, ["sure", "balanced", "guess"]), (1, ["balanced", "guess"]), (-1, ["guess"]), (-3, [])]
)
def test_mode_decides_how_easily_an_input_is_a_digit(
    above: float, accepting: list[str], app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(query: str) -> dict[str, Any]:
        return dict(client.post(f"/api/v1/predict{query}", json={"strokes": DIGITS[5]}).get_json())

    monkeypatch.setattr(app.extensions["reader"].recognizer, "_threshold", answer("")["digit_score"] - above)
    assert [mode for mode in ("sure", "balanced", "guess") if answer(f"?mode={mode}")["is_digit"]] == accepting
    assert answer("?mode=certain")["type"] == "invalid-request"


@pytest.mark.parametrize(("above", "reason"), [(1, None), (-1, "unsure"), (-3, "not_a_digit")])
def test_reason_says_why_an_input_is_no_digit(
    above: float, reason: str | None, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = client.post("/api/v1/predict", json={"strokes": DIGITS[5]}).get_json()["digit_score"]
    monkeypatch.setattr(app.extensions["reader"].recognizer, "_threshold", score - above)
    answer = client.post("/api/v1/predict", json={"strokes": DIGITS[5]}).get_json()
    assert (answer["is_digit"], answer.get("reason")) == (reason is None, reason)
    assert "n_digits" not in answer


@pytest.mark.parametrize("text", ["42", "31415"])
@pytest.mark.parametrize("mode", ["balanced", "guess"])
@pytest.mark.parametrize("source", ["strokes", "picture"])
def test_one_digit_does_not_hide_others(client: FlaskClient, source: str, mode: str, text: str) -> None:
    row = write_row(text)
    picture = encode(draw_picture(row, (280 * len(text), 280)))
    sent = {"json": {"strokes": row}} if source == "strokes" else multipart(picture)
    answer = client.post(f"/api/v1/predict?mode={mode}", **sent).get_json()
    assert (answer["is_digit"], answer["reason"], answer["n_digits"]) == (False, "several_digits", len(text))


def test_frame_is_left_out_unless_asked_for(client: FlaskClient) -> None:
    assert "frame" not in client.post("/api/v1/predict", json={"strokes": DIGITS[5]}).get_json()


def test_included_frame_is_what_the_network_saw(app: Flask, client: FlaskClient) -> None:
    answer = client.post("/api/v1/predict?include=frame", json={"strokes": DIGITS[5]}).get_json()
    head, _, data = answer["frame"].partition(",")
    assert head == "data:image/png;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) / 255
    seen = app.extensions["reader"].recognizer.predict_strokes(DIGITS[5]).frame
    assert shown.shape == (28, 28)
    assert shown == pytest.approx(seen, abs=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("scale", [1, 4])
def test_included_box_is_where_the_digit_stands_in_the_picture(client: FlaskClient, scale: int) -> None:
    small = draw_picture([[[x / 4 + 180, y / 4 + 20] for x, y in stroke] for stroke in DIGITS[3]], pen=5)
    picture = small.resize((280 * scale, 280 * scale))
    box = picture.point(lambda grey: 255 * (grey < 128)).getbbox()
    assert box
    left, top, right, bottom = box
    response = client.post("/api/v1/predict?include=frame", **multipart(encode(picture, "JPEG")))
    x, y, width, height = response.get_json()["box"]
    assert x < left < right < x + width
    assert y < top < bottom < y + height
    assert width == height < 2 * (bottom - top)


def test_unknown_include_is_refused(client: FlaskClient) -> None:
    response = client.post("/api/v1/predict?include=everything", json={"strokes": DIGITS[5]})
    assert_problem(response, 422, "invalid-request")


def test_no_answer_is_cached(client: FlaskClient) -> None:
    response = client.post("/api/v1/predict", json={"strokes": DIGITS[5]})
    assert response.headers["Cache-Control"] == "no-store"


def test_index_links_lead_somewhere(client: FlaskClient) -> None:
    index = client.get("/api/v1/").get_json()
    assert index["status"] == "ok"
    assert index["name"]
    assert index["version"]
    for link in index["links"].values():
        assert client.get(link).status_code in {200, 405}


def test_model_card_names_the_model_that_answers(client: FlaskClient) -> None:
    card = client.get("/api/v1/model").get_json()
    measured = {"architecture", "parameters", "preprocessing_version", "data", "engine", "metrics"}
    assert set(card) == {"id", "number_model", "stroke_model"} | measured
    assert card["id"] == client.post("/api/v1/predict", json={"strokes": DIGITS[1]}).get_json()["model"]
    assert 0 < card["parameters"] <= 500_000
    assert card["engine"] == "onnx"


def test_health_is_good_once_the_model_is_loaded(client: FlaskClient) -> None:
    assert client.get("/api/v1/health/live").get_json() == {"status": "live"}
    ready = client.get("/api/v1/health/ready")
    assert ready.status_code == 200
    assert ready.get_json()["status"] == "ready"


def test_app_without_a_model_is_live_but_not_ready(settings: Settings) -> None:
    app = create_app(settings, load_model=False)
    client = app.test_client()
    assert client.get("/api/v1/health/live").status_code == 200
    for response in (
        client.get("/api/v1/health/ready"),
        client.get("/api/v1/model"),
        client.post("/api/v1/predict", json={"strokes": DIGITS[1]}),
    ):
        assert_problem(response, 503, "not-ready")
        assert response.headers["Retry-After"] == "1"
    load_model(app)
    assert client.get("/api/v1/health/ready").status_code == 200


def test_reads_mnist_as_pictures(client: FlaskClient) -> None:
    raw = Settings().data_dir / "MNIST" / "raw"
    if not (raw / "t10k-images-idx3-ubyte").is_file():
        pytest.skip(f"there is no MNIST in {raw}")
    n = 300
    pictures = np.frombuffer((raw / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer((raw / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    right = 0
    for picture, label in zip(pictures[:n], labels[:n], strict=True):
        form = multipart(encode(Image.fromarray(picture)))
        right += client.post("/api/v1/predict", **form).get_json()["digit"] == label
    assert right >= 0.98 * n
