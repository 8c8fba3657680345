"""Error handling: one table from exceptions to HTTP status and problem type, and one error handler.

Paths under /api/ get `application/problem+json` (RFC 9457) with a stable `type`, all others an HTML page.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, current_app, g, render_template, request
from werkzeug.exceptions import (
    BadHost,
    BadRequest,
    Forbidden,
    HTTPException,
    InternalServerError,
    LengthRequired,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    NotImplemented,  # noqa: A004 - as a base class only
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
    NoSuchPlace,
    PictureTooLarge,
    UndecodablePicture,
    UnsupportedPicture,
)
from recognition.errors import N_
from web import metrics
from web.language import gettext
from web.schemas import FieldError, Problem


class MalformedJson(BadRequest):
    """The body is not strict JSON; the description says why."""


class InvalidRequest(UnprocessableEntity):
    """The request is well formed, but a field is missing, unknown or of the wrong type."""

    def __init__(self, description: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(description)
        self.errors = errors  # pairs of a JSON pointer into the body and a message


class MissingPicture(InvalidRequest):
    """The form was sent without a file."""

    def __init__(self, field: str = "image") -> None:
        super().__init__(
            N_("No picture was sent. Choose one first."), [(f"/{field}", N_("A picture file is missing."))]
        )


class CrossSiteRequest(Forbidden):
    """The request was sent by a page of another site."""

    description = N_("Requests from pages of other sites are refused.")


class MissingKey(Unauthorized):
    """The request has no valid API key."""

    description = N_("This server asks for an API key: send it as Authorization: Bearer KEY.")


class UnknownHost(BadRequest):
    """The Host header is not one of the trusted hosts."""

    description = N_("This server does not serve that host name.")


class Overloaded(ServiceUnavailable):
    """More requests are waiting than the settings allow."""

    def __init__(self) -> None:
        super().__init__(N_("Too many requests are waiting. Try again in a moment."), retry_after=1)


class OutOfResources(ServiceUnavailable):
    """The system has no descriptors, memory or disk left, or the disk fails."""

    def __init__(self) -> None:
        super().__init__(N_("The server is out of resources. Try again later."), retry_after=10)


class NotReady(ServiceUnavailable):
    """The model is not loaded yet."""

    def __init__(self) -> None:
        super().__init__(N_("The model is still being loaded. Try again in a moment."), retry_after=1)


class NoNumberModel(NotImplemented):
    """The server was started without a number model."""

    description = N_("This server has no model for numbers; it recognizes single digits only.")


# Key of the WSGI environment for an exception that web/prebuilt_responses.py has raised instead of calling the view.
FORCED_ERROR = "digits.error"
# The rest of a refused body is read up to this size; then the connection is closed.
_DRAINED_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ProblemType:
    """The response to one type of problem. Without `detail`, it has the exception's own message."""

    status: int
    type: str
    title: str
    detail: str | None = None


PROBLEM_TYPES: Mapping[type[Exception], ProblemType] = {
    BlankInput: ProblemType(422, "blank", N_("Nothing to read")),
    InvalidStrokes: ProblemType(422, "invalid-strokes", N_("Not a drawing")),
    NoSuchPlace: ProblemType(422, "no-such-place", N_("No such place")),
    UnsupportedPicture: ProblemType(415, "unsupported-picture", N_("Unsupported picture")),
    UndecodablePicture: ProblemType(422, "undecodable-picture", N_("Damaged picture")),
    PictureTooLarge: ProblemType(413, "picture-too-large", N_("Too many pixels")),
    MalformedJson: ProblemType(400, "malformed-json", N_("Malformed JSON")),
    InvalidRequest: ProblemType(422, "invalid-request", N_("Invalid request")),
    MissingPicture: ProblemType(422, "missing-picture", N_("No picture")),
    CrossSiteRequest: ProblemType(403, "cross-site", N_("Cross-site request")),
    MissingKey: ProblemType(401, "missing-key", N_("API key required")),
    UnknownHost: ProblemType(400, "unknown-host", N_("Unknown host")),
    Overloaded: ProblemType(503, "overloaded", N_("Too busy")),
    OutOfResources: ProblemType(503, "out-of-resources", N_("Out of resources")),
    NotReady: ProblemType(503, "not-ready", N_("Not ready")),
    NoNumberModel: ProblemType(501, "no-number-model", N_("No number model")),
    NotFound: ProblemType(404, "not-found", N_("Not found"), N_("There is nothing at this address.")),
    MethodNotAllowed: ProblemType(
        405,
        "method-not-allowed",
        N_("Method not allowed"),
        N_("This address does not support that method; the Allow header lists those it does."),
    ),
    NotAcceptable: ProblemType(
        406,
        "not-acceptable",
        N_("Not acceptable"),
        N_("The response is application/json, which the Accept header excludes."),
    ),
    LengthRequired: ProblemType(
        411, "length-required", N_("Length required"), N_("Send the length of the body in Content-Length.")
    ),
    RequestEntityTooLarge: ProblemType(
        413,
        "body-too-large",
        N_("Too large"),
        N_("The request is larger than this server accepts. Send a smaller picture or drawing."),
    ),
    UnsupportedMediaType: ProblemType(415, "unsupported-media-type", N_("Unsupported media type")),
    TooManyRequests: ProblemType(
        429,
        "too-many-requests",
        N_("Too many requests"),
        N_("Too many requests. Wait as long as Retry-After says."),
    ),
    BadRequest: ProblemType(400, "bad-request", N_("Bad request")),
    InternalServerError: ProblemType(
        500,
        "internal",
        N_("Internal error"),
        N_("Something went wrong on the server. It has been logged; please try again."),
    ),
}


# Problems of any request, and of any request with a body.
ANY_REQUEST = (NotAcceptable, UnknownHost, MissingKey, TooManyRequests, Overloaded, InternalServerError)
ANY_BODY = (
    *(BadRequest, MalformedJson, CrossSiteRequest, LengthRequired, RequestEntityTooLarge, UnsupportedMediaType),
    *(InvalidRequest, MissingPicture),
)


def init_app(app: Flask) -> None:
    """Handle every exception in `app`."""
    app.before_request(_raise_forced_error)
    app.register_error_handler(Exception, _answer)


def _raise_forced_error() -> None:
    if (error := request.environ.get(FORCED_ERROR)) is not None:
        g.is_prebuilt = True  # web/prebuilt_responses.py counts it each time it is sent
        raise error


def describe(error: Exception) -> Problem:
    """The problem to report for `error`, in the client's language where there is a translation."""
    kind = problem_type_of(error)
    return Problem(
        type=kind.type,
        title=gettext(kind.title),
        status=kind.status,
        detail=gettext(kind.detail) if kind.detail else _translated_message(error),
        request_id=g.get("request_id"),
        errors=_field_errors(error) or None,
    )


def problem_type_of(error: Exception) -> ProblemType:
    """The problem type of `error`."""
    kind = next((PROBLEM_TYPES[base] for base in type(error).__mro__ if base in PROBLEM_TYPES), None)
    if kind is None:
        kind = _type_of_http_error(error) if isinstance(error, HTTPException) else PROBLEM_TYPES[InternalServerError]
    return kind


def _translated_message(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(gettext(error.sentence, **error.values))
    return str(gettext(getattr(error, "description", None) or str(error)))


def _type_of_http_error(error: HTTPException) -> ProblemType:
    status = HTTPStatus(error.code or 500)
    return ProblemType(status, status.phrase.lower().replace(" ", "-"), status.phrase)


def _field_errors(error: Exception) -> list[FieldError]:
    if isinstance(error, InvalidStrokes):
        return [FieldError(pointer="/strokes" + error.pointer, detail=_translated_message(error))]
    errors = error.errors if isinstance(error, InvalidRequest) else ()
    return [FieldError(pointer=pointer, detail=gettext(sentence)) for pointer, sentence in errors]


_RESOURCE_ERRORS = {errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC}


def _answer(error: Exception) -> Response:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _RESOURCE_ERRORS):
        current_app.logger.error("request %s failed: %s", g.get("request_id"), repr(error))
        error = OutOfResources()
    if not isinstance(error, (HTTPException, InputError)):
        current_app.logger.error("request %s failed", g.get("request_id"), exc_info=error)
    _drain()
    problem = describe(error)
    if not g.get("is_prebuilt"):
        metrics.count_problem(problem.type)
    # For a Host that is no host name there are no URLs, which a page needs.
    is_page = not request.path.startswith("/api/") and not isinstance(request.routing_exception, BadHost)
    answer = _as_page(problem) if is_page else _as_json(problem)
    if isinstance(error, HTTPException):  # Allow, Retry-After, WWW-Authenticate
        answer.headers.update((name, value) for name, value in error.get_headers() if name != "Content-Type")
    return answer


def _drain() -> None:
    """Read the rest of a refused body: a client that is still sending when it is closed would lose the response."""
    request.max_content_length = _DRAINED_BYTES
    with suppress(HTTPException, OSError):
        # Flask's stream for a chunked body is exhausted already; the underlying one ends by itself.
        is_terminated = request.environ.get("wsgi.input_terminated")
        body = request.environ["wsgi.input"] if is_terminated else request.stream
        for _ in range(_DRAINED_BYTES // 2**16):
            if not body.read(2**16):
                break


def _as_json(problem: Problem) -> Response:
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status=problem.status, content_type="application/problem+json")


def _as_page(problem: Problem) -> Response:
    # A refused upload shows the form again.
    is_upload = request.endpoint == "pages.read_upload" and problem.status < HTTPStatus.INTERNAL_SERVER_ERROR
    template = "page.html" if is_upload else "error.html"
    return Response(
        render_template(template, problem=problem), status=problem.status, content_type="text/html; charset=utf-8"
    )
