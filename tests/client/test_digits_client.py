"""The Python client, against the real server and, for responses that it never sends, against a scripted one."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image

import predict
from client.digits_client import (
    ConnectionFailed,
    DigitsClient,
    Explanation,
    ProblemError,
    ReadDigit,
    Reading,
    frame_bytes,
)
from testing.answers import ANSWER_FIELDS
from testing.handwriting import DIGITS, write_row
from testing.pictures import picture_of
from testing.servers import Server


@pytest.fixture(scope="module")
def digits(server: Server) -> DigitsClient:
    return DigitsClient(server.url)


def test_every_form_of_input_is_read(digits: DigitsClient, tmp_path: Path) -> None:
    picture = picture_of(DIGITS[3])
    (tmp_path / "three.png").write_bytes(picture)
    answers = [
        digits.predict_strokes(DIGITS[3]),
        digits.predict_picture(picture),
        digits.predict_file(tmp_path / "three.png"),
        digits.predict_base64(base64.b64encode(picture).decode()),
    ]
    assert [answer["digit"] for answer in answers] == [3, 3, 3, 3]
    assert set(answers[0]) == ANSWER_FIELDS


def test_frame_is_included_on_request(digits: DigitsClient) -> None:
    answer = digits.predict_strokes(DIGITS[3], include_frame=True)
    with Image.open(io.BytesIO(frame_bytes(answer))) as frame:
        assert frame.size == (28, 28)


def test_mode_is_sent(server: Server) -> None:
    sure, guess = (DigitsClient(server.url, mode=mode) for mode in ("sure", "guess"))
    dash = [[[0, 10], [100, 10]]]
    assert guess.predict_strokes(DIGITS[3], include_frame=True)["is_digit"]
    assert not sure.predict_strokes(dash)["is_digit"]
    assert (sure._path("predict", True), guess._path("predict", False)) == (
        "predict?include=frame&mode=sure",
        "predict?mode=guess",
    )


def test_drawing_and_picture_are_explained(digits: DigitsClient) -> None:
    likeliest, other = digits.explain_strokes(DIGITS[7]), digits.explain_picture(picture_of(DIGITS[7]), digit=1)
    assert (likeliest["digit"], other["digit"]) == (7, 1)
    assert set(likeliest) == set(other) == set(Explanation.__annotations__)
    assert [len(row) for row in likeliest["heat"]] == [28] * 28
    assert digits.explain_strokes(write_row("42"), place=1)["digit"] == 2
    with pytest.raises(ProblemError) as caught:
        digits.explain_strokes(DIGITS[7], digit=10)
    assert caught.value.type == "invalid-request"


def test_batch_of_any_size_is_read_in_order(digits: DigitsClient) -> None:
    pictures = [picture_of(DIGITS[number % 10]) for number in range(70)]
    pictures[66] = b"hello"
    results = list(digits.predict_batch(iter(pictures)))
    bad = results.pop(66)
    assert isinstance(bad, ProblemError)
    assert (bad.status, bad.type) == (415, "unsupported-picture")
    assert [answer["digit"] for answer in results if not isinstance(answer, ProblemError)] == [
        number % 10 for number in range(70) if number != 66
    ]


def test_numbers_are_read(digits: DigitsClient, tmp_path: Path) -> None:
    picture = picture_of(DIGITS[3])
    (tmp_path / "three.png").write_bytes(picture)
    readings = [
        digits.read_strokes(DIGITS[3], include_frame=True),
        digits.read_picture(picture, include_frame=True),
        digits.read_file(tmp_path / "three.png", include_frame=True),
    ]
    assert [reading["text"] for reading in readings] == ["3", "3", "3"]
    assert set(readings[0]) == set(Reading.__annotations__)
    assert set(readings[0]["digits"][0]) == set(ReadDigit.__annotations__)
    assert readings[0]["model"] == digits.model()["number_model"]
    with Image.open(io.BytesIO(frame_bytes(readings[0]["digits"][0]))) as frame:
        assert frame.size == (28, 28)
    assert "frame" not in digits.read_strokes(DIGITS[3])["digits"][0]


def test_batch_of_numbers_is_read_in_order(digits: DigitsClient) -> None:
    first, bad, last = digits.read_batch(iter([picture_of(DIGITS[4]), b"hello", picture_of(DIGITS[2])]))
    assert isinstance(bad, ProblemError)
    assert (bad.status, bad.type) == (415, "unsupported-picture")
    assert [each["text"] for each in (first, last) if not isinstance(each, ProblemError)] == ["4", "2"]


def test_missing_number_model_is_an_error_at_once() -> None:
    body = b'{"type": "no-number-model", "detail": "None."}'
    with scripted((501, {}, body)) as (url, _), pytest.raises(ProblemError) as caught:
        DigitsClient(url, sleep=lambda _: pytest.fail("it waited")).read_picture(b"")
    assert (caught.value.status, caught.value.type) == (501, "no-number-model")


def test_problem_has_the_fields_of_the_response(digits: DigitsClient) -> None:
    with pytest.raises(ProblemError) as caught:
        digits.predict_strokes([[[1, 2, 3]]])
    problem = caught.value
    assert (problem.status, problem.type) == (422, "invalid-strokes")
    assert problem.errors[0]["pointer"] == "/strokes/0/0"
    assert problem.request_id
    assert str(problem) == problem.detail


def test_model_and_readiness(digits: DigitsClient) -> None:
    assert digits.model()["id"] == digits.predict_strokes(DIGITS[1])["model"]
    assert digits.is_ready()
    assert not DigitsClient("http://127.0.0.1:9", timeout=5).is_ready()


def test_unreachable_server_is_named() -> None:
    with pytest.raises(ConnectionFailed, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        DigitsClient("http://127.0.0.1:9", timeout=5).model()


@pytest.mark.parametrize("url", ["127.0.0.1:5000", "file:///etc/passwd", ""])
def test_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL of a server"):
        DigitsClient(url)


# ---- the command line, with --url ----


def test_command_line_uses_the_server(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for digit in (2, 7):
        (tmp_path / f"{digit}.png").write_bytes(picture_of(DIGITS[digit]))
    (tmp_path / "bad.png").write_bytes(b"hello")
    status = predict.main([str(tmp_path), "--url", server.url, "--format", "jsonl", "--frame"])
    output = capsys.readouterr()
    assert status == 1
    assert [json.loads(line)["digit"] for line in output.out.splitlines()] == [2, 7]
    assert "bad.png: The file is not a picture" in output.err
    assert (tmp_path / "2.png.frame.png").read_bytes().startswith(b"\x89PNG")


def test_batch_through_a_server_is_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "7.png").write_bytes(picture_of(DIGITS[7]))
    output = tmp_path / "r.jsonl"
    assert predict.main([str(tmp_path / "7.png"), "--url", server.url, "--output", str(output)]) == 0
    assert json.loads(output.read_text())["digit"] == 7


def test_command_line_reads_numbers_through_the_server(
    server: Server, digits: DigitsClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans, output = tmp_path / "scans", tmp_path / "r.jsonl"
    scans.mkdir()
    for digit in DIGITS:
        (scans / f"{digit}.png").write_bytes(picture_of(DIGITS[digit]))
    (scans / "bad.png").write_bytes(b"hello")
    arguments = ["--numbers", str(scans), "--url", server.url]
    assert predict.main([*arguments, "--format", "jsonl"]) == 1
    printed = capsys.readouterr()
    assert [json.loads(line)["text"] for line in printed.out.splitlines()] == list("0123456789")
    assert "bad.png: The file is not a picture" in printed.err
    assert predict.main([*arguments, "--output", str(output)]) == 1
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["text"] for row in rows if "error" not in row] == list("0123456789")
    assert {row["model"] for row in rows} == {digits.model()["number_model"]}


def test_command_line_reports_a_server_without_a_number_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "7.png").write_bytes(picture_of(DIGITS[7]))
    problem = b'{"type": "no-number-model", "detail": "It reads no numbers."}'
    with scripted((501, {}, problem), CARD) as (url, _):
        assert predict.main(["--numbers", str(tmp_path), "--url", url]) == 2
        assert "It reads no numbers." in capsys.readouterr().err
        assert predict.main(["--numbers", str(tmp_path), "--url", url, "--output", str(tmp_path / "r.csv")]) == 2
        assert "no model for whole numbers" in capsys.readouterr().err


def test_command_line_reports_an_unreachable_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "7.png").write_bytes(picture_of(DIGITS[7]))
    assert predict.main([str(tmp_path), "--url", "http://127.0.0.1:9"]) == 2
    assert "cannot be reached" in capsys.readouterr().err


# ---- retries and redirects ----


@contextmanager
def scripted(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[str | None]]]:
    """A server that gives `answers`, one per request; its address, and the Authorization of each request."""
    waiting, seen = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            status, headers, body = waiting.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


CARD: tuple[int, dict[str, str], bytes] = (200, {}, b'{"id": "abc"}')


def busy(retry_after: str | None = None, status: int = 503) -> tuple[int, dict[str, str], bytes]:
    return (
        status,
        {} if retry_after is None else {"Retry-After": retry_after},
        b'{"type": "not-ready", "detail": "Wait."}',
    )


def test_request_is_sent_again_after_retry_after() -> None:
    waits: list[float] = []
    with scripted(busy("2"), busy("7", 429), busy(), CARD) as (url, _):
        assert DigitsClient(url, sleep=waits.append).model()["id"] == "abc"
    assert waits == [2, 7, 1]


def test_date_in_retry_after_is_understood() -> None:
    waits: list[float] = []
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    with scripted(busy(until), CARD) as (url, _):
        DigitsClient(url, sleep=waits.append).model()
    assert 0 < waits[0] <= 20


@pytest.mark.parametrize(
    "value", ["soon", "1 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 +9999999999"]
)
def test_invalid_retry_after_is_ignored(value: str) -> None:
    waits: list[float] = []
    with scripted(busy(value), CARD) as (url, _):
        DigitsClient(url, sleep=waits.append).model()
    assert waits == [1]


def test_date_without_a_time_zone_in_retry_after_is_understood() -> None:
    waits: list[float] = []
    with scripted(busy("Mon, 01 Jan 2024 00:00:00 -0000"), CARD) as (url, _):
        DigitsClient(url, sleep=waits.append).model()
    assert waits == [0]


def test_retries_are_limited() -> None:
    with scripted(*[busy("0")] * 3) as (url, _), pytest.raises(ProblemError) as caught:
        DigitsClient(url, retries=2, sleep=lambda _: None).model()
    assert (caught.value.status, caught.value.type) == (503, "not-ready")


def test_long_retry_after_is_an_error() -> None:
    with scripted(busy("3600")) as (url, _), pytest.raises(ProblemError):
        DigitsClient(url, sleep=lambda _: pytest.fail("it waited")).model()


def test_key_is_sent() -> None:
    with scripted(CARD) as (url, seen):
        DigitsClient(url, api_key="k-1").model()
    assert seen == ["Bearer k-1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with scripted(CARD) as (other, requests), scripted(*[(status, {"Location": other}, b"")] * 2) as (url, _):
        client = DigitsClient(url, api_key="k-1")
        for call in (client.model, lambda: client.predict_picture(b"")):
            with pytest.raises(ConnectionFailed, match="redirects to"):
                call()
    assert requests == []


def test_command_line_follows_no_redirect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITS_API_KEY", "k-1")
    (tmp_path / "7.png").write_bytes(picture_of(DIGITS[7]))
    with scripted(CARD) as (other, requests), scripted((302, {"Location": other}, b"")) as (url, _):
        assert predict.main([str(tmp_path), "--url", url]) == 2
    assert requests == []
    assert "redirects to" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [(200, {}, b"<html>"), (500, {}, b"<html>"), (404, {}, b"[]")])
def test_response_of_another_kind_of_server_is_an_error(answer: tuple[int, dict[str, str], bytes]) -> None:
    with scripted(answer) as (url, _), pytest.raises((ConnectionFailed, ProblemError)):
        DigitsClient(url).model()
