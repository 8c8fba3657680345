import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from flask_app import create_app
from recognition import InputError
from testing.answers import assert_problem
from web.problems import PROBLEM_TYPES


@pytest.fixture
def broken(settings: Settings) -> FlaskClient:
    """An app whose reader raises an unexpected error."""
    app = create_app(settings)

    def fail(*_: object, **_options: object) -> None:
        raise RuntimeError("secret cause")

    app.extensions["reader"].predict_strokes = fail
    app.extensions["reader"].read_picture = fail
    return app.test_client()


def test_unexpected_error_is_logged_with_its_trace_and_answered_generically(
    broken: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = broken.post("/api/v1/predict", json={"strokes": [[[1, 2]]]})
    assert_problem(response, 500, "internal")
    assert "secret" not in response.text
    (record,) = caplog.records
    assert response.headers["X-Request-ID"] in record.getMessage()
    assert "secret cause" in (record.exc_text or "")


def test_unexpected_error_on_the_page_is_an_error_page(broken: FlaskClient) -> None:
    response = broken.post("/", data={"image": (__file__, "x.png")})
    assert response.status_code == 500
    assert response.content_type.startswith("text/html")
    assert "secret" not in response.text


@pytest.mark.parametrize("path", ["/api/", "/api/v1/nothing", "/api/v2/predict", "/api/v1/predict/"])
def test_unknown_api_address_is_a_problem(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path), 404, "not-found")


def test_unknown_page_is_an_error_page(client: FlaskClient) -> None:
    response = client.get("/<script>alert(1)</script>")
    assert response.status_code == 404
    assert "There is nothing at this address." in response.text
    assert "<script>alert" not in response.text


def test_wrong_method_gets_the_allowed_ones(client: FlaskClient) -> None:
    response = client.get("/api/v1/predict")
    assert_problem(response, 405, "method-not-allowed")
    assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_every_input_error_has_its_own_problem() -> None:
    def leaves(kind: type[Exception]) -> list[type[Exception]]:
        below = kind.__subclasses__()
        return [leaf for child in below for leaf in leaves(child)] if below else [kind]

    assert set(leaves(InputError)) <= set(PROBLEM_TYPES)
    types = [kind.type for kind in PROBLEM_TYPES.values()]
    assert len(set(types)) == len(types)


def test_other_http_errors_have_a_type_too(app: Flask) -> None:
    from werkzeug.exceptions import ImATeapot

    from web.problems import describe

    with app.test_request_context():
        assert describe(ImATeapot()).type == "i'm-a-teapot"
