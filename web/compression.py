"""Answers as gzip, where the client takes it and it pays: text of some length."""

from __future__ import annotations

import gzip
from functools import lru_cache

from flask import Flask, Response, request

# Below this an answer fits into one packet as it is.
_WORTHWHILE_BYTES = 1400
_TEXT = frozenset({"application/json", "application/problem+json", "image/svg+xml"})
_LEVEL = 6


def init_app(app: Flask) -> None:
    """Compress the answers of `app`."""
    app.after_request(_compress)


def _compress(response: Response) -> Response:
    kind = response.mimetype or ""
    is_text = kind in _TEXT or kind.startswith("text/")
    if not is_text or "Content-Encoding" in response.headers:
        return response
    response.vary.add("Accept-Encoding")
    if response.status_code != 200 or request.accept_encodings.quality("gzip") <= 0:
        return response
    if (response.content_length or 0) < _WORTHWHILE_BYTES or request.method == "HEAD":
        return response
    response.direct_passthrough = False
    data = response.get_data()
    etag, _ = response.get_etag()
    # What has an ETag is the same until that changes: it is compressed once, and not for each visitor.
    response.set_data(_gzip_once(request.path, etag, data) if etag else _gzip(data))
    if etag:
        response.set_etag(etag, weak=True)  # the same content in other bytes
    response.headers["Content-Encoding"] = "gzip"
    response.headers.pop("Accept-Ranges", None)
    return response


@lru_cache(maxsize=32)
def _gzip_once(_path: str, _etag: str, data: bytes) -> bytes:
    return _gzip(data)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, _LEVEL, mtime=0)
