"""Check that the processor time of no request grows faster than its size.

    python -m benchmarks.load.cost                 # about 15 minutes

Every part of a request that a client chooses (JSON fields, headers, parameters, paths, forms, picture files) is filled
with repetitions of every token that some parser treats specially, to 10, 100 and 1,000 KB. The app is called in this
process, so that gunicorn's own limits on headers and request lines hide nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from flask import Flask
from PIL import Image
from werkzeug.test import EnvironBuilder, run_wsgi_app

from benchmarks.report import Report, options
from flask_app import create_app
from testing.pictures import encode

SIZES = (10_000, 100_000, 1_000_000)  # bytes
MAX_SECONDS = 1.0  # of processor time for the largest
MAX_PROBLEM_BYTES = 8_000
# Ten times the input may take ten times as long; the rest is for caches, garbage collection and clock resolution.
MAX_GROWTH = 20.0
# In small requests; what takes less cannot be told from noise.
NOISE = 30.0

PREDICT = "/api/v1/predict"
FILL = "<fill>"
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
FORM = ("Content-Type", "multipart/form-data; boundary=frontier")
HEAD = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
END = b"\r\n--frontier--\r\n"


def _repeat(token: bytes, size: int) -> bytes:
    return token * (size // len(token))


@dataclass(frozen=True, slots=True)
class Place:
    """A request in which `FILL` is replaced, in one place."""

    kind: str
    name: str
    path: str = PREDICT
    query: str = ""
    header: tuple[str, str] = ("Content-Type", "application/json")
    body: bytes = b""  # a request without a body is a GET
    tokens: Sequence[bytes] = TOKENS
    fill: Callable[[bytes, int], bytes] = _repeat  # takes a token and a size in bytes

    def request(self, token: bytes, size: int) -> EnvironBuilder:
        """The request with so many bytes made from `token` in the place."""
        fill = self.fill(token, size)
        text = fill.decode("latin-1")
        name, value = self.header
        # No server passes on line ends in a header.
        value = value.replace(FILL, text.replace("\r", " ").replace("\n", " "))
        request = EnvironBuilder(
            base_url="http://localhost",
            method="POST" if self.body else "GET",
            query_string=self.query.replace(FILL, text),
            data=self.body.replace(FILL.encode(), fill),
            content_type="application/json",
            environ_overrides={"PATH_INFO": self.path.replace(FILL, text)},
        )
        request.headers[name] = value
        return request


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
            yield Place("header", f"{name}: {start}".strip(), header=(name, start + FILL), body=b'{"strokes": []}')
    for path in ("/", "/api/v1/", PREDICT, "/static/", "/docs/assets/", "/model/"):
        yield Place("path", path, path + FILL)
    for target in ("/?lang=", "/?", f"{PREDICT}?include=", f"{PREDICT}?", "/api/v1/explain?digit="):
        path, _, query = target.partition("?")
        yield Place("query", target, path, query + FILL, body=b'{"strokes": [[[1, 2]]]}' if path != "/" else b"")
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
        yield Place("JSON", name, body=body.replace("%", FILL).encode())


def _form_places() -> Iterator[Place]:
    start = b"--frontier\r\nContent-Disposition: form-data; "
    parts = {
        "a preamble": b"%\r\n" + HEAD + b"a" + END,
        "a field name": start + b'name="%"\r\n\r\na' + END,
        "a file name": start + b'name="image"; filename="%"\r\n\r\na' + END,
        "an encoded file name": start + b"name=image; filename*=utf-8''%\r\n\r\na" + END,
        "a disposition": start + b"%\r\n\r\na" + END,
        "a part's header": b"--frontier\r\nX: %\r\n\r\na" + END,
        "a part's charset": b"--frontier\r\nContent-Type: text/plain; charset=%\r\n\r\na" + END,
        "a text": start + b'name="image"\r\n\r\n%' + END,
        "a file": HEAD + b"%" + END,
        "an epilogue": HEAD + b"a" + END + b"%",
        "a form that does not end": HEAD + b"%",
    }
    for path in ("/", PREDICT, "/api/v1/predict/batch"):
        field = b'name="images"' if path.endswith("batch") else b'name="image"'
        for name, form in parts.items():
            body = form.replace(b'name="image"', field).replace(b"%", FILL.encode())
            yield Place("form", f"{name} to {path}", path, header=FORM, body=body)


def _file_places() -> Iterator[Place]:
    drawn = Image.new("L", (64, 64), 255)
    drawn.paste(0, (28, 8, 36, 56))
    for file_format, head in HEADS.items():
        data = encode(drawn, file_format)
        middle = (head + len(data)) // 2
        for name, at in (("after its head", head), ("in its middle", middle), ("after its end", len(data))):
            body = HEAD + data[:at] + FILL.encode() + data[at:] + END
            yield Place("file", f"{file_format} {name}", header=FORM, body=body, tokens=FILE_TOKENS)
        body = HEAD + FILL.encode() + END
        noise = partial(_noise, file_format)
        yield Place("file", f"noise in {file_format}", header=FORM, body=body, tokens=(b"",), fill=noise)


def _noise(file_format: str, _token: bytes, size: int) -> bytes:
    """A picture that cannot be packed, in a file of about `size` bytes."""
    side = max(8, int(size**0.5))
    return encode(Image.effect_noise((side, side), 80), file_format)


def measure(app: Flask, place: Place, token: bytes, sizes: Sequence[int], repeats: int = 1) -> Cost:
    """The least processor time of some calls at each size."""
    seconds, faults = [], []
    for size in sizes:
        least = float("inf")
        for _ in range(repeats):
            taken, fault = _call(app, place.request(token, size))
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
