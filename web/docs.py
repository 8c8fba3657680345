"""The OpenAPI document at /openapi.json, and Swagger UI at /docs, served from here and not from a CDN."""

from __future__ import annotations

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, current_app, json, render_template, send_from_directory
from werkzeug.exceptions import NotFound

from web.api import with_etag
from web.openapi import build_document
from web.state import current_model_id

# Swagger UI's own page has inline scripts, which our Content-Security-Policy forbids.
_ASSETS = frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})
_FOLDER = Path(flask_swagger_ui.__file__).parent / "dist"

docs = Blueprint("docs", __name__)


@docs.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return with_etag(Response(_document(current_model_id()), content_type="application/json"))


@docs.get("/docs")
def page() -> str:
    """Swagger UI."""
    return render_template("docs.html")


@docs.get("/docs/assets/<name>")
def asset(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in _ASSETS:
        raise NotFound
    return send_from_directory(_FOLDER, name)


def _document(model_id: str | None) -> str:
    """The document as JSON, cached by model, because its examples are answers of the model."""
    documents: dict[str | None, str] = current_app.extensions.setdefault("openapi", {})
    if model_id not in documents:
        documents[model_id] = json.dumps(build_document(current_app))
    return documents[model_id]
