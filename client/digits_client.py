"""Client of the digit reader's API: one file, for Python 3.11 or newer, that needs only the standard library.

    from digits_client import DigitsClient

    client = DigitsClient("http://127.0.0.1:5000")
    answer = client.predict_file("digit.png")
    print(answer["digit"], answer["confidence"], answer["is_digit"])
    print(client.read_file("number.png")["text"])

A refused request raises `ProblemError`, a server that cannot be reached `ConnectionFailed`; both are `DigitsError`.
Redirects are not followed: they could take the API key to another host.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

MAX_BATCH_PICTURES = 64
# Under the server's limit for one request, with room for what surrounds the pictures.
MAX_BATCH_BYTES = 11 * 2**20
# With these statuses the server has not processed the request, so it can be sent again.
RETRIED = frozenset({429, 503})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Guess(TypedDict):
    """A digit and how likely it is, 0 to 1."""

    digit: int
    confidence: float


class Answer(TypedDict):
    """The prediction for one input; `is_digit` is false if it does not look like a digit."""

    digit: int
    confidence: float
    is_digit: bool
    reason: NotRequired[str]  # why `is_digit` is false: "not_a_digit", "several_digits" or "unsure"
    n_digits: NotRequired[int]  # of several digits
    digit_score: float
    top: list[Guess]
    probabilities: list[float]
    model: str
    elapsed_ms: float
    frame: NotRequired[str]  # a data URL, with `include_frame=True`
    box: NotRequired[list[float]]  # x, y, width and height of what the frame shows, in the units of the input


class TextGuess(TypedDict):
    """A number and how likely it is, 0 to 1."""

    text: str
    confidence: float


class ReadDigit(Guess):
    """A digit of a number."""

    is_digit: bool
    top: list[Guess]
    probabilities: list[float]
    box: list[float]  # x, y, width and height, in the units of the input
    line: int  # from 0
    frame: NotRequired[str]  # a data URL, with `include_frame=True`


class OtherInk(TypedDict):
    """Ink that is not part of a digit: a point, comma, dash or currency sign."""

    box: list[float]  # x, y, width and height, in the units of the input
    line: int  # from 0


class Reading(TextGuess):
    """The number in one input; its lines are separated by line feeds, and "?" stands for what is not like a digit."""

    alternatives: list[TextGuess]
    digits: list[ReadDigit]
    other: list[OtherInk]
    truncated: bool  # there are more digits than the 100 that were read
    model: str
    elapsed_ms: float


class Explanation(TypedDict):
    """Which parts of an input support `digit`, and which contradict it."""

    digit: int
    confidence: float
    heat: list[list[float]]  # 28 rows of 28 values, -1 (against) to 1 (for)
    strength: float  # the change of the digit's log-odds at a heat of 1
    box: list[float]  # x, y, width and height of the area of heat and frame, in the units of the input
    frame: str  # a data URL
    model: str
    elapsed_ms: float


class ModelCard(TypedDict):
    """The server's model."""

    id: str
    architecture: str
    parameters: int
    preprocessing_version: int
    data: list[str]
    engine: str  # "onnx" or "torch"
    metrics: dict[str, float]
    number_model: NotRequired[str]  # id of the model that reads numbers, if there is one
    stroke_model: NotRequired[str]  # id of the model that reads pen strokes, if there is one


class DigitsError(Exception):
    """Something went wrong between this client and the server."""


class ConnectionFailed(DigitsError):
    """The server cannot be reached, or it is not a digit reader."""


class ProblemError(DigitsError):
    """The server refused a request, or one picture of a batch; the attributes are those of RFC 9457."""

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        self.status = status
        self.type: str = str(problem.get("type", "about:blank"))
        self.title: str = str(problem.get("title", ""))
        self.detail: str = str(problem.get("detail") or f"The server answered with status {status}.")
        self.errors: list[dict[str, str]] = list(problem.get("errors", []))
        self.request_id: str | None = problem.get("request_id")
        super().__init__(self.detail)


class DigitsClient:
    """Reads digits through a server. Safe to share between threads.

    `mode` is "sure", "balanced" or "guess": how easily an answer's `is_digit` is true. `timeout` is in seconds, for
    each attempt. After a 429 or 503 the request is sent again up to `retries` times, after the delay in Retry-After,
    unless that is longer than `max_wait` seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        mode: Literal["sure", "balanced", "guess"] = "balanced",
        timeout: float = 30.0,
        retries: int = 3,
        max_wait: float = 30.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the URL of a server: it starts with neither http:// nor https://")
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json, application/problem+json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._mode = mode
        self._timeout = timeout
        self._retries = retries
        self._max_wait = max_wait
        self._sleep = sleep

    def predict_strokes(self, strokes: Sequence[Sequence[Sequence[float]]], *, include_frame: bool = False) -> Answer:
        """Read a drawing `[[[x, y], ...], ...]`, y down, in any unit. Raises `DigitsError`."""
        return cast(Answer, self._send_json(self._path("predict", include_frame), {"strokes": strokes}))

    def predict_picture(self, data: bytes, *, include_frame: bool = False) -> Answer:
        """Read the bytes of a picture file. Raises `DigitsError`."""
        content_type, body = _form("image", [data])
        return cast(Answer, self._send(self._path("predict", include_frame), body, content_type))

    def predict_base64(self, text: str, *, include_frame: bool = False) -> Answer:
        """Read a picture file in base64, bare or as a data URL. Raises `DigitsError`."""
        return cast(Answer, self._send_json(self._path("predict", include_frame), {"image_base64": text}))

    def predict_file(self, path: str | Path, *, include_frame: bool = False) -> Answer:
        """Read a picture file. Raises `OSError` or `DigitsError`."""
        return self.predict_picture(Path(path).read_bytes(), include_frame=include_frame)

    def predict_batch(
        self, pictures: Iterable[bytes], *, include_frame: bool = False
    ) -> Iterator[Answer | ProblemError]:
        """Read any number of picture files, in order; an unreadable one yields its problem. Raises `DigitsError`.

        They are sent in batches of the size that the server accepts.
        """
        return self._send_batches(self._path("predict/batch", include_frame), pictures)

    def read_strokes(self, strokes: Sequence[Sequence[Sequence[float]]], *, include_frame: bool = False) -> Reading:
        """Read the number in a drawing `[[[x, y], ...], ...]`, y down, in any unit. Raises `DigitsError`."""
        return cast(Reading, self._send_json(_read_path("read", include_frame), {"strokes": strokes}))

    def read_picture(self, data: bytes, *, include_frame: bool = False) -> Reading:
        """Read the number in the bytes of a picture file. Raises `DigitsError`."""
        content_type, body = _form("image", [data])
        return cast(Reading, self._send(_read_path("read", include_frame), body, content_type))

    def read_file(self, path: str | Path, *, include_frame: bool = False) -> Reading:
        """Read the number in a picture file. Raises `OSError` or `DigitsError`."""
        return self.read_picture(Path(path).read_bytes(), include_frame=include_frame)

    def read_batch(self, pictures: Iterable[bytes], *, include_frame: bool = False) -> Iterator[Reading | ProblemError]:
        """Read the numbers in any number of picture files, as `predict_batch`. Raises `DigitsError`."""
        return self._send_batches(_read_path("read/batch", include_frame), pictures)

    def explain_strokes(
        self, strokes: Sequence[Sequence[Sequence[float]]], *, digit: int | None = None, place: int | None = None
    ) -> Explanation:
        """Explain the score of `digit`, by default the likeliest one, for a drawing. Raises `DigitsError`.

        `place` explains one of the digits that `read_strokes` finds, counted from 0.
        """
        return cast(Explanation, self._send_json(_explain_path(digit, place), {"strokes": strokes}))

    def explain_picture(self, data: bytes, *, digit: int | None = None, place: int | None = None) -> Explanation:
        """Explain the score of `digit` for a picture file, as `explain_strokes`. Raises `DigitsError`."""
        content_type, body = _form("image", [data])
        return cast(Explanation, self._send(_explain_path(digit, place), body, content_type))

    def model(self) -> ModelCard:
        """The server's model. Raises `DigitsError`."""
        return cast(ModelCard, self._send("model"))

    def is_ready(self) -> bool:
        """Whether the server is ready; false also if it cannot be reached."""
        try:
            self._send_once("health/ready", None, None)
        except DigitsError:
            return False
        return True

    def _path(self, name: str, include_frame: bool) -> str:
        query = ["include=frame"] * include_frame + [f"mode={self._mode}"] * (self._mode != "balanced")
        return "?".join([name, "&".join(query)] if query else [name])

    def _send_json(self, path: str, body: Mapping[str, object]) -> object:
        return self._send(path, json.dumps(body, allow_nan=False).encode(), "application/json")

    def _send_batches(self, path: str, pictures: Iterable[bytes]) -> Iterator[Any]:
        for chunk in _chunks(pictures):
            content_type, body = _form("images", chunk)
            answered = self._send(path, body, content_type)
            for item in cast(dict[str, Any], answered)["results"]:
                yield ProblemError(item, item["status"]) if "status" in item else item

    def _send(self, path: str, body: bytes | None = None, content_type: str | None = None) -> object:
        for _ in range(self._retries):
            try:
                return self._send_once(path, body, content_type)
            except _Deferred as error:
                if error.wait is not None and error.wait > self._max_wait:
                    raise
                self._sleep(1.0 if error.wait is None else error.wait)
        return self._send_once(path, body, content_type)

    def _send_once(self, path: str, body: bytes | None, content_type: str | None) -> object:
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        request = Request(f"{self.url}/api/v1/{path}", body, headers)  # noqa: S310 - the scheme is checked above
        try:
            with _opener.open(request, timeout=self._timeout) as response:
                return _json(response.read())
        except HTTPError as error:
            with error:
                raise _to_error(error) from None
        except URLError as error:
            raise ConnectionFailed(f"{self.url} cannot be reached: {error.reason}") from error
        except (OSError, HTTPException) as error:
            raise ConnectionFailed(f"{self.url} closed the connection: {error}") from error


class _NoRedirects(HTTPRedirectHandler):
    """Does not follow redirects, so that they raise `HTTPError`."""

    def redirect_request(self, *_: object) -> None:
        """Make no request."""


_opener = build_opener(_NoRedirects)


class _Deferred(ProblemError):
    """The server asks to try again later; `wait` is in seconds, None if it does not say when."""

    wait: float | None = None


def _to_error(error: HTTPError) -> DigitsError:
    if error.code in _REDIRECTS:
        return ConnectionFailed(f"the server redirects to {error.headers.get('Location')!r}, which is not followed")
    try:
        problem = json.loads(error.read())
    except (ValueError, OSError):
        problem = None
    fields = problem if isinstance(problem, dict) else {}
    if error.code not in RETRIED:
        return ProblemError(fields, error.code)
    deferred = _Deferred(fields, error.code)
    deferred.wait = _seconds(error.headers.get("Retry-After"))
    return deferred


def _seconds(retry_after: str | None) -> float | None:
    """Seconds to wait by a Retry-After header: a number, or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        return max(0.0, until.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise ConnectionFailed("the server's answer is not JSON: is this the address of a digit reader?") from error


def _read_path(name: str, include_frame: bool) -> str:
    return f"{name}?include=frame" if include_frame else name


def _explain_path(digit: int | None, place: int | None) -> str:
    query = {name: value for name, value in (("digit", digit), ("place", place)) if value is not None}
    return f"explain?{urlencode(query)}" if query else "explain"


def _form(field: str, pictures: Sequence[bytes]) -> tuple[str, bytes]:
    """Content type and body of a form with files (RFC 7578)."""
    boundary = uuid.uuid4().hex
    parts = []
    for number, data in enumerate(pictures):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{number}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def _chunks(pictures: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for data in pictures:
        if chunk and (len(chunk) == MAX_BATCH_PICTURES or size + len(data) > MAX_BATCH_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(data)
        size += len(data)
    if chunk:
        yield chunk


def frame_bytes(answer: Answer | ReadDigit | Explanation) -> bytes:
    """The network's input as a PNG file, from an answer that includes it. Raises `KeyError` if it does not."""
    return base64.b64decode(answer["frame"].partition(",")[2])
