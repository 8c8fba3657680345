"""The language of a response: chosen by link and stored in a cookie, by default the browser's.

The English sentences are the keys of the catalogue in `translations/`; `make translations` updates it.
"""

from __future__ import annotations

import gettext as catalogues
from collections.abc import Mapping

from flask import Flask, Response, g, has_request_context, request

from config import ROOT

# Native name of each language. The first is the default.
LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
_DEFAULT = next(iter(LANGUAGES))
_CATALOGUES = {
    code: catalogues.translation("messages", ROOT / "translations", [code], fallback=code == _DEFAULT)
    for code in LANGUAGES
}
# Separators of a number, from English to each language, and its sign of a percentage.
_SEPARATORS = {"en": {}, "de": str.maketrans(",.", ".,")}
_PERCENT = {"en": "%", "de": "\u00a0%"}
_PARAMETER = _COOKIE = "lang"
# Browsers accept a cookie with this prefix from the same host only, over TLS: subdomains cannot set it.
# RFC 6265bis, 4.1.3.2.
_SECURE_COOKIE = f"__Host-{_COOKIE}"
_YEAR = 365 * 24 * 3600  # seconds
# Other content types contain no sentences.
_TRANSLATED_TYPES = frozenset({"text/html", "application/manifest+json", "application/problem+json"})


def init_app(app: Flask) -> None:
    """Translate the templates and sentences of `app`."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.context_processor(_template_variables)
    app.after_request(_set_headers)
    app.add_template_filter(decimal)
    app.add_template_filter(share)


def gettext(sentence: str, **values: object) -> str:
    """`sentence` in the request's language, with `%(name)s` replaced by the values."""
    text = _CATALOGUES[current_language()].gettext(sentence)
    return text % values if values else text


def _ngettext(singular: str, plural: str, n: int) -> str:
    return _CATALOGUES[current_language()].ngettext(singular, plural, n)


def decimal(value: float | str, places: int | None = None) -> str:
    """A number in the format of the request's language, with up to six decimals, or exactly `places`."""
    text = f"{float(value):,.{6 if places is None else places}f}"
    shortest = text.rstrip("0").rstrip(".") if places is None else text
    return shortest.translate(_SEPARATORS[current_language()])


def share(value: float | str, places: int = 2) -> str:
    """A share, 0 to 1, as a percentage in the format of the request's language."""
    return decimal(100 * float(value), places) + _PERCENT[current_language()]


def current_language() -> str:
    """Code of the request's language; outside a request the default."""
    if not has_request_context():
        return _DEFAULT
    if "language" not in g:
        g.language = _select_language()
    language: str = g.language
    return language


def _select_language() -> str:
    choices = (request.args.get(_PARAMETER), request.cookies.get(_cookie_name()))
    chosen = next((code for code in choices if code in LANGUAGES), None)
    # Not best_match(): it prefers a language given without a country even at a lower quality.
    accepted = [tag for tag, quality in request.accept_languages if quality > 0]
    return chosen or next((code for tag in accepted if (code := tag.partition("-")[0].lower()) in LANGUAGES), _DEFAULT)


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
