"""Check that the processor time of no request grows faster than its size.

    python -m benchmarks.load.cost                 # about 15 minutes

Every part of a request that a client chooses (JSON fields, headers, parameters, paths, forms, picture files) is filled
with repetitions of every token that some parser treats specially, to 10, 100 and 1,000 KB. The app is called in this
process, so that gunicorn's own limits on headers and request lines hide nothing.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask
from PIL import Image
from werkzeug.test import EnvironBuilder, run_wsgi_app

from benchmarks.report import Report, options
from flask_app import create_app

SIZES = (10_000, 100_000, 1_000_000)  # bytes
MAX_SECONDS = 1.0  # of processor time for the largest
MAX_PROBLEM_BYTES = 8_000
# Ten times the input may take ten times as long; the rest is for caches, garbage collection and clock resolution.
MAX_GROWTH = 20.0
# In small requests; what takes less cannot be told from noise.
NOISE = 30.0

Build = Callable[[bytes], EnvironBuilder]
TOKENS = tuple(
    token.encode()
    for token in (
        *("a", "0", "9", " ", ",", ";", ":", "=", "/", "\\", '"', "%", "%25", "-", ".", "../", "+", "*", "?", "&", "["),
        *("{", "<", "é", "a,", "a;", "a=b;", "a=b,", "a=b&", 'a="', '\\"', ", ", ";q=", "a-", "a;q=1,", "127.0.0.1,"),
        *("data:", "base64,", "=?", "e9", "\\u0000", "[1,2],", "[[1,2]],", '"a":0,', "null,"),
        *("\r\n", "\r", "\n", "\r\n--", "\r\n--frontie", "--frontier\r\n", "\r\n--frontier--"),
    )
)
FILE_TOKENS = (
    *(b"\0", b"\xff", b"\xff\x01", b"\xff\xd0", b"\xff\xd8", b"\xff\xda\0\2", b"\xff\xfe\0\2", b"\xff\xe1\0\2"),
    *(b"\0\0\0\0IDAT\x35\xaf\x06\x1e", b"\0\0\0\1tEXta\0\0\0\0", b"\0\0\0\0IEND\xae\x42\x60\x82", b"!\xfe\1a\0", b","),
    *(b"!\xf9\4\0\0\0\0\0", b"EXIF\0\0\0\0", b"ANMF\0\0\0\0", b"VP8 \0\0\0\0", b"\1\xff", b"\0\2\1\1", b"\0\1"),
)
HEADERS = (
    *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Encoding", "Content-Type", "Cookie"),
    *("Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "Origin", "Range", "Referer", "User-Agent"),
    *("Sec-Fetch-Site", "Transfer-Encoding", "X-API-Key", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-ID"),
)
HEADER_STARTS = {
    "Authorization": ("Basic ", "Bearer ", "Digest "),
    "Content-Type": ("application/json; charset=", "multipart/form-data; boundary=", "a/b; a*0="),
    "Cookie": ("lang=",),
    "Range": ("bytes=",),
}
# Bytes of a file after which its decoder has seen what it needs to go on.
HEADS = {"PNG": 33, "JPEG": 2, "GIF": 13, "BMP": 54, "WEBP": 12}


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a request, and what it is filled with."""

    kind: str
    name: str
    build: Build
    tokens: Sequence[bytes] = TOKENS


@dataclass(frozen=True, slots=True)
class Cost:
    """What one place filled with one token costs at growing sizes."""

    place: Place
    token: bytes
    seconds: Sequence[float]  # of processor time, at each size
    faults: Sequence[str]

    @property
    def growth(self) -> float:
        """How many times more the largest costs than the one before."""
        return self.seconds[-1] / self.seconds[-2]


def places() -> Iterator[Place]:
    """Every part of a request that a client chooses."""
    yield from _json_places()
    for name in HEADERS:
        for start in ("", *HEADER_STARTS.get(name, ())):
            yield Place("header", f"{name}: {start}".strip(), partial(_with_header, name, start))
    for path in ("/", "/api/v1/", "/api/v1/predict", "/static/", "/docs/assets/", "/model/"):
        yield Place("path", path, partial(_with_path, path))
    for query in ("/?lang=", "/?", "/api/v1/predict?include=", "/api/v1/predict?", "/api/v1/explain?digit="):
        yield Place("query", query, partial(_with_query, query))
    yield from _form_places()
    yield from _file_places()


def _json_places() -> Iterator[Place]:
    bodies = {
        "a whole body": "%",
        "a name": '{"%": 0}',
        "names": '{%"a": 0}',
        "strokes": '{"strokes": %}',
        "a list of strokes": '{"strokes": [%[[1,2]]]}',
        "a stroke": '{"strokes": [[%[1,2]]]}',
        "a coordinate": '{"strokes": [[[1%, 2]]]}',
        "text for strokes": '{"strokes": "%"}',
        "base64": '{"image_base64": "%"}',
        "a data URL": '{"image_base64": "data:%"}',
        "a data URL with a comma": '{"image_base64": "data:image/png;%,AAAA"}',
        "base64 of a data URL": '{"image_base64": "data:image/png;base64,%"}',
    }
    for name, body in bodies.items():
        before, _, after = body.encode().partition(b"%")
        yield Place("JSON", name, partial(_post_json, before, after))


def _form_places() -> Iterator[Place]:
    head = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    end = b"\r\n--frontier--\r\n"
    parts = {
        "a preamble": (b"", b"\r\n" + head + b"a" + end),
        "a field name": (b'--frontier\r\nContent-Disposition: form-data; name="', b'"\r\n\r\na' + end),
        "a file name": (
            b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="',
            b'"\r\n\r\na' + end,
        ),
        "an encoded file name": (
            b"--frontier\r\nContent-Disposition: form-data; name=image; filename*=utf-8''",
            b"\r\n\r\na" + end,
        ),
        "a disposition": (b"--frontier\r\nContent-Disposition: form-data; ", b"\r\n\r\na" + end),
        "a part's header": (b"--frontier\r\nX: ", b"\r\n\r\na" + end),
        "a part's charset": (b"--frontier\r\nContent-Type: text/plain; charset=", b"\r\n\r\na" + end),
        "a text": (b'--frontier\r\nContent-Disposition: form-data; name="image"\r\n\r\n', end),
        "a file": (head, end),
        "an epilogue": (head + b"a" + end, b""),
        "a form that does not end": (head, b""),
    }
    for path in ("/", "/api/v1/predict", "/api/v1/predict/batch"):
        field = b'name="images"' if path.endswith("batch") else b'name="image"'
        for name, (before, after) in parts.items():
            swapped = (piece.replace(b'name="image"', field) for piece in (before, after))
            yield Place("form", f"{name} to {path}", partial(_post_form, path, *swapped))


def _file_places() -> Iterator[Place]:
    drawn = Image.new("L", (64, 64), 255)
    drawn.paste(0, (28, 8, 36, 56))
    for file_format, head in HEADS.items():
        data = _encode(drawn, file_format)
        yield Place("file", f"{file_format} after its head", partial(_post_file, data[:head], data[head:]), FILE_TOKENS)
        middle = (head + len(data)) // 2
        yield Place(
            "file", f"{file_format} in its middle", partial(_post_file, data[:middle], data[middle:]), FILE_TOKENS
        )
        yield Place("file", f"{file_format} after its end", partial(_post_file, data, b""), FILE_TOKENS)
        yield Place("file", f"noise in {file_format}", partial(_post_noise, file_format), (b"",))


def _request(path: str, **options: Any) -> EnvironBuilder:
    return EnvironBuilder(path=path, base_url="http://localhost", **options)


def _post_json(before: bytes, after: bytes, fill: bytes) -> EnvironBuilder:
    return _request("/api/v1/predict", method="POST", data=before + fill + after, content_type="application/json")


def _with_header(name: str, start: str, fill: bytes) -> EnvironBuilder:
    # No server passes on line ends in a header.
    value = start + fill.decode("latin-1").replace("\r", " ").replace("\n", " ")
    request = _request("/api/v1/predict", method="POST", data=b'{"strokes": []}', content_type="application/json")
    if name == "Content-Type":
        request.content_type = value
    else:
        request.headers[name] = value
    return request


def _with_path(path: str, fill: bytes) -> EnvironBuilder:
    return _request(path, environ_overrides={"PATH_INFO": path + fill.decode("latin-1")})


def _with_query(path: str, fill: bytes) -> EnvironBuilder:
    path, _, query = path.partition("?")
    body: dict[str, Any] = {"data": b'{"strokes": [[[1, 2]]]}', "content_type": "application/json"}
    method = {"method": "POST", **body} if path.startswith("/api/") else {}
    return _request(path, query_string=query + fill.decode("latin-1"), **method)


def _post_form(path: str, before: bytes, after: bytes, fill: bytes) -> EnvironBuilder:
    content_type = "multipart/form-data; boundary=frontier"
    return _request(path, method="POST", data=before + fill + after, content_type=content_type)


def _post_file(before: bytes, after: bytes, fill: bytes) -> EnvironBuilder:
    head = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return _post_form("/api/v1/predict", head + before, after + b"\r\n--frontier--\r\n", fill)


def _post_noise(file_format: str, fill: bytes) -> EnvironBuilder:
    """A picture whose file is about as large as `fill`, and cannot be packed."""
    side = max(8, int(len(fill) ** 0.5))
    return _post_file(_encode(Image.effect_noise((side, side), 80), file_format), b"", b"")


def _encode(picture: Image.Image, file_format: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format)
    return buffer.getvalue()


def measure(app: Flask, place: Place, token: bytes, sizes: Sequence[int], repeats: int = 1) -> Cost:
    """The least processor time of some calls at each size."""
    seconds, faults = [], []
    for size in sizes:
        fill = (token * (size // len(token))) if token else bytes(size)
        least = float("inf")
        for _ in range(repeats):
            taken, fault = _call(app, place.build(fill))
            least = min(least, taken)
            faults += [fault] if fault else []
        seconds.append(least)
    return Cost(place, token, seconds, faults)


def _call(app: Flask, request: EnvironBuilder) -> tuple[float, str | None]:
    """Processor time of one call, and what is wrong with the answer."""
    environ = request.get_environ()
    started = time.process_time()
    chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
    taken = time.process_time() - started
    length = sum(map(len, chunks))
    request.close()
    if int(status[:3]) >= 500:
        return taken, f"answered {status}"
    if headers["Content-Type"] == "application/problem+json" and length > MAX_PROBLEM_BYTES:
        return taken, f"answered with {length:,} bytes"
    return taken, None


def costs(app: Flask, sizes: Sequence[int], only: str = "", step: int = 1) -> Iterator[Cost]:
    """What every place costs with every `step`-th token; what seems to grow too fast is measured more often."""
    least = base_cost(app)
    for number, place in enumerate(places()):
        if only not in place.kind:
            continue
        for token in place.tokens[number % step :: step] or place.tokens:
            cost = measure(app, place, token, sizes)
            yield measure(app, place, token, sizes, repeats=3) if grows_too_fast(cost, least) else cost


def base_cost(app: Flask) -> float:
    """Processor time of a small request, in seconds."""
    place = next(places())
    return measure(app, place, b"a", (10,), repeats=20).seconds[0]


def grows_too_fast(cost: Cost, least: float) -> bool:
    """Whether ten times the input cost clearly more than ten times as much."""
    return cost.growth > MAX_GROWTH and cost.seconds[-1] > NOISE * least


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, report; the exit status."""
    chosen = options(__doc__, "cost").parse_args(arguments)
    app = create_app()
    return to_report(list(costs(app, SIZES)), base_cost(app)).publish(chosen.output)


def to_report(found: Sequence[Cost], least: float) -> Report:
    """Figures and bounds."""
    report = Report("Processor time by size of input")
    report.say(
        f"`python -m benchmarks.load.cost`: {len(found):,} parts of requests, each filled with one token to 10, 100 "
        f"and 1,000 KB, in one process. A small request takes {1000 * least:.2f} ms."
    )
    faults = [f"{_name(cost)} {fault}" for cost in found for fault in cost.faults]
    report.require(not faults, "No answer is a 5xx, no problem is longer than 8 KB", "; ".join(faults[:5]) or "none is")
    costliest = max(found, key=lambda cost: cost.seconds[-1])
    holds = costliest.seconds[-1] <= MAX_SECONDS
    report.require(holds, "No input of 1 MB takes 1 s", f"{_name(costliest)} takes {costliest.seconds[-1]:.2f} s")
    steep = [f"{_name(cost)}: {cost.growth:.0f} times" for cost in found if grows_too_fast(cost, least)]
    report.require(not steep, "None grows faster than linearly", "; ".join(steep[:5]) or "none does")
    head = ("part", "inputs", "costliest", "ms at 10 KB", "100 KB", "1,000 KB")
    report.table(head, (_row(kind, some) for kind, some in _by_kind(found).items()))
    return report


def _by_kind(found: Sequence[Cost]) -> Mapping[str, list[Cost]]:
    kinds: dict[str, list[Cost]] = {}
    for cost in found:
        kinds.setdefault(cost.place.kind, []).append(cost)
    return kinds


def _row(kind: str, some: Sequence[Cost]) -> tuple[object, ...]:
    costliest = max(some, key=lambda cost: cost.seconds[-1])
    return kind, len(some), _name(costliest), *(f"{1000 * seconds:.1f}" for seconds in costliest.seconds)


def _name(cost: Cost) -> str:
    token = ascii(cost.token.decode("latin-1")).replace("|", "\\|")
    return f"{cost.place.name} of {token}" if cost.token else cost.place.name


if __name__ == "__main__":
    sys.exit(main())
