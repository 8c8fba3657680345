"""The API's document at /openapi.json, and pages to read and try it at /docs, from this server alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, json, render_template, send_from_directory
from werkzeug.exceptions import NotFound

from web.api import revalidated
from web.openapi import build_document

# All of the package's files that the page needs; its own page has inline scripts, which ours may not have.
_ASSETS = frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})
_FOLDER = Path(flask_swagger_ui.__file__).parent / "dist"

docs = Blueprint("docs", __name__)


@docs.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return revalidated(Response(_document(), content_type="application/json"))


@docs.get("/docs")
def page() -> str:
    """The same for people."""
    return render_template("docs.html")


@docs.get("/docs/assets/<name>")
def asset(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in _ASSETS:
        raise NotFound
    return send_from_directory(_FOLDER, name)


@cache
def _document() -> str:
    return json.dumps(build_document())
