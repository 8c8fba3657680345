"""Errors to answers: one table from exceptions to status and problem type, and one error handler.

Paths under /api/ get `application/problem+json` (RFC 9457) with a stable `type`, all others an HTML page.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, Response, current_app, g, render_template, request
from flask_babel import gettext
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
from recognition.errors import N_
from web import metrics
from web.schemas import FieldError, Problem


class MalformedJson(BadRequest):
    """The body is not strict JSON; the description says why."""


class InvalidRequest(UnprocessableEntity):
    """The request is well formed, but a field is missing, unknown or of the wrong type."""

    def __init__(self, description: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(description)
        self.errors = errors  # JSON pointers into the body, and what is wrong there


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
    challenge = "Bearer"


class UnknownHost(BadRequest):
    """The Host header is not one of the trusted hosts."""

    description = N_("This server does not go by that name.")


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


# Key of the WSGI environment for an error to answer in place of the request's own outcome.
GIVEN_ERROR = "digits.error"
# The connection is closed on a client that sends more than this after its request was refused.
_DRAINED_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of problem is answered. Without `detail`, the exception's own message is used."""

    status: int
    type: str
    title: str
    detail: str | None = None


KINDS: Mapping[type[Exception], Kind] = {
    BlankInput: Kind(422, "blank", N_("Nothing to read")),
    InvalidStrokes: Kind(422, "invalid-strokes", N_("Not a drawing")),
    UnsupportedPicture: Kind(415, "unsupported-picture", N_("Unsupported picture")),
    UndecodablePicture: Kind(422, "undecodable-picture", N_("Damaged picture")),
    PictureTooLarge: Kind(413, "picture-too-large", N_("Too many pixels")),
    MalformedJson: Kind(400, "malformed-json", N_("Malformed JSON")),
    InvalidRequest: Kind(422, "invalid-request", N_("Invalid request")),
    MissingPicture: Kind(422, "missing-picture", N_("No picture")),
    CrossSiteRequest: Kind(403, "cross-site", N_("Cross-site request")),
    MissingKey: Kind(401, "missing-key", N_("API key needed")),
    UnknownHost: Kind(400, "unknown-host", N_("Unknown host")),
    Overloaded: Kind(503, "overloaded", N_("Too busy")),
    OutOfResources: Kind(503, "out-of-resources", N_("Out of resources")),
    NotReady: Kind(503, "not-ready", N_("Not ready")),
    NotFound: Kind(404, "not-found", N_("Not found"), N_("There is nothing at this address.")),
    MethodNotAllowed: Kind(
        405,
        "method-not-allowed",
        N_("Method not allowed"),
        N_("This address does not take that method; Allow names those it does."),
    ),
    NotAcceptable: Kind(
        406, "not-acceptable", N_("Not acceptable"), N_("The answer is application/json, which Accept leaves out.")
    ),
    LengthRequired: Kind(
        411, "length-required", N_("Length required"), N_("Say in Content-Length how many bytes the body has.")
    ),
    RequestEntityTooLarge: Kind(
        413,
        "body-too-large",
        N_("Too large"),
        N_("The request is larger than this server takes. Send a smaller picture or drawing."),
    ),
    UnsupportedMediaType: Kind(415, "unsupported-media-type", N_("Unsupported media type")),
    TooManyRequests: Kind(
        429,
        "too-many-requests",
        N_("Too many requests"),
        N_("Too many requests came in. Wait as long as Retry-After says."),
    ),
    BadRequest: Kind(400, "bad-request", N_("Bad request")),
    InternalServerError: Kind(
        500,
        "internal",
        N_("Internal error"),
        N_("Something went wrong on the server. It has been logged; please try again."),
    ),
}


# Problems of every request, and of every request with a body.
ANY_REQUEST = (NotAcceptable, UnknownHost, MissingKey, TooManyRequests, Overloaded, InternalServerError)
ANY_BODY = (
    *(BadRequest, MalformedJson, CrossSiteRequest, LengthRequired, RequestEntityTooLarge, UnsupportedMediaType),
    *(InvalidRequest, MissingPicture),
)


def init_app(app: Flask) -> None:
    """Answer every exception in `app` from the table."""
    app.before_request(_raise_given)
    app.register_error_handler(Exception, _answer)


def _raise_given() -> None:
    if (error := request.environ.get(GIVEN_ERROR)) is not None:
        g.is_template = True  # counted when it is sent
        raise error


def describe(error: Exception) -> Problem:
    """The problem to report for `error`, in the client's language where there is a translation."""
    kind = kind_of(error)
    return Problem(
        type=kind.type,
        title=gettext(kind.title),
        status=kind.status,
        detail=gettext(kind.detail) if kind.detail else _own_words(error),
        request_id=g.get("request_id"),
        errors=_field_errors(error) or None,
    )


def kind_of(error: Exception) -> Kind:
    """The row of the table for `error`."""
    kind = next((KINDS[base] for base in type(error).__mro__ if base in KINDS), None)
    if kind is None:
        kind = _kind_of_http_error(error) if isinstance(error, HTTPException) else KINDS[InternalServerError]
    return kind


def _own_words(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(gettext(error.sentence, **error.values))
    return str(gettext(getattr(error, "description", None) or str(error)))


def _kind_of_http_error(error: HTTPException) -> Kind:
    status = HTTPStatus(error.code or 500)
    return Kind(status, status.phrase.lower().replace(" ", "-"), status.phrase)


def _field_errors(error: Exception) -> list[FieldError]:
    if isinstance(error, InvalidStrokes):
        return [FieldError(pointer="/strokes" + error.pointer, detail=_own_words(error))]
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
    if not g.get("is_template"):
        metrics.count_problem(problem.type)
    # For a Host that is no host name there are no URLs, which a page needs.
    is_page = not request.path.startswith("/api/") and not isinstance(request.routing_exception, BadHost)
    answer = _as_page(problem) if is_page else _as_json(problem)
    if isinstance(error, MissingKey):
        answer.headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, HTTPException):  # Allow, Retry-After
        answer.headers.update((name, value) for name, value in error.get_headers() if name != "Content-Type")
    return answer


def _drain() -> None:
    """Read the rest of a refused body: a client that is still sending when the connection closes loses the answer."""
    request.max_content_length = _DRAINED_BYTES
    with suppress(HTTPException, OSError):
        # For a chunked body the limited stream is exhausted already; the one behind it ends by itself.
        ends = request.environ.get("wsgi.input_terminated")
        body = request.environ["wsgi.input"] if ends else request.stream
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
