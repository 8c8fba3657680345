"""The language that a page speaks: chosen by a link, which a cookie remembers, or else by the visitor's browser.

The sentences in English are the keys of the catalogue in `translations/`; `make translations` renews it.
"""

from __future__ import annotations

from collections.abc import Mapping

from babel import Locale, negotiate_locale
from babel.numbers import format_decimal, format_percent
from flask import Flask, Response, request
from flask_babel import Babel, get_locale

# Each by its own name, as a link to it says it. The first is spoken to those who ask for none of them.
LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
_DEFAULT = next(iter(LANGUAGES))
_PARAMETER = _COOKIE = "lang"
_YEAR = 365 * 24 * 3600  # seconds
# Only what is made of words depends on the language.
_WORDED = frozenset({"text/html", "application/problem+json"})


def init_app(app: Flask) -> None:
    """Let the templates and sentences of `app` speak each visitor's language."""
    Babel(app, default_locale=_DEFAULT, locale_selector=_choose)
    app.context_processor(_page_facts)
    app.after_request(_tell)
    app.add_template_filter(decimal)
    app.add_template_filter(share)


def decimal(value: float | str, places: int | None = None) -> str:
    """A number as the language of this request writes it, with as many decimals as it has, or as are asked for."""
    pattern = "#,##0.######" if places is None else f"#,##0.{'0' * places}"
    return format_decimal(float(value), pattern, locale=current_language())


def share(value: float | str, places: int = 2) -> str:
    """A share, 0 to 1, in percent, as it is written in the language of this request."""
    locale = Locale.parse(current_language())
    pattern = locale.percent_formats[None].pattern  # "#,##0%", in German with a space before the %
    return format_percent(float(value), pattern.replace("0", f"0.{'0' * places}"), locale=locale)


def current_language() -> str:
    """Code of the language that this request is answered in; outside a request the default one."""
    locale = get_locale()
    return locale.language if locale else _DEFAULT


def _choose() -> str:
    wishes = (request.args.get(_PARAMETER), request.cookies.get(_COOKIE))
    chosen = next((wish for wish in wishes if wish in LANGUAGES), None)
    # Not best_match(): that prefers a language named without its country, however little it is wished for.
    accepted = [tag for tag, quality in request.accept_languages if quality > 0]
    return chosen or negotiate_locale(accepted, list(LANGUAGES), sep="-") or _DEFAULT


def _page_facts() -> dict[str, object]:
    return {"language": current_language(), "languages": LANGUAGES}


def _tell(response: Response) -> Response:
    """Say in which language the answer is, and what that depends on; remember what a link chose."""
    if response.mimetype in _WORDED:
        response.headers["Content-Language"] = current_language()
        response.vary.update(["Accept-Language", "Cookie"])
    if request.args.get(_PARAMETER) in LANGUAGES and response.mimetype == "text/html":
        response.set_cookie(
            _COOKIE, current_language(), max_age=_YEAR, secure=request.is_secure, httponly=True, samesite="Lax"
        )
    return response
