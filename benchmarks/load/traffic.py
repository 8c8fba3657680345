"""Valid requests, each with a check that its answer is right."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from PIL import Image

from benchmarks.load.generator import Check, Request
from testing.handwriting import HANDWRITINGS, Drawing
from testing.pictures import draw_picture, encode, multipart

HOST = "localhost"
PREDICT, BATCH = "/api/v1/predict", "/api/v1/predict/batch"
BOUNDARY = "frontier"
PHOTO_SIDES = (4000, 3000)  # 12 megapixels
SMALL_SIDE = 100


def http_request(method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """One HTTP/1.1 request; the length of the body is added to the headers."""
    fields = {"Host": HOST, **(headers or {})}
    if body or method == "POST":
        fields.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def json_request(body: object, target: str = PREDICT) -> bytes:
    """A POST of JSON, given as a value or as bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http_request("POST", target, data, {"Content-Type": "application/json"})


def file_request(files: Sequence[bytes], target: str = PREDICT, field: str = "image", name: str = "digit.png") -> bytes:
    """A POST of a form with files; `name` is not escaped."""
    form = multipart(*files, name=field, filename=name)
    return http_request("POST", target, form["data"], {"Content-Type": form["content_type"]})


# ---- checks ----


def reads(digit: int) -> Check:
    """The answer is `digit`, and is consistent."""

    def check(status: int, body: bytes) -> str | None:
        if status != 200:
            return f"status {status}: {body[:80]!r}"
        answer = json.loads(body)
        return wrong_in(answer) or (None if answer["digit"] == digit else f"{digit} was read as {answer['digit']}")

    return check


def reads_all(digits: Sequence[int]) -> Check:
    """The answers to a batch are `digits`, in this order."""

    def check(status: int, body: bytes) -> str | None:
        if status != 200:
            return f"status {status}: {body[:80]!r}"
        found = [result["digit"] for result in json.loads(body)["results"]]
        return None if found == list(digits) else f"{digits} were read as {found}"

    return check


def holds(status_wanted: int, content: bytes = b"") -> Check:
    """The answer has this status, and `content` in its body."""

    def check(status: int, body: bytes) -> str | None:
        if status != status_wanted:
            return f"status {status} and not {status_wanted}: {body[:80]!r}"
        return None if content in body else f"{content!r} is missing"

    return check


def wrong_in(answer: Mapping[str, object]) -> str | None:
    """What is inconsistent in the answer to one digit, or None."""
    shares = answer["probabilities"]
    if not isinstance(shares, list) or len(shares) != 10 or not all(0 <= share <= 1 for share in shares):
        return f"probabilities {shares}"
    if not math.isclose(sum(shares), 1, abs_tol=1e-4):
        return f"probabilities with a sum of {sum(shares)}"
    if shares[int(str(answer["digit"]))] != max(shares):
        return "the digit is not the most probable"
    return None


# ---- requests ----


@cache
def drawings() -> list[tuple[int, Drawing]]:
    """Every handwriting of every digit."""
    return [(digit, drawing) for digit, some in HANDWRITINGS.items() for drawing in some]


@cache
def strokes() -> list[Request]:
    """Each drawing as the page sends it."""
    return [Request("strokes", json_request({"strokes": drawing}), reads(digit)) for digit, drawing in drawings()]


@cache
def small_pictures() -> list[tuple[int, bytes]]:
    """Each drawing as a PNG file of 100 by 100 pixels."""
    return [(digit, encode(draw_picture(drawing).resize((SMALL_SIDE, SMALL_SIDE)))) for digit, drawing in drawings()]


@cache
def small_png() -> list[Request]:
    """The small pictures, as forms."""
    return [Request("small PNG", file_request([data]), reads(digit)) for digit, data in small_pictures()]


@cache
def base64_png() -> list[Request]:
    """The small pictures, as text in JSON."""
    return [
        Request("PNG in JSON", json_request({"image_base64": base64.b64encode(data).decode()}), reads(digit))
        for digit, data in small_pictures()
    ]


@cache
def photographs() -> list[Request]:
    """A few drawings as phone photographs: JPEG files of 12 megapixels with uneven light."""
    return [
        Request("12-megapixel JPEG", file_request([photograph(drawing)], name="IMG_0001.JPG"), reads(digit))
        for digit, drawing in drawings()[::6]
    ]


def photograph(drawing: Drawing) -> bytes:
    """A JPEG file of 12 megapixels: dark ink on grainy paper with darker edges."""
    width, height = PHOTO_SIDES
    sheet = Image.new("L", (width // 4, height // 4), 225)
    digit = draw_picture(drawing).resize((height // 4, height // 4))
    sheet.paste(digit.point(lambda grey: grey * 225 // 255), ((width - height) // 8, 0))
    # One seed, so that every run sends the same bytes.
    grain = Image.frombytes("L", sheet.size, random.Random(0).randbytes(sheet.width * sheet.height))
    light = Image.radial_gradient("L").resize(sheet.size).point(lambda far: 255 - far // 5)
    lit = Image.composite(sheet, Image.new("L", sheet.size, 0), light)
    photo = Image.blend(lit, grain, 0.04).resize(PHOTO_SIDES, Image.Resampling.BILINEAR)
    return encode(photo.convert("RGB"), "JPEG", quality=90)


@cache
def batches() -> list[Request]:
    """Eight small pictures at a time."""
    some = small_pictures()
    return [
        Request(
            "batch of 8",
            file_request([data for _, data in some[start : start + 8]], BATCH, "images"),
            reads_all([digit for digit, _ in some[start : start + 8]]),
        )
        for start in range(0, len(some) - 8, 8)
    ]


@cache
def pages() -> list[Request]:
    """Pages, static files, and an upload without JavaScript."""
    digit, data = small_pictures()[5]
    return [
        Request("page", http_request("GET", "/"), holds(200, b"</html>")),
        Request("static file", http_request("GET", "/static/pad.js"), holds(200, b"export")),
        Request("model", http_request("GET", "/api/v1/model"), holds(200, b'"parameters"')),
        Request("health", http_request("GET", "/api/v1/health/ready"), holds(200, b'"ready"')),
        Request("document", http_request("GET", "/openapi.json"), holds(200, b'"openapi"')),
        Request("upload", file_request([data], "/"), holds(200, str(digit).encode())),
    ]


def everyday(seed: int = 0) -> Iterator[Request]:
    """Endless requests, mixed like those to a public server: mostly drawings, some pictures and pages."""
    rng = random.Random(seed)
    kinds = [strokes(), small_png(), base64_png(), pages(), batches(), photographs()]
    weights = [60, 18, 5, 15, 1.5, 0.5]
    while True:
        (kind,) = rng.choices(kinds, weights)
        yield rng.choice(kind)
