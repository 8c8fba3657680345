"""What is written down, and what is not."""

import io
import json
import logging

import pytest
from flask.testing import FlaskClient

from config import Environment, Settings
from flask_app import create_app
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from web.logs import JsonFormatter, PlainFormatter, WithoutStalls, configuration, printable


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The requests' lines, as production writes them."""
    records = [record for record in log.records if record.name == "digits.requests"]
    return [json.loads(JsonFormatter().format(record)) for record in records]


def test_each_request_has_a_line(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    client.post("/api/v1/predict", json={"strokes": DIGITS[1]})
    (line,) = lines(log)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/v1/predict", 200)
    assert isinstance(line["ms"], float)
    assert line["bytes"] > 100
    assert line["level"] == "info"


def test_line_names_the_request_as_the_answer_does(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    client.get("/", headers={"X-Request-ID": "my-id"})
    (line,) = lines(log)
    assert line["request_id"] == "my-id"


def test_probes_are_written_down_for_debugging_only(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    for path in ("/api/v1/health/live", "/metrics", "/static/style.css"):
        client.get(path, buffered=True)
    assert [line["level"] for line in lines(log)] == ["debug"] * 3


def test_neither_pictures_nor_names_nor_queries_nor_addresses_are_written_down(
    client: FlaskClient, log: pytest.LogCaptureFixture
) -> None:
    picture = (io.BytesIO(picture_of(DIGITS[1])), "anna-müller\r\n.png")
    client.post("/", data={"image": picture}, query_string={"secret": "s"})
    client.post("/api/v1/predict", json={"image_base64": "iVBORw0KGgo="}, headers={"Authorization": "Bearer k-1"})
    text = log.text + json.dumps(lines(log))
    for private in ("anna", "secret", "iVBOR", "PNG", "k-1", "127.0.0.1"):
        assert private not in text


def test_address_is_written_down_where_it_is_asked_for(settings: Settings, log: pytest.LogCaptureFixture) -> None:
    client = create_app(settings.model_copy(update={"log_addresses": True})).test_client()
    client.get("/", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert lines(log)[0]["address"] == "192.0.2.7"


def test_what_a_client_made_up_stays_on_one_line_and_is_cut(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    client.get("/a%0D%0A2026 forged\x1b[31m/" + "x" * 5000)
    for formatter in (JsonFormatter(), PlainFormatter()):
        (written,) = [formatter.format(record) for record in log.records if record.name == "digits.requests"]
        assert "\n" not in written
        assert "\x1b" not in written
        assert len(written) < 1000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 7", "plain é 7"),
        ("a\nb", "a\\nb"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("abcdefghijk", "abcdefghij..."),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text, 10) == shown


def test_fault_keeps_its_trace() -> None:
    try:
        raise RuntimeError("cause")
    except RuntimeError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "it %s", ("broke",), (type(error), error, None))
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "it broke"
    assert "RuntimeError: cause" in line["trace"]
    assert PlainFormatter().format(record).endswith("RuntimeError: cause")


@pytest.mark.parametrize(("environment", "formatter"), [("prod", JsonFormatter), ("dev", PlainFormatter)])
def test_json_is_for_production(environment: str, formatter: type, settings: Settings) -> None:
    chosen = configuration(settings.model_copy(update={"env": Environment(environment)}))
    assert chosen["formatters"]["lines"]["()"] is formatter


@pytest.mark.parametrize(("fault", "is_kept"), [(BlockingIOError(11, "stalled"), False), (OSError(5, "broken"), True)])
def test_clients_that_stall_leave_no_trace(fault: OSError, is_kept: bool) -> None:
    record = logging.makeLogRecord({"msg": "Socket error", "exc_info": (type(fault), fault, None)})
    assert bool(WithoutStalls().filter(record)) is is_kept
