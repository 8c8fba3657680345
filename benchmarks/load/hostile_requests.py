"""Invalid requests, each with the status and problem type that the API documents."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Mapping
from functools import cache

from benchmarks.load.generator import Check, Request
from benchmarks.load.hostile_pictures import hostile_pictures
from benchmarks.load.traffic import (
    BATCH,
    BOUNDARY,
    PREDICT,
    file_request,
    http_request,
    json_request,
    small_pictures,
    wrong_in,
)
from config import Limits

_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
# Problem types that a picture may get; any other is a fault of the server.
_PICTURE_PROBLEMS = {"blank", "unsupported-picture", "undecodable-picture", "picture-too-large", "missing-picture"}
_FILE_NAMES = (
    "digit.png",
    "../../../etc/passwd",
    "a" * 2000,
    "<script>.png",
    "CON",
    "%00.png",
    ";id;.png",
    "\\u202egnp.png",
)


def refused(status_wanted: int, problem: str) -> Check:
    """The response is a problem with this status and type."""

    def check(status: int, body: bytes) -> str | None:
        found = problem_type(body)
        # A proxy that refuses a body itself has its own page for it.
        if status == status_wanted and found in {problem, ""}:
            return None
        return f"a {status} of type {found} and not a {status_wanted} of type {problem}"

    return check


def reads_or_refuses(status: int, body: bytes) -> str | None:
    """The response to a file that may be a picture: a digit, or a problem type that pictures may get."""
    if status == 200:
        return wrong_in(json.loads(body))
    found = problem_type(body)
    return None if status in {413, 415, 422} and found in _PICTURE_PROBLEMS else f"a {status} of type {found}"


def problem_type(body: bytes) -> str:
    """The problem type in a body; empty if it is not problem+json."""
    return str(json.loads(body).get("type", "")) if body.startswith(b"{") else ""


def _rejected(status: int, _body: bytes) -> str | None:
    """The response to malformed HTTP: a 4xx, or a closed connection."""
    return None if status == 0 or 400 <= status < 500 else f"a {status}"


_Cases = Mapping[str, tuple[int, str, bytes]]  # name: status, problem type, request

_DRAWING = {"strokes": [[[100, 20], [99, 180]]]}
_WRONG_ADDRESSES: _Cases = {
    "nothing at this address": (404, "not-found", http_request("GET", "/api/v1/nothing")),
    "a path out of the folder": (404, "not-found", http_request("GET", "/api/v1/../../etc/passwd")),
    "wrong method": (405, "method-not-allowed", http_request("DELETE", PREDICT)),
    "HTML wanted": (406, "not-acceptable", http_request("GET", "/api/v1/model", headers={"Accept": "text/html"})),
    "another site's page": (
        403,
        "cross-site",
        http_request("POST", PREDICT, json.dumps(_DRAWING).encode(), {**_JSON, "Sec-Fetch-Site": "cross-site"}),
    ),
    "an unknown parameter": (422, "invalid-request", json_request(_DRAWING, PREDICT + "?include=everything")),
}
_MALFORMED_JSON: _Cases = {
    name: (400, "malformed-json", json_request(body))
    for name, body in {
        "JSON cut off": b'{"strokes": [[[1, 2], [3',
        "JSON too deep": b'{"strokes": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "JSON a little too deep": b'{"strokes": ' + b"[" * 9 + b"]" * 9 + b"}",
        "NaN": b'{"strokes": [[[NaN, 1]]]}',
        "Infinity": b'{"strokes": [[[-Infinity, 1]]]}',
        "the same name twice": b'{"strokes": [], "strokes": []}',
        "number of 10,000 digits": b'{"strokes": [[[' + b"9" * 10_000 + b", 1]]]}",
        "not UTF-8": b'{"strokes": "\xff\xfe"}',
    }.items()
}
_WRONG_TYPES: _Cases = {
    **{
        name: (415, "unsupported-media-type", http_request("POST", PREDICT, body, headers))
        for name, body, headers in (
            ("wrong charset", b"{}", {"Content-Type": "application/json; charset=utf-16"}),
            ("wrong media type", b"strokes=1", {"Content-Type": "application/x-www-form-urlencoded"}),
            ("compressed body", b"\x1f\x8b", {**_JSON, "Content-Encoding": "gzip"}),
        )
    },
    "a batch in JSON": (415, "unsupported-media-type", json_request(_DRAWING, BATCH)),
}


def _wrong_fields() -> _Cases:
    _, picture = small_pictures()[0]
    encoded = base64.b64encode(picture).decode()
    junk, text_url = encoded[:50] + "!?" + encoded[50:], "data:text/html;base64," + encoded
    return {
        "an empty object": (422, "invalid-request", json_request({})),
        "an unknown field": (422, "invalid-request", json_request({**_DRAWING, "path": "/etc/passwd"})),
        "both fields": (422, "invalid-request", json_request({**_DRAWING, "image_base64": encoded})),
        "no object": (422, "invalid-request", json_request([_DRAWING])),
        "base64 with junk": (422, "invalid-request", json_request({"image_base64": junk})),
        "a data URL of text": (415, "unsupported-picture", json_request({"image_base64": text_url})),
    }


def _wrong_strokes(limits: Limits) -> _Cases:
    point = [1.0, 2.0]
    return {
        "a lone surrogate": (422, "invalid-strokes", json_request(rb'{"strokes": "\ud800"}')),
        "strokes of text": (422, "invalid-strokes", json_request({"strokes": [[["1", "2"]]]})),
        "too many strokes": (422, "invalid-strokes", json_request({"strokes": [[point]] * (limits.max_strokes + 1)})),
        "too many points": (422, "invalid-strokes", json_request({"strokes": [[point] * (limits.max_points + 1)]})),
        "a point far away": (422, "invalid-strokes", json_request({"strokes": [[[0, 0], [2**31, 1e300]]]})),
        "no strokes": (422, "blank", json_request({"strokes": []})),
    }


def _wrong_sizes(too_long: int) -> _Cases:
    return {
        "no length": (411, "length-required", _without_length(http_request("POST", PREDICT, b"", _JSON))),
        "a body of 300 KB": (413, "body-too-large", json_request({"strokes": [], "x": "y" * 300_000})),
        "a body over the limit": (413, "body-too-large", file_request([bytes(too_long)])),
        "a chunked body over the limit": (413, "body-too-large", _chunked(too_long)),
    }


def _wrong_files() -> _Cases:
    _, picture = small_pictures()[0]
    return {
        "a form without a file": (422, "missing-picture", _form('form-data; name="image"')),
        "a form with another file": (422, "missing-picture", _form('form-data; name="photo"; filename="x.png"')),
        "a file that is not a picture": (415, "unsupported-picture", file_request([b"%PDF-1.7"])),
        "a damaged picture": (422, "undecodable-picture", file_request([picture[:100]])),
        "a batch of 65": (422, "invalid-request", file_request([b"x"] * 65, BATCH, "images")),
        "a batch of none": (422, "missing-picture", file_request([], BATCH, "images")),
    }


def _form(disposition: str) -> bytes:
    body = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode()
    return http_request("POST", PREDICT, body, _FORM)


@cache
def documented(limits: Limits) -> list[Request]:
    """One request for each documented problem."""
    cases = {
        **_WRONG_ADDRESSES,
        **_MALFORMED_JSON,
        **_WRONG_TYPES,
        **_wrong_fields(),
        **_wrong_strokes(limits),
        **_wrong_sizes(limits.max_body_bytes + 1),
        **_wrong_files(),
    }
    return [Request(name, data, refused(status, kind)) for name, (status, kind, data) in cases.items()]


def _without_length(request: bytes) -> bytes:
    return request.replace(b"Content-Length: 0\r\n", b"")


def _chunked(length: int) -> bytes:
    head = http_request("GET", PREDICT, headers={**_FORM, "Transfer-Encoding": "chunked"}).replace(b"GET", b"POST", 1)
    piece = f"{2**16:x}\r\n".encode() + bytes(2**16) + b"\r\n"
    return head + piece * (length // 2**16 + 1) + b"0\r\n\r\n"


def _ignored(_status: int, _body: bytes) -> None:
    """The client has closed the connection and ignores the response."""


@cache
def broken() -> list[Request]:
    """Malformed and incomplete HTTP requests."""
    whole = json_request({"strokes": [[[100, 20], [99, 180]]]})
    cases = {
        "no HTTP": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        "a header of 20 KB": http_request("GET", "/", headers={"X": "y" * 20_000}),
        "200 headers": http_request("GET", "/", headers={f"X-{number}": "y" for number in range(200)}),
        "a path of 20 KB": http_request("GET", "/" + "x" * 20_000),
        "two lengths": whole.replace(b"Content-Length", b"Content-Length: 5\r\nContent-Length", 1),
        "a length and chunks": whole.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length", 1),
        "a length below zero": http_request("POST", PREDICT, b"", {**_JSON, "Content-Length": "-1"}),
        "a header with a line break": http_request("GET", "/", headers={"X": "a\nb"}),
        "CONNECT": http_request("CONNECT", "example.org:443"),
    }
    requests = [Request(name, data, _rejected) for name, data in cases.items()]
    for name, share in {"gone after the head": 0.4, "gone before the end": 0.9, "gone before the answer": 1.0}.items():
        requests.append(Request(name, whole[: int(share * len(whole))], _ignored, leaves=True))
    return requests


def picture_requests(seed: int, *, bombs: bool = True) -> Iterator[Request]:
    """Endless hostile pictures, mostly as forms with hostile file names, some in JSON."""
    rng = random.Random(seed)
    for picture in hostile_pictures(seed, bombs=bombs):
        if rng.random() < 0.8 or len(picture.data) > 10**6:
            data = file_request([picture.data], name=rng.choice(_FILE_NAMES))
        else:
            data = json_request({"image_base64": base64.b64encode(picture.data).decode()})
        yield Request(picture.kind, data, reads_or_refuses)


def hostile(limits: Limits, seed: int = 0) -> Iterator[Request]:
    """Endless requests of all these kinds."""
    rng = random.Random(seed)
    pictures = picture_requests(seed)
    large = {"a body over the limit", "a chunked body over the limit"}
    # Rare, because they would be a quarter of all bytes of a soak.
    plain = [request for request in documented(limits) if request.name not in large]
    heavy = [request for request in documented(limits) if request.name in large]
    while True:
        (kind,) = rng.choices(("plain", "broken", "picture", "heavy"), (40, 20, 39.5, 0.5))
        if kind == "picture":
            yield next(pictures)
        else:
            yield rng.choice({"plain": plain, "broken": broken(), "heavy": heavy}[kind])
