"""The OpenAPI 3.1 document, built from the routes, docstrings, schemas, limits and answers of the running app.

A view is documented if it is decorated with `operation`. Its docstring is the description, with the placeholders of
`_limit_texts` filled in:

    @api.post("/predict")
    @operation(PredictionResponse, tag="recognition", json=RecognitionRequest, problems=[BlankInput])
    def predict() -> Response:
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from config import VERSION, Limits
from recognition.picture import FORMATS
from web.problems import ANY_BODY, ANY_REQUEST, PROBLEM_TYPES, ProblemType
from web.schemas import MAX_BATCH_PICTURES, Problem, RecognitionRequest

JsonObject = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Response])

_DESCRIPTION = """\
Reads handwritten digits and numbers. They are sent as pen strokes or as a picture. The answer to a digit holds the
three likeliest ones with calibrated probabilities, and whether the input is a digit at all; the answer to a number its
text, and each digit of it.

Every error is `application/problem+json` (RFC 9457) with a stable `type`. Every answer has an `X-Request-ID`.
"""
_TAGS = {
    "recognition": "recognize digits in strokes and pictures",
    "model": "the model that answers",
    "operations": "for operators and load balancers",
}
# OpenAPI 3.1 needs only the media type; Swagger UI offers a list of files only for the format of OpenAPI 3.0.
_FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETag of an earlier answer; 304 without a body if the content has not changed",
    "schema": {"type": "string"},
    "example": '"d41d8cd98f"',
}
_HEADERS = {
    "X-Request-ID": ("string", "identifies this request in the server's log"),
    "ETag": ("string", "changes when the content does"),
    "Retry-After": ("integer", "seconds to wait before trying again"),
    "Allow": ("string", "methods that this path supports"),
    "WWW-Authenticate": ("string", "how to send a key"),
    "RateLimit": ("string", "if there is a rate limit: remaining requests (r), seconds until it is reset (t)"),
    "RateLimit-Policy": ("string", "if there is a rate limit: requests (q) per number of seconds (w)"),
}
_HEADERS_OF_EVERY_ANSWER = ("X-Request-ID", "RateLimit", "RateLimit-Policy")
_HEADERS_OF_STATUS = {401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"]}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a view takes and returns."""

    view: Callable[..., Response]
    response: type[BaseModel]
    tag: str
    query: type[BaseModel] | None = None
    json: type[BaseModel] | None = None
    files: str | None = None  # form field with picture files
    max_files: int = 1
    problems: Sequence[type[Exception]] = ()  # besides those that follow from the other fields
    has_etag: bool = False
    example: Callable[[], Mapping[str, Any]] = dict  # arguments of `Flask.test_request_context`

    def statuses(self) -> set[int]:
        """HTTP statuses of all problems that the view can answer with."""
        problems = [*ANY_REQUEST, *self.problems]
        if self.json or self.files:
            problems += ANY_BODY
        return {PROBLEM_TYPES[problem].status for problem in problems}


_operations: dict[Callable[..., Any], Operation] = {}


def operation(response: type[BaseModel], **declared: Any) -> Callable[[View], View]:
    """Document a view; `declared` are fields of `Operation`."""

    def declare(view: View) -> View:
        _operations[view] = Operation(view, response, **declared)
        return view

    return declare


def documented_rules(app: Flask) -> Iterator[tuple[Rule, Operation]]:
    """The routes of `app` that are in the document."""
    for rule in app.url_map.iter_rules():
        if (found := _operations.get(app.view_functions[rule.endpoint])) is not None:
            yield rule, found


def build_document(app: Flask) -> JsonObject:
    """The document. Its examples are answers of the model, if it is loaded."""
    limits: Limits = app.extensions["settings"].limits
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Handwritten digits",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "this server"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": {rule.rule: _path_item(app, rule, found, limits) for rule, found in documented_rules(app)},
        "components": {
            "schemas": _schemas(app, limits),
            "responses": {
                f"Problem{status}": _problem_response(status)
                for status in sorted({kind.status for kind in PROBLEM_TYPES.values()})
            },
            "headers": {
                name: {"description": description, "schema": {"type": kind}}
                for name, (kind, description) in _HEADERS.items()
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "if the server requires an API key"}
            },
        },
    }


# ---- operations ----


def _path_item(app: Flask, rule: Rule, declared: Operation, limits: Limits) -> JsonObject:
    (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    summary, _, description = (inspect.getdoc(declared.view) or "").partition("\n\n")
    texts = _limit_texts(limits)
    item: JsonObject = {"operationId": declared.view.__name__, "tags": [declared.tag]}
    item["summary"] = summary.rstrip(".").format(**texts)
    if description:
        item["description"] = description.replace("\n", " ").format(**texts)
    if declared.tag != "operations":
        item["security"] = [{}, {"key": []}]
    if parameters := _parameters(declared):
        item["parameters"] = parameters
    example = _example(app, rule, method, declared)
    if content := _request_content(declared, example.get("request")):
        item["requestBody"] = {"required": True, "content": content}
    return {method.lower(): item | {"responses": _responses(declared, example.get("response"))}}


def _limit_texts(limits: Limits) -> dict[str, str]:
    return {
        "formats": ", ".join(FORMATS[:-1]) + f" or {FORMATS[-1]}",
        "max_body": _size(limits.max_body_bytes),
        "max_plain_body": _size(limits.max_plain_body_bytes),
        "max_megapixels": f"{limits.max_megapixels:g}",
        "max_points": f"{limits.max_points:,}",
        "max_batch": str(MAX_BATCH_PICTURES),
    }


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:g} MiB" if n_bytes >= 2**20 else f"{n_bytes / 2**10:g} KiB"


def _parameters(declared: Operation) -> list[JsonObject]:
    fields = declared.query.model_json_schema()["properties"] if declared.query else {}
    _omit_nulls(fields)
    parameters = [
        {"name": name, "in": "query", "description": field.pop("description"), "schema": field}
        for name, field in fields.items()
    ]
    return [*parameters, _IF_NONE_MATCH] if declared.has_etag else parameters


def _request_content(declared: Operation, example: object) -> JsonObject:
    content: JsonObject = {}
    if declared.json is not None:
        content["application/json"] = {"schema": _reference(declared.json), "example": example}
    if declared.files is not None:
        field: JsonObject = {**_FILE, "description": "a picture file"}
        if declared.max_files > 1:
            field = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": declared.max_files}
        form = {"type": "object", "required": [declared.files], "properties": {declared.files: field}}
        content["multipart/form-data"] = {"schema": form, "encoding": {declared.files: {"contentType": "image/*"}}}
    return content


def _responses(declared: Operation, example: object) -> JsonObject:
    content: JsonObject = {"schema": _reference(declared.response)}
    if example is not None:
        content["example"] = example
    responses: JsonObject = {
        "200": {
            "description": inspect.getdoc(declared.response),
            "headers": _header_references(["ETag"] if declared.has_etag else []),
            "content": {"application/json": content},
        }
    }
    if declared.has_etag:
        responses["304"] = {"description": "The content has not changed.", "headers": _header_references()}
    problems = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in declared.statuses()}
    return responses | dict(sorted(problems.items()))


def _example(app: Flask, rule: Rule, method: str, declared: Operation) -> JsonObject:
    """An example request of a route, and the response of its view."""
    try:
        with app.app_context():
            arguments = declared.example()
        with app.test_request_context(rule.rule, method=method, **arguments):
            answer = declared.view().get_json()
    except HTTPException:  # without a model, or over a rate limit, there is no answer
        return {}
    # The document and its ETag must be the same in all processes.
    for part in (answer, *answer.get("results", ())):
        if "elapsed_ms" in part:
            part["elapsed_ms"] = 2.0
    return {"request": arguments.get("json"), "response": answer}


# ---- components ----


def _schemas(app: Flask, limits: Limits) -> JsonObject:
    responses = {declared.response for _, declared in documented_rules(app)} | {Problem}
    _, schemas = models_json_schema(
        [(RecognitionRequest, "validation"), *((model, "serialization") for model in responses)],
        ref_template="#/components/schemas/{model}",
    )
    definitions: JsonObject = schemas["$defs"]
    _omit_nulls(definitions)
    definitions["Problem"]["properties"]["type"]["enum"] = sorted(kind.type for kind in PROBLEM_TYPES.values())
    strokes = definitions["RecognitionRequest"]["properties"]["strokes"]
    strokes["maxItems"] = limits.max_strokes
    coordinate = strokes["items"]["items"]["items"]
    coordinate |= {"minimum": -limits.max_coordinate, "maximum": limits.max_coordinate}
    return dict(sorted(definitions.items()))


def _omit_nulls(node: Any) -> None:
    """Remove null from optional fields, in place: responses omit them."""
    if isinstance(node, list):
        for item in node:
            _omit_nulls(item)
    elif isinstance(node, dict):
        options = node.get("anyOf", [])
        if {"type": "null"} in options:
            (kept,) = [option for option in options if option != {"type": "null"}]
            del node["anyOf"]
            node.update(kept)
        if node.get("default", ...) in (None, ""):
            del node["default"]
        for item in node.values():
            _omit_nulls(item)


def _problem_response(status: int) -> JsonObject:
    """The response for all problems with one status."""
    kinds = [kind for kind in PROBLEM_TYPES.values() if kind.status == status]
    return {
        "description": ", ".join(f"`{kind.type}` ({kind.title.lower()})" for kind in kinds),
        "headers": _header_references(_HEADERS_OF_STATUS.get(status, ())),
        "content": {
            "application/problem+json": {
                "schema": _reference(Problem),
                "examples": {kind.type: {"value": _problem_example(kind)} for kind in kinds},
            }
        },
    }


def _problem_example(kind: ProblemType) -> JsonObject:
    problem = Problem(type=kind.type, title=kind.title, status=kind.status, detail=kind.detail or f"{kind.title}.")
    return problem.model_dump(exclude_none=True)


def _reference(model: type[BaseModel]) -> JsonObject:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _header_references(extra: Sequence[str] = ()) -> JsonObject:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_HEADERS_OF_EVERY_ANSWER, *extra)}
