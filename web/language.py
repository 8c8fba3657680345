"""The language of a response: chosen by link and stored in a cookie, by default the browser's.

The English sentences are the keys of the catalogue in `translations/`; `make translations` updates it.
"""

from __future__ import annotations

from collections.abc import Mapping

from babel import Locale, negotiate_locale
from babel.numbers import format_decimal, format_percent
from flask import Flask, Response, request
from flask_babel import Babel, get_locale

# Native name of each language. The first is the default.
LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
_DEFAULT = next(iter(LANGUAGES))
_PARAMETER = _COOKIE = "lang"
# Browsers accept a cookie with this prefix from the same host only, over TLS: subdomains cannot set it.
# RFC 6265bis, 4.1.3.2.
_SECURE_COOKIE = f"__Host-{_COOKIE}"
_YEAR = 365 * 24 * 3600  # seconds
# Other content types contain no sentences.
_TRANSLATED_TYPES = frozenset({"text/html", "application/problem+json"})


def init_app(app: Flask) -> None:
    """Translate the templates and sentences of `app`."""
    Babel(app, default_locale=_DEFAULT, locale_selector=_select_language)
    app.context_processor(_template_variables)
    app.after_request(_set_headers)
    app.add_template_filter(decimal)
    app.add_template_filter(share)


def decimal(value: float | str, places: int | None = None) -> str:
    """A number in the format of the request's language, with up to six decimals, or exactly `places`."""
    pattern = "#,##0.######" if places is None else f"#,##0.{'0' * places}"
    return format_decimal(float(value), pattern, locale=current_language())


def share(value: float | str, places: int = 2) -> str:
    """A share, 0 to 1, as a percentage in the format of the request's language."""
    locale = Locale.parse(current_language())
    pattern = locale.percent_formats[None].pattern  # "#,##0%", in German with a space before the %
    return format_percent(float(value), pattern.replace("0", f"0.{'0' * places}"), locale=locale)


def current_language() -> str:
    """Code of the request's language; outside a request the default."""
    locale = get_locale()
    return locale.language if locale else _DEFAULT


def _select_language() -> str:
    choices = (request.args.get(_PARAMETER), request.cookies.get(_cookie_name()))
    chosen = next((code for code in choices if code in LANGUAGES), None)
    # Not best_match(): it prefers a language given without a country even at a lower quality.
    accepted = [tag for tag, quality in request.accept_languages if quality > 0]
    return chosen or negotiate_locale(accepted, list(LANGUAGES), sep="-") or _DEFAULT


def _cookie_name() -> str:
    return _SECURE_COOKIE if request.is_secure else _COOKIE


def _template_variables() -> dict[str, object]:
    return {"language": current_language(), "languages": LANGUAGES}


def _set_headers(response: Response) -> Response:
    """Set Content-Language and Vary; store a language chosen by link in a cookie."""
    if response.mimetype in _TRANSLATED_TYPES:
        response.headers["Content-Language"] = current_language()
        response.vary.update(["Accept-Language", "Cookie"])
    if request.args.get(_PARAMETER) in LANGUAGES and response.mimetype == "text/html":
        response.set_cookie(
            _cookie_name(), current_language(), max_age=_YEAR, secure=request.is_secure, httponly=True, samesite="Lax"
        )
    return response
