"""Request bodies that are malformed or cut short, as gunicorn reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest


class MalformedBody(BadRequest):
    """The body is not framed as HTTP requires, or the client stopped sending it."""

    description = "The request body is malformed or incomplete."


class CheckedBody:
    """`wsgi.input` of a gunicorn request; raises `MalformedBody` and closes the connection where gunicorn raises."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._body = request.body

    @property
    def failed(self) -> bool:
        """Whether it is unknown where the next request on this connection starts."""
        return bool(self._body.failed)

    def read(self, size: int | None = None) -> bytes:
        return self._check(self._body.read, size)

    def readline(self, size: int | None = None) -> bytes:
        return self._check(self._body.readline, size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _check(self, read: Callable[[int | None], bytes], size: int | None) -> bytes:
        try:
            return read(size)
        except (ParseException, OSError) as error:
            self._request.force_close()
            raise MalformedBody from error
