"""The OpenAPI document: complete, and consistent with the running app."""

import json
import re
import sys
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from config import Limits, Settings
from flask_app import create_app
from testing.answers import assert_problem
from testing.handwriting import DIGITS
from testing.numbers import let_app_read
from testing.pictures import multipart, picture_of
from web.openapi import build_document
from web.problems import PROBLEM_TYPES

APP = create_app()
let_app_read(APP, "42")
DOCUMENT = build_document(APP)
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def fields() -> list[Any]:
    schemas = DOCUMENT["components"]["schemas"]
    return [
        pytest.param(field, id=f"{schema}.{name}")
        for schema, content in schemas.items()
        for name, field in content["properties"].items()
    ]


def test_document_is_openapi_3_1(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


def test_document_names_every_route_of_the_api(app: Flask) -> None:
    routes = {
        (re.sub(r"<(\w+:)?(\w+)>", r"{\2}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert documented == routes


def test_document_names_every_type_of_problem() -> None:
    types = {kind.type for kind in PROBLEM_TYPES.values()}
    assert set(DOCUMENT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]) == types
    listed = [
        example
        for response in DOCUMENT["components"]["responses"].values()
        for example in response["content"]["application/problem+json"]["examples"]
    ]
    assert sorted(listed) == sorted(types)


@pytest.mark.parametrize("field", fields())
def test_every_field_has_a_description(field: dict[str, Any]) -> None:
    assert field["description"]


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in answer.items() if name not in {"elapsed_ms", "request_id"}}
    if "results" in kept:
        kept["results"] = [without_times(result) for result in kept["results"]]
    return kept


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_example_is_an_answer_of_this_server(path: str, method: str, operation: dict[str, Any]) -> None:
    client = APP.test_client()
    assert operation["summary"]
    example = operation["responses"]["200"]["content"]["application/json"]["example"]
    content = operation.get("requestBody", {}).get("content", {})
    sent = {"json": content["application/json"]["example"]} if "application/json" in content else {}
    if "application/json" in content or not content:
        response = client.open(path, method=method, **sent)
        assert without_times(response.get_json()) == without_times(example)
    else:
        answer, problem = example["results"]
        assert answer.get("text", answer.get("digit")) == ("42" if "read" in path else 1)
        assert problem["type"] == "unsupported-picture"


def test_limits_in_the_document_are_settings(settings: Settings) -> None:
    limits = Limits(_env_file=None, max_strokes=7, max_coordinate=9, max_body_bytes=3 * 2**20, max_megapixels=1.5)
    app = create_app(settings.model_copy(update={"limits": limits}), load_model=False)
    document = build_document(app)
    strokes = document["components"]["schemas"]["RecognitionRequest"]["properties"]["strokes"]
    assert strokes["maxItems"] == 7
    assert strokes["items"]["items"]["items"] == {"type": "number", "minimum": -9, "maximum": 9}
    assert "3 MiB and 1.5 megapixels" in document["paths"]["/api/v1/predict"]["post"]["description"]


def test_document_of_an_app_without_a_model_has_no_example_predictions(settings: Settings) -> None:
    client = create_app(settings, load_model=False).test_client()
    assert "0.9" not in client.get("/openapi.json").text


def test_unchanged_content_is_answered_304(client: FlaskClient) -> None:
    for path in ("/openapi.json", "/api/v1/model"):
        first = client.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_docs_load_from_this_server_alone(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 4
    for asset in assets:
        assert asset.startswith("/")
        assert client.get(asset, buffered=True).status_code == 200
    assert client.get("/docs/assets/index.css").status_code == 404


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml, text/*"])
def test_request_that_does_not_accept_json_is_refused(client: FlaskClient, accept: str) -> None:
    assert_problem(client.get("/api/v1/model", headers={"Accept": accept}), 406, "not-acceptable")
    response = client.post("/api/v1/predict", json={"strokes": DIGITS[1]}, headers={"Accept": accept})
    assert_problem(response, 406, "not-acceptable")


@pytest.mark.parametrize("accept", ["", "*/*", "application/*", "application/json;q=0.1, text/html"])
def test_request_that_accepts_json_is_answered(client: FlaskClient, accept: str) -> None:
    assert client.get("/api/v1/model", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("length", ["five", "-1", "+5", "1e3"])
def test_content_length_that_is_not_a_number_is_refused(client: FlaskClient, length: str) -> None:
    response = client.post("/api/v1/predict", data=b"{}", environ_overrides={"CONTENT_LENGTH": length})
    assert_problem(response, 400, "bad-request")


def test_body_shorter_than_its_length_is_refused(client: FlaskClient) -> None:
    response = client.post(
        "/api/v1/predict",
        data=b'{"strokes": []}',
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    assert_problem(response, 400, "bad-request")


# ---- requests that schemathesis generates from the document ----

schema = schemathesis.openapi.from_wsgi("/openapi.json", APP)
CHECKS = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
    )
]


EXAMPLES = 2000 if "--fuzz" in sys.argv else 15


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # files of forms that were refused half read
@schema.parametrize()
@hypothesis_settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_responses_conform_to_the_document(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/api/v1/predict/batch", "/api/v1/read/batch"])
def test_batch_answers_as_documented(path: str) -> None:
    response = APP.test_client().post(path, **multipart(picture_of(DIGITS[1]), b"x", name="images"))
    operation = schema[path]["POST"]
    assert json.loads(response.data)["results"][1]["type"] == "unsupported-picture"
    assert operation.is_valid_response(response)
