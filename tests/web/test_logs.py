"""What is logged, and what is not."""

import fcntl
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from flask.testing import FlaskClient

from config import ROOT, Environment, Settings
from flask_app import create_app
from testing.handwriting import DIGITS
from testing.pictures import picture_of
from web.logs import ClientTimeoutFilter, JsonFormatter, NonBlockingHandler, PlainFormatter, configuration, shorten


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The log lines of requests, as in production."""
    records = [record for record in log.records if record.name == "digits.requests"]
    return [json.loads(JsonFormatter().format(record)) for record in records]


def test_each_request_has_a_line(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    client.post("/api/v1/predict", json={"strokes": DIGITS[1]})
    (line,) = lines(log)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/v1/predict", 200)
    assert isinstance(line["ms"], float)
    assert line["bytes"] > 100
    assert line["level"] == "info"


def test_line_has_the_request_id_of_the_response(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    client.get("/", headers={"X-Request-ID": "my-id"})
    (line,) = lines(log)
    assert line["request_id"] == "my-id"


def test_probes_are_logged_at_debug_level(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
    for path in ("/api/v1/health/live", "/metrics", "/static/style.css"):
        client.get(path, buffered=True)
    assert [line["level"] for line in lines(log)] == ["debug"] * 3


def test_neither_pictures_nor_names_nor_queries_nor_addresses_are_logged(
    client: FlaskClient, log: pytest.LogCaptureFixture
) -> None:
    picture = (io.BytesIO(picture_of(DIGITS[1])), "anna-müller\r\n.png")
    client.post("/", data={"image": picture}, query_string={"secret": "s"})
    client.post("/api/v1/predict", json={"image_base64": "iVBORw0KGgo="}, headers={"Authorization": "Bearer k-1"})
    text = log.text + json.dumps(lines(log))
    for private in ("anna", "secret", "iVBOR", "PNG", "k-1", "127.0.0.1"):
        assert private not in text


def test_address_is_logged_if_the_settings_ask_for_it(settings: Settings, log: pytest.LogCaptureFixture) -> None:
    client = create_app(settings.model_copy(update={"log_addresses": True})).test_client()
    client.get("/", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert lines(log)[0]["address"] == "192.0.2.7"


def test_text_from_a_client_stays_on_one_line_and_is_cut(client: FlaskClient, log: pytest.LogCaptureFixture) -> None:
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
def test_text_is_escaped_and_cut(text: str, shown: str) -> None:
    assert shorten(text, 10) == shown


def test_exception_is_logged_with_its_traceback() -> None:
    try:
        raise RuntimeError("cause")
    except RuntimeError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "it %s", ("broke",), (type(error), error, None))
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "it broke"
    assert "RuntimeError: cause" in line["trace"]
    assert PlainFormatter().format(record).endswith("RuntimeError: cause")


@pytest.mark.parametrize(("environment", "formatter"), [("prod", JsonFormatter), ("dev", PlainFormatter)])
def test_production_logs_json(environment: str, formatter: type, settings: Settings) -> None:
    chosen = configuration(settings.model_copy(update={"env": Environment(environment)}))
    assert chosen["formatters"]["lines"]["()"] is formatter


@pytest.mark.parametrize(("fault", "is_kept"), [(BlockingIOError(11, "stalled"), False), (OSError(5, "broken"), True)])
def test_client_timeouts_are_not_logged(fault: OSError, is_kept: bool) -> None:
    record = logging.makeLogRecord({"msg": "Socket error", "exc_info": (type(fault), fault, None)})
    assert bool(ClientTimeoutFilter().filter(record)) is is_kept


# ---- a reader that stalls ----


class Pipe:
    """Standard error of a process whose reader has stopped."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.handler = NonBlockingHandler(self.writing, capacity=10)

    def log(self, text: str) -> None:
        self.handler.handle(logging.makeLogRecord({"msg": text}))

    def read_until(self, text: str) -> str:
        """What was written, up to the first line that contains `text`."""
        with os.fdopen(self.reading, encoding="utf-8", closefd=False) as file:
            lines = []
            for line in file:
                lines.append(line)
                if text in line:
                    return "".join(lines)
        raise AssertionError(f"no line contains {text!r}")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    pipe.handler.start()
    logger = logging.getLogger("digits.logs")
    logger.addHandler(pipe.handler)
    yield pipe
    logger.removeHandler(pipe.handler)
    pipe.handler.close()
    os.close(pipe.reading)


def dropped_lines(client: FlaskClient) -> float:
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith("digits_log_lines")]
    return float(line.split()[1])


def test_lines_that_a_stalled_reader_leaves_are_dropped_and_counted(client: FlaskClient, pipe: Pipe) -> None:
    before = dropped_lines(client)
    for _ in range(30):
        pipe.log("x" * 2**16)  # fills the pipe
    assert 18 <= dropped_lines(client) - before <= 20
    assert "log lines were dropped" in pipe.read_until("dropped")
    pipe.log("last")
    assert pipe.read_until("last") == "last\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("has_queue", [True, False])
def test_lines_that_do_not_fit_on_the_disk_are_dropped_and_counted(client: FlaskClient, has_queue: bool) -> None:
    before = dropped_lines(client)
    full = os.open("/dev/full", os.O_WRONLY)
    handler = NonBlockingHandler(full)
    if has_queue:
        handler.start()
    handler.handle(logging.makeLogRecord({"msg": "lost"}))
    handler.close()
    os.close(full)
    assert dropped_lines(client) - before == 1


@pytest.mark.parametrize("length", [4000, 10_000])
def test_process_without_a_queue_drops_what_would_block(length: int) -> None:
    reading, writing = os.pipe()
    handler = NonBlockingHandler(writing)
    for _ in range(100):
        handler.handle(logging.makeLogRecord({"msg": "x" * length}))
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as file:
        assert 1 <= len(file.readlines()) < 100


@pytest.mark.skipif(sys.platform != "linux", reason="sets the size of a pipe")
def test_server_answers_and_stops_while_its_log_reader_stalls(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_path.exists()
    monkeypatch.setenv("DIGITS_WORKERS", "1")
    with subprocess.Popen([sys.executable, "-m", "gunicorn"], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            (url,) = next(found for line in process.stderr if (found := re.findall(r"http://127\.0\.0\.1:\d+", line)))
            fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
            for path in ["/api/v1/"] * 100 + ["/api/v1/health/ready"]:
                with urlopen(url + path, timeout=60) as response:
                    assert response.status == 200
            process.terminate()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("start", ["", "; start_queue()"])
def test_process_ends_while_its_log_reader_stalls(start: str) -> None:
    code = (
        "import logging, logging.config; from config import Settings; from web.logs import configuration, start_queue\n"
        f"logging.config.dictConfig(configuration(Settings(_env_file=None))){start}\n"
        "for _ in range(100): logging.warning('x' * 2000)\n"
        "print('done')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.wait(timeout=60) == 0
    assert process.stdout is not None
    assert process.stdout.read() == b"done\n"
    process.communicate()
