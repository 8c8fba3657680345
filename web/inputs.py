"""A request's body to what it carries: strokes, or the bytes of a picture. Nothing here decodes a picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import NoReturn, TypeVar

from flask import request
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, LengthRequired, NotAcceptable, RequestEntityTooLarge, UnsupportedMediaType

from recognition import UnsupportedPicture
from web.operations import current_settings
from web.problems import InvalidRequest, MalformedJson, MissingPicture
from web.schemas import MAX_BATCH_PICTURES, Drawing

Seen = TypeVar("Seen")
MAX_JSON_DEPTH = 8
# A large body is a picture and little else. Of one that is a million of anything else, parsing would take a gigabyte.
_MOST_COMMAS = 100
# An answer stays small, whatever it answers.
_MAX_REPORTED_ERRORS = 20
_MAX_REPORTED_NAME = 64  # characters of a field's name
_WHITESPACE = dict.fromkeys(map(ord, " \t\r\n"))


def answer_request(to_strokes: Callable[[object], Seen], to_picture: Callable[[bytes], Seen]) -> Seen:
    """What is answered to the drawing or the picture in the request, in any of its three forms."""
    request.max_content_length = current_settings().limits.max_body_bytes
    if request.mimetype == "multipart/form-data":
        return to_picture(uploaded_picture())
    drawing = _drawing()
    if "image_base64" in drawing.model_fields_set:
        return to_picture(_decode_base64(drawing.image_base64))
    return to_strokes(drawing.strokes)


def refuse_other_answers() -> None:
    """Refuse a request whose Accept leaves no room for JSON, or whose body has no length that makes sense."""
    if request.accept_mimetypes and not request.accept_mimetypes.accept_json and request.method != "OPTIONS":
        raise NotAcceptable
    length = request.environ.get("CONTENT_LENGTH") or ""
    if length and not (length.isascii() and length.isdigit()):
        raise BadRequest("Content-Length is not a number.")
    # "wsgi.input_terminated" would not tell: gunicorn sets it on every request.
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if request.method == "POST" and not length and not is_chunked:
        raise LengthRequired


def uploaded_picture() -> bytes:
    """The bytes of the form's file `image`. Raises `MissingPicture` where none was sent."""
    request.max_content_length = current_settings().limits.max_body_bytes
    file = request.files.get("image")
    if file is None or not _is_sent(file):
        raise MissingPicture
    data: bytes = file.read()
    return data


def uploaded_pictures(field: str = "images") -> list[tuple[str, bytes]]:
    """Names and bytes of the form's files `field`, in order. Raises `MissingPicture` or `InvalidRequest`."""
    request.max_content_length = current_settings().limits.max_body_bytes
    if request.mimetype not in {"", "multipart/form-data"}:
        raise UnsupportedMediaType(f"Send multipart/form-data with files named {field}.")
    files = [file for file in request.files.getlist(field) if _is_sent(file)]
    if not files:
        raise MissingPicture(field)
    if len(files) > MAX_BATCH_PICTURES:
        sentence = f"Send at most {MAX_BATCH_PICTURES} pictures at a time; these are {len(files)}."
        raise InvalidRequest(sentence, [(f"/{field}", sentence)])
    return [(file.filename or "", file.read()) for file in files]


def _is_sent(file: FileStorage) -> bool:
    # A form sent with no file chosen has a part without a name.
    return bool(file.filename or file.content_length)


def strict_json(body: bytes) -> object:
    """Parse JSON as its standard has it: UTF-8, no NaN or Infinity, no name twice. Raises `MalformedJson`."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_names)
    except UnicodeDecodeError as error:
        raise MalformedJson("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise MalformedJson(f"The body is not JSON: {error.msg} at character {error.pos}.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # Python refuses to read integers of more than 4,300 digits
        raise MalformedJson("The body holds a number of too many digits.") from error
    _refuse_depth(value)
    return value


def _drawing() -> Drawing:
    is_utf8 = request.mimetype_params.get("charset", "utf-8").lower() == "utf-8"
    if request.mimetype != "application/json" or not is_utf8 or request.content_encoding:
        raise UnsupportedMediaType(
            "Send application/json, in UTF-8 and not compressed, or multipart/form-data with a file named image."
        )
    body = request.get_data(cache=False)
    limits = current_settings().limits
    may_be_large = b'"image_base64"' in body and body.count(b",") <= _MOST_COMMAS
    if len(body) > limits.max_plain_body_bytes and not may_be_large:
        raise RequestEntityTooLarge
    try:
        return Drawing.model_validate(strict_json(body))
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
            raise UnsupportedPicture("The data URL does not hold a picture.")
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
    raise MalformedJson(f"The body is not JSON: {name} is no number there.")


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise MalformedJson("The body has an object with the same name twice.")
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
