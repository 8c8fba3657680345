"""Translations are complete; the language is chosen per request and does not leak into the next one."""

import io
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask.testing import FlaskClient

from testing.answers import GERMAN, assert_problem
from testing.handwriting import DIGITS
from testing.pictures import multipart, picture_of
from web.language import LANGUAGES
from web.pages import percent

ROOT = Path(__file__).parents[2]
TRANSLATED = [code for code in LANGUAGES if code != "en"]
VALUE = re.compile(r"\{\w+\}|%\(\w+\)\w")


def catalogue(code: str) -> Catalog:
    with (ROOT / "translations" / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=code)


def sentences(code: str) -> list[Any]:
    """The catalogue's messages; `id` and `string` of each are text."""
    found = [message for message in catalogue(code) if message.id]
    assert all(isinstance(message.id, str) for message in found), "plural forms are not supported"
    return found


def sentences_in_the_code() -> Iterator[str]:
    """As `make translations` collects them."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["babel"]["mappings"]
    patterns = [
        (pattern, mapping["method"])
        for mapping in mappings
        for pattern in ([mapping["pattern"]] if isinstance(mapping["pattern"], str) else mapping["pattern"])
    ]
    options = {pattern: {"encoding": "utf-8"} for pattern, _ in patterns}
    for _, _, sentence, _, _ in extract_from_dir(ROOT, patterns, options):
        assert isinstance(sentence, str), "no sentence has a plural so far"
        yield sentence


@pytest.mark.parametrize("code", TRANSLATED)
def test_catalogue_matches_the_sentences_in_the_code(code: str) -> None:
    assert {message.id for message in sentences(code)} == set(sentences_in_the_code()), "run make translations"


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_sentence_is_translated_with_its_placeholders(code: str) -> None:
    for message in sentences(code):
        assert message.string, message.id
        assert not message.fuzzy, message.id
        assert not list(message.check()), message.id
        assert sorted(VALUE.findall(message.id)) == sorted(VALUE.findall(message.string)), message.id
        # Templates take both as markup.
        assert not set("<>&") & set(message.id + message.string), message.id


@pytest.mark.parametrize("code", TRANSLATED)
def test_compiled_catalogue_is_up_to_date(code: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(code))
    path = ROOT / "translations" / code / "LC_MESSAGES" / "messages.mo"
    assert path.read_bytes() == compiled.getvalue(), "run make translations"


def test_language_follows_accept_language(client: FlaskClient) -> None:
    page = client.get("/", headers=GERMAN)
    assert '<html lang="de">' in page.text
    assert "Noch nichts gezeichnet" in page.text
    assert page.headers["Content-Language"] == "de"
    assert {"Accept-Language", "Cookie"} <= set(page.vary)
    assert "Set-Cookie" not in page.headers


@pytest.mark.parametrize("accepted", ["", "fr", "tlh, *;q=0.1", "en-GB, de;q=0.5", "de;q=0, fr", "\x00"])
def test_english_is_the_default(client: FlaskClient, accepted: str) -> None:
    page = client.get("/", headers={"Accept-Language": accepted})
    assert '<html lang="en">' in page.text
    assert "Nothing drawn yet" in page.text


def test_language_does_not_leak_into_the_next_request(client: FlaskClient) -> None:
    for code, sentence in [("en", "Nothing drawn yet"), ("de", "Noch nichts gezeichnet")] * 2:
        assert sentence in client.get("/", headers={"Accept-Language": code}).text


@pytest.mark.parametrize(("https", "cookie"), [(True, "__Host-lang=de"), (False, "lang=de")])
def test_language_chosen_by_link_is_remembered(client: FlaskClient, https: bool, cookie: str) -> None:
    base_url = "https://localhost" if https else "http://localhost"
    (link,) = re.findall(r'<a href="(\?lang=de)" hreflang="de" lang="de">Deutsch</a>', client.get("/").text)
    page = client.get("/" + link, base_url=base_url)
    assert '<html lang="de">' in page.text
    attributes = page.headers["Set-Cookie"].split("; ")
    assert attributes[0] == cookie
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert ("Secure" in attributes) == https
    assert not any(attribute.startswith("Domain") for attribute in attributes)
    assert '<html lang="de">' in client.get("/", base_url=base_url).text
    assert '<html lang="en">' in client.get("/?lang=en", base_url=base_url, headers=GERMAN).text
    assert '<html lang="en">' in client.get("/", base_url=base_url, headers=GERMAN).text


@pytest.mark.parametrize("wish", ["fr", "", "<b>", "../de", 2000 * "x", "de\r\nA: b"])
def test_unknown_language_is_neither_remembered_nor_repeated(client: FlaskClient, wish: str) -> None:
    page = client.get("/", query_string={"lang": wish})
    assert "Set-Cookie" not in page.headers
    assert len(wish) < 3 or wish not in page.text
    assert '<html lang="en">' in page.text
    client.set_cookie("lang", wish)
    assert '<html lang="de">' in client.get("/", headers=GERMAN).text


def test_plain_cookie_is_ignored_over_tls(client: FlaskClient) -> None:
    # Any subdomain could have set it.
    client.set_cookie("lang", "de")
    assert '<html lang="en">' in client.get("/", base_url="https://localhost").text
    assert '<html lang="de">' in client.get("/").text


def test_upload_result_is_translated(client: FlaskClient) -> None:
    page = client.post("/", **multipart(picture_of(DIGITS[4])), headers=GERMAN)
    assert "Das ist eine 4" in page.text
    assert re.search(r"\d,\d\xa0%", page.text)


def test_errors_are_translated(client: FlaskClient) -> None:
    page = client.get("/nothing", headers=GERMAN)
    assert (page.status_code, page.headers["Content-Language"]) == (404, "de")
    assert "Unter dieser Adresse gibt es nichts." in page.text
    problem = client.post("/api/v1/predict", json={"strokes": [[[1, 2]]] * 501}, headers=GERMAN)
    assert_problem(problem, 422, "invalid-strokes")
    assert problem.get_json()["title"] == "Keine Zeichnung"
    assert problem.get_json()["detail"] == "Eine Zeichnung hat höchstens 500 Striche; diese hat 501."
    assert problem.headers["Content-Language"] == "de"
    assert {"Accept-Language", "Cookie"} <= set(problem.vary)


def test_responses_without_sentences_do_not_depend_on_the_language(client: FlaskClient) -> None:
    for path in ("/api/v1/model", "/static/style.css"):
        answer = client.get(path + "?lang=de", headers=GERMAN, buffered=True)
        assert "Content-Language" not in answer.headers
        assert "Cookie" not in answer.vary
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("share", "text"), [(0, "<0,1\xa0%"), (0.0523, "5,2\xa0%"), (0.5, "50,0\xa0%"), (1, ">99,9\xa0%")]
)
def test_percentages_have_german_format(client: FlaskClient, share: float, text: str) -> None:
    with client.application.test_request_context(headers=GERMAN):
        assert percent(share) == text
