"""Parsing of requests: query parameters, strokes, and the bytes of pictures, which are not decoded here."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import IO, Any, NoReturn, TypeVar

import flask
from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, LengthRequired, NotAcceptable, RequestEntityTooLarge, UnsupportedMediaType

from recognition import UnsupportedPicture
from web.problems import InvalidRequest, MalformedJson, MissingPicture
from web.schemas import MAX_BATCH_PICTURES, RecognitionRequest
from web.state import current_settings

Result = TypeVar("Result")
Query = TypeVar("Query", bound=BaseModel)
MAX_JSON_DEPTH = 8
# In a large body, almost everything is the picture. Parsing a million other values would take a gigabyte of memory.
_MAX_COMMAS = 100
# Limits the size of the response to a large request.
_MAX_REPORTED_ERRORS = 20
_MAX_REPORTED_NAME = 64  # characters of a field's or file's name
# Characters; Werkzeug compiles it into regular expressions. RFC 2046 (5.1.1) allows 70; some clients write a few more.
_MAX_BOUNDARY = 100
_WHITESPACE = dict.fromkeys(map(ord, " \t\r\n"))


class Request(flask.Request):
    """Keeps uploaded files in memory, so that uploads do not depend on disk space."""

    def _get_file_stream(self, *_args: Any, **_kwargs: Any) -> IO[bytes]:
        return io.BytesIO()


def check_headers() -> None:
    """Refuse a request that does not accept JSON, or has a body without a valid Content-Length."""
    if request.accept_mimetypes and not request.accept_mimetypes.accept_json and request.method != "OPTIONS":
        raise NotAcceptable
    length = request.environ.get("CONTENT_LENGTH") or ""
    if length and not (length.isascii() and length.isdigit()):
        raise BadRequest("Content-Length is not a number.")
    # Not "wsgi.input_terminated": gunicorn sets it on every request.
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if request.method == "POST" and not length and not is_chunked:
        raise LengthRequired


def parse_query(model: type[Query]) -> Query:
    """The query parameters, validated by `model`. Raises `InvalidRequest`."""
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidRequest(f"The parameter {first['loc'][0]} is invalid: {_sentence(first['msg'])}") from error


def recognize_body(from_strokes: Callable[[object], Result], from_picture: Callable[[bytes], Result]) -> Result:
    """Call one of the functions with the strokes or picture in the body, and return its result."""
    request.max_content_length = current_settings().limits.max_body_bytes
    if request.mimetype == "multipart/form-data":
        return from_picture(_uploaded_picture())
    body = _json_body()
    if "image_base64" in body.model_fields_set:
        return from_picture(_decode_base64(body.image_base64))
    return from_strokes(body.strokes)


def uploaded_pictures(field: str = "images") -> list[tuple[str, bytes]]:
    """Shortened names and bytes of the form's files `field`. Raises `MissingPicture` or `InvalidRequest`."""
    request.max_content_length = current_settings().limits.max_body_bytes
    if request.mimetype not in {"", "multipart/form-data"}:
        raise UnsupportedMediaType(f"Send multipart/form-data with files named {field}.")
    files = _files(field)
    if len(files) > MAX_BATCH_PICTURES:
        sentence = f"Send at most {MAX_BATCH_PICTURES} pictures at a time; these are {len(files)}."
        raise InvalidRequest(sentence, [(f"/{field}", sentence)])
    return [(_shorten(file.filename or ""), file.read()) for file in files]


def _uploaded_picture() -> bytes:
    data: bytes = _files("image")[0].read()
    return data


def _files(field: str) -> list[FileStorage]:
    """The form's files `field`, at least one. Raises `BadRequest` or `MissingPicture`."""
    if len(request.mimetype_params.get("boundary", "")) > _MAX_BOUNDARY:
        raise BadRequest(f"The boundary of a form has at most {_MAX_BOUNDARY} characters.")
    # A form that is sent without choosing a file has a part without a file name.
    files = [file for file in request.files.getlist(field) if file.filename or file.content_length]
    if not files:
        raise MissingPicture(field)
    return files


def strict_json(body: bytes) -> object:
    """Parse JSON strictly: UTF-8, no NaN or Infinity, no duplicate names, limited depth. Raises `MalformedJson`."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_names)
    except UnicodeDecodeError as error:
        raise MalformedJson("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise MalformedJson(f"The body is not JSON: {error.msg} at character {error.pos}.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # Python refuses to read integers of more than 4,300 digits
        raise MalformedJson("The body contains a number with too many digits.") from error
    _refuse_depth(value)
    return value


def _json_body() -> RecognitionRequest:
    is_utf8 = request.mimetype_params.get("charset", "utf-8").lower() == "utf-8"
    if request.mimetype != "application/json" or not is_utf8 or request.content_encoding:
        raise UnsupportedMediaType(
            "Send application/json, in UTF-8 and not compressed, or multipart/form-data with a file named image."
        )
    body = request.get_data(cache=False)
    limits = current_settings().limits
    may_be_large = b'"image_base64"' in body and body.count(b",") <= _MAX_COMMAS
    if len(body) > limits.max_plain_body_bytes and not may_be_large:
        raise RequestEntityTooLarge
    try:
        return RecognitionRequest.model_validate(strict_json(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[:_MAX_REPORTED_ERRORS]
        errors = [(_pointer(item["loc"]), _sentence(item["msg"])) for item in first]
        raise InvalidRequest(errors[0][1], errors) from error


def _pointer(location: tuple[int | str, ...]) -> str:
    """JSON pointer (RFC 6901), with long names shortened."""
    return "".join("/" + _shorten(str(part)).replace("~", "~0").replace("/", "~1") for part in location)


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_REPORTED_NAME else name[: _MAX_REPORTED_NAME - 1] + "…"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".") + "."


def _decode_base64(text: str) -> bytes:
    """The bytes of a base64 text or data URL (RFC 2397). Raises `UnsupportedPicture` or `InvalidRequest`."""
    header, comma, data = text.partition(",")
    if comma and header.startswith("data:"):
        if not header.startswith("data:image/"):
            raise UnsupportedPicture("The data URL does not contain a picture.")
        if not header.endswith(";base64"):
            _refuse_base64()
        text = data
    try:
        return base64.b64decode(text.translate(_WHITESPACE), validate=True)
    except ValueError:
        _refuse_base64()


def _refuse_base64() -> NoReturn:
    raise InvalidRequest("The field image_base64 is not base64.", [("/image_base64", "This is not base64.")])


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"The body is not JSON: {name} is not a JSON number.")


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise MalformedJson("The body contains an object with a duplicate name.")
    return value


def _refuse_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [child for node in level if isinstance(node, (list, dict)) for child in _children(node)]
    if any(isinstance(node, (list, dict)) for node in level):
        raise _too_deep()


def _children(node: list[object] | dict[str, object]) -> list[object]:
    return node if isinstance(node, list) else list(node.values())


def _too_deep() -> MalformedJson:
    return MalformedJson(f"The body is nested deeper than {MAX_JSON_DEPTH} levels.")
