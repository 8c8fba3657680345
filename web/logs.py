"""What is written down of requests and faults: JSON lines in production, plain lines at a developer's desk.

A line never holds a picture, a drawing, a file name or a query; the client's address only where the settings ask for
it. Whatever a client made up is escaped and cut, so that it can neither forge a line nor fill the disk.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from logging import LogRecord
from typing import Any

from flask import g, has_request_context

from config import Environment, Settings

_MESSAGE_LENGTH = 2000  # characters
FIELDS = "fields"  # attribute of a log record that holds more than its message


def printable(text: str, length: int) -> str:
    """`text` on one line, what is no printable character escaped, at most `length` characters of it."""
    cut = text[:length] + "..." if len(text) > length else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in cut)


def configuration(settings: Settings) -> dict[str, Any]:
    """How everything in the process logs, for `logging.config.dictConfig` and gunicorn's `logconfig_dict`."""
    formatter = JsonFormatter if settings.env == Environment.PROD else PlainFormatter
    handlers = {"handlers": ["console"], "level": settings.log_level.upper()}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter}},
        "filters": {"stalls": {"()": WithoutStalls}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": handlers,
        "loggers": {
            "gunicorn.error": {**handlers, "filters": ["stalls"], "propagate": False},
            # Each request has its line already, from `init_app`.
            "gunicorn.access": {"handlers": [], "propagate": False},
        },
    }


class WithoutStalls(logging.Filter):
    """Drops gunicorn's word, and its trace, on a client that stopped in the middle: anybody could fill the log so."""

    def filter(self, record: LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


class JsonFormatter(logging.Formatter):
    """One JSON object on one line."""

    def format(self, record: LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage(), _MESSAGE_LENGTH),
            "process": record.process,
            **_request_id(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainFormatter(logging.Formatter):
    """A line for people, with a trace below it where there is one."""

    def format(self, record: LogRecord) -> str:
        moment = self.formatTime(record, "%H:%M:%S")
        more = " ".join(str(value) for value in _request_id().values())
        took = f" {fields['ms']} ms" if (fields := getattr(record, FIELDS, {})) else ""
        message = printable(record.getMessage(), _MESSAGE_LENGTH)
        line = f"{moment} {record.levelname:<7} {message}{took} {more}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _request_id() -> dict[str, str]:
    return {"request_id": g.request_id} if has_request_context() and "request_id" in g else {}
