"""Late, wrong or missing responses: the ink stays, and the page says what happened and recovers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from testing.handwriting import DIGITS, EUROPEAN_7
from testing.pad import draw, has_ink, wait_until
from testing.page import OpenPage, expect_answer, expect_nothing_drawn
from testing.pictures import picture_of
from testing.servers import Server, start_gunicorn
from testing.waiting import eventually

pytestmark = pytest.mark.browser

PREDICT = "**/api/v1/read*"


class HeldRequests:
    """Holds the page's requests for predictions until the test continues them."""

    def __init__(self, page: Page) -> None:
        self.held: list[Route] = []
        self._page = page
        self._is_released = False
        page.route(PREDICT, self._handle)

    def _handle(self, route: Route) -> None:
        if self._is_released:
            route.continue_()
        else:
            self.held.append(route)

    def next(self) -> Route:
        """Wait for the next request."""

        def has_arrived() -> bool:
            self._page.wait_for_timeout(10)  # handlers run only while Playwright is waiting
            return bool(self.held)

        eventually(has_arrived)
        return self.held.pop()

    def release(self) -> None:
        """Continue all requests, those to come included."""
        self._is_released = True
        for route in self.held:
            route.continue_()
        self.held.clear()


def expect_words(page: Page, words: str) -> None:
    expect(page.locator("[data-slot=words]")).to_have_text(words, timeout=20_000)


def stop_the_clock(page: Page) -> None:
    """Let time pass only as the test says."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)


def n_points(route: Route) -> int:
    return sum(map(len, json.loads(route.request.post_data or "")["strokes"]))


def test_only_one_request_is_pending_and_the_newest_drawing_comes_next(open_page: OpenPage) -> None:
    page = open_page()
    requests = HeldRequests(page)
    draw(page, DIGITS[5])
    assert has_ink(page, *DIGITS[5][0][20])  # without a response
    assert len(requests.held) == 1
    first = requests.next()
    assert n_points(first) < 5
    first.continue_()
    second = requests.next()
    assert n_points(second) == len(DIGITS[5][0])
    second.continue_()
    expect_answer(page, 5)


def test_response_to_a_cleared_drawing_is_not_shown(open_page: OpenPage) -> None:
    page = open_page()
    requests = HeldRequests(page)
    draw(page, DIGITS[5])
    page.get_by_role("button", name="Clear").click()
    requests.release()
    draw(page, DIGITS[1])
    expect_answer(page, 1)
    page.get_by_role("button", name="Clear").click()
    expect_nothing_drawn(page)


def test_response_to_a_cancelled_request_is_not_shown(open_page: OpenPage) -> None:
    page = open_page()
    # A browser whose requests cannot be aborted: the sequence number must do.
    page.evaluate(
        """() => {
            const fetched = window.fetch;
            window.fetch = async (url, { signal, ...options }) => {
                const response = await fetched(url, options);
                await new Promise((resolve) => { window.arrive = resolve; });
                return response;
            };
        }"""
    )
    draw(page, EUROPEAN_7[:1])
    wait_until(page, "Boolean(window.arrive)")
    page.get_by_role("button", name="Clear").click()
    page.evaluate("async () => { window.arrive(); await new Promise((done) => setTimeout(done)); }")
    expect_nothing_drawn(page)


class TestRestart:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        """A server that the test may stop."""
        with start_gunicorn(tmp_path / "log", workers=1) as server:
            yield server

    def test_page_recovers_without_a_reload(self, open_page: OpenPage, server: Server, tmp_path: Path) -> None:
        page = open_page(errors="Failed to load resource")
        server.stop()
        draw(page, DIGITS[6])
        expect_words(page, "The server cannot be reached")
        expect(page.locator("[data-slot=note]")).to_contain_text("Nothing is lost")
        assert has_ink(page, *DIGITS[6][0][10])
        with start_gunicorn(tmp_path / "second.log", workers=1, port=server.address[1]):
            expect_answer(page, 6)


def test_timeout_is_explained_and_retried(open_page: OpenPage) -> None:
    page = open_page()
    page.clock.install()
    requests = HeldRequests(page)
    draw(page, DIGITS[6])
    page.clock.run_for(10_000)
    expect_words(page, "The server is slow to respond")
    requests.held.clear()
    requests.release()
    page.clock.run_for(5_000)
    expect_answer(page, 6)


def test_request_to_a_busy_server_is_retried(open_page: OpenPage) -> None:
    page = open_page(errors="503")
    page.clock.install()
    page.route(PREDICT, lambda route: route.fulfill(status=503, headers={"Retry-After": "2"}, body=""))
    draw(page, DIGITS[6])
    expect_words(page, "The server is busy")
    page.unroute(PREDICT)
    page.clock.run_for(2_000)
    expect_answer(page, 6)


def test_retry_after_is_respected(open_page: OpenPage) -> None:
    page = open_page(errors="429")
    stop_the_clock(page)
    page.route(PREDICT, lambda route: route.fulfill(status=429, headers={"Retry-After": "7"}, body=""))
    draw(page, DIGITS[6])
    expect_words(page, "Too many requests")
    expect(page.locator("[data-slot=note]")).to_contain_text("in 7 s")
    page.unroute(PREDICT)
    page.clock.run_for(6_900)
    expect_words(page, "Too many requests")
    page.clock.run_for(100)
    expect_answer(page, 6)


def test_size_limit_of_a_proxy_is_explained(open_page: OpenPage) -> None:
    page = open_page(errors="413")
    page.route(PREDICT, lambda route: route.fulfill(status=413, body="<h1>413 Request Entity Too Large</h1>"))
    draw(page, DIGITS[6])
    expect_words(page, "Too large")
    assert has_ink(page, *DIGITS[6][0][10])


def test_slow_response_is_shown_when_it_arrives(open_page: OpenPage) -> None:
    page = open_page()
    stop_the_clock(page)
    requests = HeldRequests(page)
    draw(page, DIGITS[6])
    page.clock.run_for(3_000)
    expect_words(page, "The server is slow to respond")
    requests.release()
    expect_answer(page, 6)


def test_page_shows_no_exception_messages(open_page: OpenPage) -> None:
    page = open_page(errors="Failed to load resource")
    page.route(PREDICT, lambda route: route.fulfill(status=200, body="<html>Log in to this network</html>"))
    draw(page, DIGITS[6])
    expect_words(page, "The server cannot be reached")
    expect(page.locator("body")).not_to_contain_text("SyntaxError")


def test_internal_server_error_is_explained(open_page: OpenPage) -> None:
    page = open_page(errors="500")
    page.route(PREDICT, lambda route: route.fulfill(status=500, body="<h1>Internal Server Error</h1>"))
    draw(page, DIGITS[6])
    expect_words(page, "The server had a problem")
    page.unroute(PREDICT)
    page.get_by_role("button", name="Predict").click()
    expect_answer(page, 6)


def test_problem_details_of_the_server_are_shown(open_page: OpenPage) -> None:
    page = open_page(errors="422")
    problem = {"type": "invalid-strokes", "title": "Not a drawing", "detail": "Too many <b>points</b>."}
    page.route(
        PREDICT,
        lambda route: route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(problem)),
    )
    draw(page, DIGITS[6])
    expect_words(page, "Not a drawing")
    expect(page.locator("[data-slot=note]")).to_have_text("Too many <b>points</b>.")


def test_file_that_is_gone_is_not_asked_for_again_and_again(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(errors="ERR_")
    path = tmp_path / "digit.png"
    path.write_bytes(picture_of(DIGITS[4]))
    page.get_by_label("Upload pictures").set_input_files(path)
    expect_answer(page, 4)
    page.get_by_label("Live").uncheck()
    path.unlink()
    page.get_by_role("button", name="Predict").click()
    expect_words(page, "This file cannot be read")


def answer(digit: int, confidence: float, is_digit: bool = True) -> dict[str, object]:
    second = {"digit": (digit + 1) % 10, "confidence": 1 - confidence}
    probabilities = [0.0] * 10
    probabilities[digit], probabilities[(digit + 1) % 10] = confidence, 1 - confidence
    return {
        "digit": digit,
        "confidence": confidence,
        "is_digit": is_digit,
        "digit_score": 1.0,
        "top": [{"digit": digit, "confidence": confidence}, second, {"digit": (digit + 2) % 10, "confidence": 0.0}],
        "probabilities": probabilities,
        "model": "0" * 12,
        "elapsed_ms": 1.0,
        "frame": "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
    }


def number(text: str, confidence: float) -> dict[str, object]:
    digits = [answer(int(digit), 0.97) | {"box": [0, 0, 1, 1], "line": 0} for digit in text]
    other = {"text": "41", "confidence": 1 - confidence}
    return {"text": text, "confidence": confidence, "alternatives": [other], "digits": digits, "elapsed_ms": 1.0}


@pytest.mark.parametrize(
    ("given", "numeral", "words"),
    [
        (answer(7, 0.97), "7", "This is a 7"),
        (answer(8, 0.97), "8", "This is an 8"),
        (answer(7, 0.6), "7", "Probably 7, possibly 8"),
        (answer(7, 0.97, is_digit=False), "?", "I'm not sure this is a digit"),
        (number("42", 0.97), "42", "This is 42"),
        (number("42", 0.6), "42", "Probably 42"),
        (number("42", 0.4), "42", "Perhaps 42"),
        (number("42", 0.97) | {"truncated": True}, "42…", "This is 42…"),
    ],
)
def test_wording_depends_on_the_confidence(
    open_page: OpenPage, given: dict[str, object], numeral: str, words: str
) -> None:
    page = open_page()
    page.route(PREDICT, lambda route: route.fulfill(json=given))
    draw(page, DIGITS[1])
    expect_words(page, words)
    expect(page.locator("[data-slot=numeral]")).to_have_text(numeral)
