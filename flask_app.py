"""The web app: a page to draw or upload digits, and a JSON API.

    python flask_app.py                                      # for development, on http://127.0.0.1:5000
    gunicorn                                                 # in production; see gunicorn.conf.py

Exits with status 2 and one sentence on standard error if a setting, the checkpoint file or the port prevents startup.
"""

from __future__ import annotations

import argparse
import logging.config
import os
import socket
import sys
from collections.abc import Sequence

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from config import Settings, SettingsError
from model_file import CheckpointError
from web import access_control, inputs, language, logs, metrics, problems, rate_limits, request_log, security, state
from web.api import api
from web.docs import docs
from web.model_page import model_page
from web.pages import pages


def create_app(settings: Settings | None = None, *, load_model: bool = True) -> Flask:
    """Application factory. Raises `SettingsError`, and `CheckpointError` unless `load_model` is false."""
    settings = settings or Settings.load()
    app = Flask(__name__)
    app.request_class = inputs.Request
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.policies["json.dumps_kwargs"] = {"ensure_ascii": False}  # ü, not \u00fc
    app.extensions["settings"] = settings
    app.testing = settings.env == "test"
    app.logger.setLevel(settings.log_level.upper())
    # Flask calls after_request hooks in reverse order: those of the first two are last.
    request_log.init_app(app)
    metrics.init_app(app)
    language.init_app(app)
    problems.init_app(app)
    security.init_app(app, settings)
    access_control.init_app(app)
    rate_limits.init_app(app, settings)
    for blueprint in (pages, model_page, api, docs):
        app.register_blueprint(blueprint)
    if load_model:
        state.load_model(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the app until interrupted; exit status 2 if it cannot start."""
    argparse.ArgumentParser(
        description="Serve the page and the API, for development.",
        epilog="Settings come from the environment, DIGITS_HOST and DIGITS_PORT among them: see docs/settings.md.",
    ).parse_args(arguments)
    try:
        settings = Settings.load()
        logging.config.dictConfig(logs.configuration(settings))
        server = _listen(create_app(settings), settings)
    except (SettingsError, CheckpointError) as error:
        return _stop(str(error))
    except OSError as error:
        # Python adds the address in brackets.
        cause = str(error.strerror).partition(" (")[0]
        return _stop(f"cannot listen on {settings.host}:{settings.port}: {cause}")
    logs.start_queue()
    print(f"Digits on {_url(server)} (development server, stop it with Ctrl+C)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0


def _listen(app: Flask, settings: Settings) -> BaseWSGIServer:
    # Werkzeug exits the process if the port is taken. Binding the socket here raises OSError instead.
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.create_server((settings.host, settings.port), family=family) as listening:
        return make_server(
            settings.host,
            settings.port,
            app,
            threaded=True,
            request_handler=_Handler,
            fd=os.dup(listening.fileno()),
        )


class _Handler(WSGIRequestHandler):
    """Does not log requests, because `web/request_log.py` does."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def _url(server: BaseWSGIServer) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"


def _stop(reason: str) -> int:
    print(f"flask_app.py: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
