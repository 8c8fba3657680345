"""The API's pages, in Chromium: they work, and send no requests to other hosts (`open_page` checks that)."""

from testing.page import OpenPage


def test_docs_list_the_routes_and_try_one(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(page.url + "docs")
    page.locator("#operations-recognition-predict .opblock-summary-control").click()
    page.locator("#operations-recognition-predict button.execute").click()
    answer = page.locator("#operations-recognition-predict .live-responses-table")
    answer.locator(".response-col_status", has_text="200").first.wait_for()
    assert '"digit": 1' in answer.inner_text()
    assert page.locator(".opblock").count() == 9
