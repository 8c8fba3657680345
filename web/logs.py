"""Logging of requests and errors: JSON lines in production, plain lines in development.

Lines never contain pictures, drawings, file names or queries, and client addresses only if enabled in the settings.
Text from clients is escaped and truncated, so that it cannot forge lines or fill the disk. Lines go through a queue, so
that a stalled reader of standard error does not block the service.
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from datetime import UTC, datetime
from logging import LogRecord
from queue import SimpleQueue
from typing import Any

from flask import g, has_request_context

from config import Environment, Settings
from escaping import escape_unprintable

_log = logging.getLogger("digits.logs")
_STANDARD_ERROR = 2
_MESSAGE_LENGTH = 2000  # characters
FIELDS = "fields"  # attribute of a log record with additional fields


def shorten(text: str, length: int) -> str:
    """The first `length` characters of `text`, escaped, on one line."""
    return escape_unprintable(text[:length]) + ("..." if len(text) > length else "")


def configuration(settings: Settings) -> dict[str, Any]:
    """The configuration for `logging.config.dictConfig` and gunicorn's `logconfig_dict`."""
    formatter = JsonFormatter if settings.env == Environment.PROD else PlainFormatter
    handlers = {"handlers": ["console"], "level": settings.log_level.upper()}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter}},
        "filters": {"client_timeouts": {"()": ClientTimeoutFilter}},
        "handlers": {"console": {"()": NonBlockingHandler, "formatter": "lines"}},
        "root": handlers,
        "loggers": {
            "gunicorn.error": {**handlers, "filters": ["client_timeouts"], "propagate": False},
            # web/request_log.py logs each request.
            "gunicorn.access": {"handlers": [], "propagate": False},
        },
    }


def start_queue() -> None:
    """Start the thread that writes log lines. Called in each worker, because threads do not survive a fork."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, NonBlockingHandler):
            handler.start()


class NonBlockingHandler(logging.Handler):
    """Writes lines to a file descriptor, and drops them instead of blocking when the reader stalls.

    Once started, a thread writes, with up to `capacity` lines in its queue. Before that, as in gunicorn's master, which
    must not have threads when it forks, a line is written only if that does not block.
    """

    def __init__(self, descriptor: int = _STANDARD_ERROR, capacity: int = 4096) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._capacity = capacity
        self._writer: _Writer | None = None

    def start(self) -> None:
        """Start the thread that writes, in this process."""
        self._writer = _Writer(self._descriptor)

    def emit(self, record: LogRecord) -> None:
        """Format the record in this thread, which has the request context."""
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        if self._writer is None:
            _write(self._descriptor, line, may_wait=False)
        else:
            self._writer.put(line, self._capacity)

    def close(self) -> None:
        """Wait up to half a second for the queued lines to be written."""
        if self._writer is not None:
            self._writer.stop(timeout=0.5)
            self._writer = None
        super().close()


class _Writer:
    """A queue of lines and the thread that writes them."""

    def __init__(self, descriptor: int) -> None:
        # Unlike Queue's, its put() is reentrant: a signal handler may also log.
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._dropped = 0
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def put(self, line: str, capacity: int) -> None:
        """Queue `line`, or drop it if `capacity` lines are waiting."""
        if self._lines.qsize() < capacity:
            self._lines.put(line)
        else:
            self._dropped += 1
            _count_dropped()

    def stop(self, timeout: float) -> None:
        """Write what is queued, for at most `timeout` seconds."""
        self._lines.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        reported = 0
        while (line := self._lines.get()) is not None:
            _write(self._descriptor, line, may_wait=True)
            dropped = self._dropped
            if dropped > reported and self._lines.empty():
                _log.warning("%d log lines were dropped: their reader was too slow", dropped - reported)
                reported = dropped


def _write(descriptor: int, line: str, *, may_wait: bool) -> None:
    data = memoryview(line.encode("utf-8", "backslashreplace"))
    try:
        while data:
            # A writable pipe takes this much without blocking.
            if not may_wait and not select.select([], [descriptor], [], 0)[1]:
                raise BlockingIOError
            data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]
    except OSError:  # the reader has stalled or exited
        _count_dropped()


def _count_dropped() -> None:
    # prometheus_client reads environment variables that gunicorn sets after importing this module.
    from web import metrics

    metrics.count_dropped_log_line()


class ClientTimeoutFilter(logging.Filter):
    """Drops gunicorn's tracebacks for clients that stop sending, which could fill the log."""

    def filter(self, record: LogRecord) -> bool:
        """False for a record to be dropped."""
        return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


class JsonFormatter(logging.Formatter):
    """One JSON object on one line."""

    def format(self, record: LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shorten(record.getMessage(), _MESSAGE_LENGTH),
            "process": record.process,
            **_request_id(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainFormatter(logging.Formatter):
    """One readable line, followed by the traceback of an exception."""

    def format(self, record: LogRecord) -> str:
        time = self.formatTime(record, "%H:%M:%S")
        request_id = _request_id().get("request_id", "")
        elapsed = f" {fields['ms']} ms" if (fields := getattr(record, FIELDS, {})) else ""
        message = shorten(record.getMessage(), _MESSAGE_LENGTH)
        line = f"{time} {record.levelname:<7} {message}{elapsed} {request_id}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _request_id() -> dict[str, str]:
    return {"request_id": g.request_id} if has_request_context() and "request_id" in g else {}
