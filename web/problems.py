"""Everything that can go wrong with a request, and what its sender gets for it: one table, one renderer.

Paths under /api/ get `application/problem+json` (RFC 9457) with a stable `type`, all others an HTML page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, current_app, g, json, render_template, request
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    InternalServerError,
    LengthRequired,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from recognition import (
    BlankInput,
    InputError,
    InvalidStrokes,
    PictureTooLarge,
    UndecodablePicture,
    UnsupportedPicture,
)


class MalformedJson(BadRequest):
    """The body is not the JSON that this server reads; the description says why."""


class InvalidRequest(UnprocessableEntity):
    """The request is well formed, but a field is missing, unknown or of the wrong kind."""

    def __init__(self, description: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(description)
        self.errors = errors  # JSON pointer into the body, and what is wrong there


class MissingPicture(InvalidRequest):
    """The form was sent without a file."""

    def __init__(self, field: str = "image") -> None:
        super().__init__("No picture was sent. Choose one first.", [(f"/{field}", "A picture file is missing.")])


class CrossSiteRequest(Forbidden):
    """Another site's page made the browser send this request."""

    description = "Requests from pages of other sites are refused."


class MissingKey(Unauthorized):
    """The request has no API key that this server knows."""

    description = "This server asks for an API key: send it as Authorization: Bearer KEY."
    challenge = "Bearer"


class NotReady(ServiceUnavailable):
    """The model is not loaded yet."""

    def __init__(self) -> None:
        super().__init__("The model is still being loaded. Try again in a moment.", retry_after=1)


# A larger body than this is cut off, whatever becomes of the answer.
_DRAINED_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Kind:
    """How one sort of problem is answered. Without `detail`, the exception's own words are shown."""

    status: int
    type: str
    title: str
    detail: str | None = None


KINDS: Mapping[type[Exception], Kind] = {
    BlankInput: Kind(422, "blank", "Nothing to read"),
    InvalidStrokes: Kind(422, "invalid-strokes", "Not a drawing"),
    UnsupportedPicture: Kind(415, "unsupported-picture", "Unsupported picture"),
    UndecodablePicture: Kind(422, "undecodable-picture", "Damaged picture"),
    PictureTooLarge: Kind(413, "picture-too-large", "Too many pixels"),
    MalformedJson: Kind(400, "malformed-json", "Malformed JSON"),
    InvalidRequest: Kind(422, "invalid-request", "Invalid request"),
    MissingPicture: Kind(422, "missing-picture", "No picture"),
    CrossSiteRequest: Kind(403, "cross-site", "Cross-site request"),
    MissingKey: Kind(401, "missing-key", "API key needed"),
    NotReady: Kind(503, "not-ready", "Not ready"),
    NotFound: Kind(404, "not-found", "Not found", "There is nothing at this address."),
    MethodNotAllowed: Kind(
        405,
        "method-not-allowed",
        "Method not allowed",
        "This address does not take that method; Allow names those it does.",
    ),
    NotAcceptable: Kind(
        406, "not-acceptable", "Not acceptable", "The answer is application/json, which Accept leaves out."
    ),
    LengthRequired: Kind(
        411, "length-required", "Length required", "Say in Content-Length how many bytes the body has."
    ),
    RequestEntityTooLarge: Kind(
        413,
        "body-too-large",
        "Too large",
        "The request is larger than this server takes. Send a smaller picture or drawing.",
    ),
    UnsupportedMediaType: Kind(415, "unsupported-media-type", "Unsupported media type"),
    TooManyRequests: Kind(
        429, "too-many-requests", "Too many requests", "Too many requests came in. Wait as long as Retry-After says."
    ),
    BadRequest: Kind(400, "bad-request", "Bad request"),
    InternalServerError: Kind(
        500, "internal", "Internal error", "Something went wrong on the server. It has been logged; please try again."
    ),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong, ready to be shown."""

    status: int
    type: str
    title: str
    detail: str
    errors: Sequence[tuple[str, str]] = ()


def init_app(app: Flask) -> None:
    """Answer every exception of `app` from the table."""
    app.register_error_handler(Exception, _answer)


def describe(error: Exception) -> Problem:
    """The problem that `error` is to the sender; whatever the table does not know is an internal error."""
    kind = next((KINDS[base] for base in type(error).__mro__ if base in KINDS), None)
    if kind is None:
        kind = _http_kind(error) if isinstance(error, HTTPException) else KINDS[InternalServerError]
    own_words = getattr(error, "description", None) or str(error)
    return Problem(kind.status, kind.type, kind.title, kind.detail or own_words, _errors(error))


def _http_kind(error: HTTPException) -> Kind:
    status = HTTPStatus(error.code or 500)
    return Kind(status, status.phrase.lower().replace(" ", "-"), status.phrase)


def _errors(error: Exception) -> Sequence[tuple[str, str]]:
    if isinstance(error, InvalidStrokes):
        return [("/strokes" + error.pointer, str(error))]
    return error.errors if isinstance(error, InvalidRequest) else ()


def _answer(error: Exception) -> Response:
    if not isinstance(error, (HTTPException, InputError)):
        current_app.logger.error("request %s failed", g.get("request_id"), exc_info=error)
    _drain()
    problem = describe(error)
    answer = _as_json(problem) if request.path.startswith("/api/") else _as_page(problem)
    if isinstance(error, MissingKey):
        answer.headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, HTTPException):  # Allow, Retry-After
        answer.headers.update((name, value) for name, value in error.get_headers() if name != "Content-Type")
    return answer


def _drain() -> None:
    """Read what is left of a refused body: hanging up on a client that still sends would cost it the answer."""
    request.max_content_length = _DRAINED_BYTES
    with suppress(HTTPException):
        while request.stream.read(2**16):
            pass


def to_body(problem: Problem) -> dict[str, object]:
    """`problem` as RFC 9457 has it, with the name of the current request."""
    body: dict[str, object] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": g.get("request_id"),
    }
    if problem.errors:
        body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in problem.errors]
    return body


def _as_json(problem: Problem) -> Response:
    return Response(json.dumps(to_body(problem)), status=problem.status, content_type="application/problem+json")


def _as_page(problem: Problem) -> Response:
    # The upload form is answered with itself, so that another picture can be chosen at once.
    is_upload = request.endpoint == "pages.read_upload" and problem.status < HTTPStatus.INTERNAL_SERVER_ERROR
    template = "page.html" if is_upload else "error.html"
    return Response(
        render_template(template, problem=problem), status=problem.status, content_type="text/html; charset=utf-8"
    )
