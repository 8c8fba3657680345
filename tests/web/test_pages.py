import io
import re

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from config import Settings
from flask_app import create_app
from testing.handwriting import DIGITS, write_row
from testing.numbers import let_app_read
from testing.pictures import draw_picture, encode, multipart, picture_of
from web.pages import percent


def upload(client: FlaskClient, data: bytes, name: str = "digit.png") -> TestResponse:
    return client.post("/", **multipart(data, filename=name))


def test_empty_page_shows_that_nothing_is_drawn(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Nothing drawn yet" in page
    assert 'data-state="empty"' in page


@pytest.mark.parametrize("digit", DIGITS)
def test_upload_shows_picture_frame_and_answer(client: FlaskClient, digit: int) -> None:
    response = upload(client, picture_of(DIGITS[digit]))
    assert response.status_code == 200
    assert f"This is {'an' if digit == 8 else 'a'} {digit}" in response.text
    assert re.search(r'id="picture"[^>]*src="data:image/png;base64,', response.text)
    assert re.search(r'data-slot="frame"[^>]*src="data:image/png;base64,', response.text)
    assert re.findall(r'<span class="digit">(.)</span>', response.text)[0] == str(digit)
    assert len(re.findall(r"%</span>", response.text)) == 3 + 10
    assert len(re.findall(r'<th role="rowheader">', response.text)) == 10


def test_digit_is_outlined_in_its_picture(client: FlaskClient) -> None:
    outline = re.search(
        r'viewBox="0 0 280 280"><path d="M([.\d]+) ([.\d]+)H([.\d]+)V([.\d]+)H',
        upload(client, picture_of(DIGITS[8])).text,
    )
    assert outline
    left, top, right, bottom = map(float, outline.groups())
    xs, ys = zip(*DIGITS[8][0], strict=True)
    assert left < min(xs) < max(xs) < right
    assert top < min(ys) < max(ys) < bottom


def test_number_is_read_and_outlined_digit_by_digit(settings: Settings) -> None:
    app = create_app(settings)
    let_app_read(app, "42")
    page = upload(app.test_client(), encode(draw_picture(write_row("42"), (560, 280)))).text
    assert "This is 42" in page
    assert re.search(r'class="numeral is-number"[^>]*>42<', page)
    outlines = re.findall(r"M([.\d]+) ", page.split('id="outline"')[1].split("/svg")[0])
    assert len(outlines) == 2
    assert float(outlines[0]) < 280 - 40 < float(outlines[1])


def test_number_of_too_many_digits_ends_with_an_ellipsis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recognition.numbers.reader.MAX_DIGITS", 2)
    app = create_app(settings)
    let_app_read(app, "423")
    assert "This is 42…" in upload(app.test_client(), encode(draw_picture(write_row("423"), (840, 280)))).text


def test_several_pictures_are_listed_and_the_first_is_shown(client: FlaskClient) -> None:
    files = {"<b>bad</b>.png": b"hello", "four.png": picture_of(DIGITS[4]), "nine.png": picture_of(DIGITS[9])}
    data = {"image": [(io.BytesIO(content), name) for name, content in files.items()]}
    page = client.post("/", data=data, content_type="multipart/form-data").text
    listed = re.findall(r'<li class="card">.*?<span>(.*?)</span>\s*<strong>(.*?)</strong>', page, re.DOTALL)
    assert listed == [
        ("&lt;b&gt;bad&lt;/b&gt;.png", "Unsupported picture"),
        ("four.png", "This is a 4"),
        ("nine.png", "This is a 9"),
    ]
    assert 'data-slot="words">This is a 4<' in page


def test_long_file_names_are_shortened(client: FlaskClient) -> None:
    data = {"image": [(io.BytesIO(b"hello"), "n" * 50_000)] * 2}
    page = client.post("/", data=data, content_type="multipart/form-data").text
    assert "n" * 60 in page
    assert "n" * 70 not in page


def test_large_picture_is_shown_small(client: FlaskClient) -> None:
    noise = Image.effect_noise((1500, 1500), 60)
    page = upload(client, encode(noise, "JPEG")).text
    assert len(page) < 600_000


BAD_UPLOADS = {
    "text": (b"hello", "x.png", 415, "The file is not a picture"),
    "empty": (b"", "x.png", 422, "The file is empty."),
    "no file": (b"", "", 422, "No picture was sent."),
    "blank": (encode(Image.new("L", (50, 50), 255)), "x.png", 422, "There is nothing to read"),
    "cut off": (picture_of(DIGITS[2])[:100], "x.png", 422, "The picture is damaged"),
    "too large": (bytes(13 * 2**20), "x.png", 413, "larger than this server accepts"),
}


@pytest.mark.parametrize(("data", "name", "status", "sentence"), BAD_UPLOADS.values(), ids=BAD_UPLOADS)
def test_bad_upload_shows_an_explanation_and_the_form(
    client: FlaskClient, data: bytes, name: str, status: int, sentence: str
) -> None:
    response = upload(client, data, name)
    assert response.status_code == status
    assert sentence in response.text
    assert 'role="alert"' in response.text
    assert '<form class="upload"' in response.text
    assert upload(client, picture_of(DIGITS[9])).status_code == 200


def test_file_name_is_not_rendered(client: FlaskClient) -> None:
    assert "alert(1)" not in upload(client, b"hello", "<script>alert(1)</script>.png").text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "<0.1%"),
        (0.0009, "<0.1%"),
        (0.001, "0.1%"),
        (0.5, "50.0%"),
        (0.999, "99.9%"),
        (0.9995, ">99.9%"),
        (1, ">99.9%"),
    ],
)
def test_no_probability_is_shown_as_certain(share: float, text: str) -> None:
    assert percent(share) == text
