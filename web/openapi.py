"""The OpenAPI 3.1 document, made of the schemas in `web/schemas.py` and the table of problems in `web/problems.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from web.problems import KINDS
from web.schemas import (
    EXAMPLE_STROKES,
    MAX_BATCH_PICTURES,
    VERSION,
    Answer,
    BatchAnswer,
    Drawing,
    Explained,
    Health,
    Index,
    ModelCard,
    Problem,
)

JsonObject = dict[str, Any]
# What may be wrong with any request, and what only with one that carries something to be read.
_ALWAYS = ("not-acceptable", "unknown-host", "missing-key", "too-many-requests", "overloaded", "internal")
_WITH_BODY = (
    *("malformed-json", "bad-request", "cross-site", "length-required", "body-too-large", "unsupported-media-type"),
    *("invalid-request", "missing-picture", "blank", "invalid-strokes", "undecodable-picture"),
    *("picture-too-large", "unsupported-picture", "not-ready"),
)
_BATCH = tuple(set(_WITH_BODY) - {"malformed-json", "blank", "invalid-strokes", "undecodable-picture"} - {
    "picture-too-large", "unsupported-picture"
})  # fmt: skip
_INTRODUCTION = """\
Reads handwritten digits. A digit comes in as pen strokes or as a picture, and the answer holds the three likeliest
digits with calibrated probabilities, and whether it is a digit at all.

Every error is `application/problem+json` (RFC 9457) with a stable `type`. Every answer carries `X-Request-ID`.
"""


def build_document() -> JsonObject:
    """The document, as it is served."""
    models: list[type[BaseModel]] = [Answer, BatchAnswer, Drawing, Explained, Health, Index, ModelCard, Problem]
    _, schemas = models_json_schema(
        [(model, "serialization" if model is not Drawing else "validation") for model in models],
        ref_template="#/components/schemas/{model}",
    )
    _tidy(schemas)
    schemas["$defs"]["Problem"]["properties"]["type"]["enum"] = sorted(kind.type for kind in KINDS.values())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Handwritten digits",
            "version": VERSION,
            "description": _INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "this server"}],
        "tags": [
            {"name": "recognition", "description": "strokes or pictures to digits"},
            {"name": "model", "description": "what answers"},
            {"name": "operations", "description": "for whoever runs this server, and for load balancers"},
        ],
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "responses": _problem_responses(),
            "headers": _HEADERS,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "where the server asks for an API key"}
            },
        },
    }


def _tidy(node: Any) -> None:
    """Leave out the null of fields that are left out where they do not apply: no answer holds a null."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    elif isinstance(node, dict):
        options = node.get("anyOf", [])
        if {"type": "null"} in options:
            (kept,) = [option for option in options if option != {"type": "null"}]
            del node["anyOf"]
            node.update(kept)
        if node.get("default", ...) in (None, ""):
            del node["default"]
        for item in node.values():
            _tidy(item)


def _paths() -> JsonObject:
    return {
        "/api/v1/": {"get": _get("index", "Where to find what", "operations", Index)},
        "/api/v1/health/live": {"get": _get("live", "Whether the process answers at all", "operations", Health)},
        "/api/v1/health/ready": {
            "get": _get("ready", "Whether the model has answered a warm-up", "operations", Health, ["not-ready"])
        },
        "/api/v1/model": {
            "get": _conditional(_get("model", "The model that answers", "model", ModelCard, ["not-ready"]))
        },
        "/api/v1/predict": {"post": _predict()},
        "/api/v1/predict/batch": {"post": _predict_batch()},
        "/api/v1/explain": {"post": _explain()},
    }


def _get(name: str, summary: str, tag: str, model: type[BaseModel], problems: Iterable[str] = ()) -> JsonObject:
    secured: JsonObject = {"security": [{}, {"key": []}]} if tag == "model" else {}
    return {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        **secured,
        "responses": _responses(model, [*_ALWAYS, *problems]),
    }


def _conditional(operation: JsonObject) -> JsonObject:
    operation["parameters"] = [
        {
            "name": "If-None-Match",
            "in": "header",
            "description": "the ETag of an earlier answer: 304, without a body, where it is still true",
            "schema": {"type": "string"},
            "example": '"d41d8cd98f"',
        }
    ]
    operation["responses"]["200"]["headers"]["ETag"] = {"$ref": "#/components/headers/ETag"}
    operation["responses"]["304"] = {"description": "nothing has changed", "headers": _header_refs()}
    return operation


def _predict() -> JsonObject:
    return _post(
        "predict",
        "Read one digit",
        "Strokes or a picture in JSON, or a picture as a file. Pictures are PNG, JPEG, GIF (first frame), BMP or WebP, "
        "up to 12 MiB and 50 megapixels; a body without a picture has up to 256 KiB.",
        _INCLUDE,
        _one_digit(),
        _responses(Answer, [*_ALWAYS, *_WITH_BODY]),
    )


def _explain() -> JsonObject:
    return _post(
        "explain",
        "Say what spoke for a digit",
        "Takes what predict takes. A little ink is taken away at a time: what makes the digit less likely by going "
        "spoke for it. This is ten to thirty times the work of a prediction.",
        _DIGIT,
        _one_digit(),
        _responses(Explained, [*_ALWAYS, *_WITH_BODY]),
    )


# OpenAPI 3.1 goes by the media type; Swagger UI lets choose files for a list of them by the format of 3.0 only.
_FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


def _one_digit() -> JsonObject:
    """The bodies in which one digit comes."""
    picture = {**_FILE, "description": "a picture file"}
    form = {"type": "object", "required": ["image"], "properties": {"image": picture}}
    return {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/Drawing"},
            "examples": {"strokes": {"summary": "a 1", "value": {"strokes": EXAMPLE_STROKES}}},
        },
        "multipart/form-data": {"schema": form, "encoding": {"image": {"contentType": "image/*"}}},
    }


def _predict_batch() -> JsonObject:
    pictures = {
        "type": "array",
        "items": _FILE,
        "minItems": 1,
        "maxItems": MAX_BATCH_PICTURES,
        "description": f"up to {MAX_BATCH_PICTURES} picture files, 12 MiB together",
    }
    form = {"type": "object", "required": ["images"], "properties": {"images": pictures}}
    return _post(
        "predict_batch",
        f"Read up to {MAX_BATCH_PICTURES} pictures",
        "All go through the network at once. A picture that cannot be read gets its problem in its place, and the "
        "others their answers.",
        _INCLUDE,
        {"multipart/form-data": {"schema": form, "encoding": {"images": {"contentType": "image/*"}}}},
        _responses(BatchAnswer, [*_ALWAYS, *_BATCH]),
    )


_INCLUDE: JsonObject = {
    "name": "include",
    "in": "query",
    "description": "`frame` adds the 28x28 values that the network saw to the answer",
    "schema": {"type": "string", "enum": ["frame"]},
}
_DIGIT: JsonObject = {
    "name": "digit",
    "in": "query",
    "description": "the digit to be explained; without it, the likeliest one",
    "schema": {"type": "integer", "minimum": 0, "maximum": 9},
}


def _post(
    name: str, summary: str, description: str, parameter: JsonObject, content: JsonObject, responses: JsonObject
) -> JsonObject:
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "tags": ["recognition"],
        "security": [{}, {"key": []}],
        "parameters": [parameter],
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }


def _responses(model: type[BaseModel], problems: Iterable[str]) -> JsonObject:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    answers: JsonObject = {
        "200": {
            "description": (model.__doc__ or "").strip(),
            "headers": _header_refs(),
            "content": {"application/json": {"schema": schema}},
        }
    }
    statuses = {kind.status for kind in KINDS.values() if kind.type in set(problems)}
    answers |= {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(statuses)}
    return answers


def _problem_responses() -> JsonObject:
    """One response for each status, which lists the problems that have it."""
    statuses = sorted({kind.status for kind in KINDS.values()})
    return {_name(status): _problem_response(status) for status in statuses}


def _problem_response(status: int) -> JsonObject:
    kinds = [kind for kind in KINDS.values() if kind.status == status]
    extra = {401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])
    return {
        "description": ", ".join(f"`{kind.type}` ({kind.title.lower()})" for kind in kinds),
        "headers": _header_refs(extra),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {kind.type: {"value": _example(kind.status, kind.type, kind.title)} for kind in kinds},
            }
        },
    }


def _example(status: int, problem_type: str, title: str) -> JsonObject:
    detail = next((kind.detail for kind in KINDS.values() if kind.type == problem_type), None)
    return {
        "type": problem_type,
        "title": title,
        "status": status,
        "detail": detail or f"{title}. The detail says what to do.",
        "request_id": "3f2a90c1",
    }


def _name(status: int) -> str:
    return f"Problem{status}"


_HEADERS: Mapping[str, JsonObject] = {
    "X-Request-ID": {"description": "names this request in the server's log", "schema": {"type": "string"}},
    "ETag": {"description": "changes when the content does", "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds to wait before trying again", "schema": {"type": "integer"}},
    "Allow": {"description": "methods that this address takes", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "how a key is sent", "schema": {"type": "string"}},
    "RateLimit": {
        "description": "where there is a rate limit: requests left (r), and seconds until there are more (t)",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "where there is a rate limit: requests (q) in how many seconds (w)",
        "schema": {"type": "string"},
    },
}


def _header_refs(extra: Iterable[str] = ()) -> JsonObject:
    names = ["X-Request-ID", "RateLimit", "RateLimit-Policy", *extra]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
