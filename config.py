"""All settings of the project, read once from the environment and a `.env` file, validated and frozen.

    DIGITS_PORT=8080 DIGITS_LOG_LEVEL=debug python flask_app.py

A variable that starts with `DIGITS_` but is not a setting, or an invalid value, raises `SettingsError` with a sentence
that names it. No other module reads the environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "DIGITS_"
ENV_FILE = ".env"
# Empty values are refused, so a setting is disabled by this word.
OFF = "off"
ROOT = Path(__file__).resolve().parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


# Official builds of ONNX Runtime upload usage data on Linux and macOS. This is read once, when it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


class SettingsError(ValueError):
    """A setting is unknown or its value is invalid; the message is one sentence that names it."""


class Environment(StrEnum):
    """Where the app runs: in development, in production, or under test."""

    DEV = "dev"
    PROD = "prod"
    TEST = "test"


class LogLevel(StrEnum):
    """The names of the standard `logging` levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class EngineName(StrEnum):
    """What runs the network: ONNX Runtime, PyTorch, or the first of them that can."""

    AUTO = "auto"
    ONNX = "onnx"
    TORCH = "torch"


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return () if value == OFF else tuple(item.strip() for item in value.split(","))


# NoDecode: pydantic-settings would parse the value as JSON.
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class _Group(BaseSettings):
    """A group of settings; `DIGITS_NAME` in the environment has precedence over the same name in `.env`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_empty(cls, value: object) -> object:
        # Shells and compose files pass an unset variable as "". As a host that would mean all addresses of the machine,
        # and as a path the working folder.
        if value == "":
            raise ValueError("it is empty")
        return value


class Limits(_Group):
    """Limits of an input; a larger one is refused before it is processed."""

    max_body_bytes: int = Field(12 * 2**20, ge=1024, description="largest request body with a picture, in bytes")
    max_plain_body_bytes: int = Field(
        256 * 2**10, ge=1024, description="largest request body without a picture, in bytes"
    )
    # Pillow itself refuses more than 89.
    max_megapixels: float = Field(50.0, gt=0, le=89, description="largest picture, in millions of pixels")
    max_strokes: int = Field(500, ge=1, description="most strokes in a drawing")
    max_points: int = Field(10_000, ge=1, description="most points in a drawing, over all its strokes")
    max_coordinate: float = Field(
        1e5, gt=0, le=1e6, description="largest stroke coordinate, either sign, in canvas units"
    )
    max_decodes: int = Field(2, ge=1, description="pictures decoded at the same time in one process")
    max_batch_seconds: float = Field(
        2.5,
        gt=0,
        description="processor time that the pictures of one request may take, in seconds; the others are refused",
    )


_NO_DEBUG = frozenset({"", "0", "false", "no"})  # as Flask interprets FLASK_DEBUG


class Settings(_Group):
    """The settings of training, the command line and the web app."""

    env: Environment = Field(Environment.DEV, description="`dev`, `prod` or `test`")
    host: str = Field("127.0.0.1", description="address the app listens on")
    port: int = Field(5000, ge=0, le=65535, description="port the app listens on; 0 picks a free one")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="separate port for `/metrics` under gunicorn; 0 serves it on `DIGITS_PORT`"
    )
    workers: int = Field(0, ge=0, le=1024, description="worker processes under gunicorn; 0 means one per core")
    threads: int = Field(4, ge=1, le=1024, description="requests that each worker handles at a time")
    queue: int = Field(16, ge=0, le=10_000, description="requests that may wait in each worker; more get a 503 at once")
    model_path: Path = Field(
        ROOT / "mnist_model.pth", description="checkpoint file that is served, or written by training"
    )
    number_model_path: Path = Field(
        ROOT / "number_model.pth", description="checkpoint file of the network for whole numbers, which may be missing"
    )
    stroke_model_path: Path = Field(
        ROOT / "stroke_model.pth", description="checkpoint file of the network for pen strokes, which may be missing"
    )
    engine: EngineName = Field(
        EngineName.AUTO,
        description="what runs the network: `onnx` (ONNX Runtime), `torch`, or `auto`, the first available",
    )
    data_dir: Path = Field(ROOT / "data", description="folder with the data sets")
    log_level: LogLevel = Field(LogLevel.INFO, description="`debug`, `info`, `warning` or `error`")
    log_addresses: bool = Field(False, description="whether requests are logged with the client's address")
    trusted_hosts: CommaSeparated = Field(
        (), description="host names, separated by commas, that requests may be addressed to; `off` accepts any"
    )
    trusted_proxies: CommaSeparated = Field(
        (), description="addresses or networks of proxies whose X-Forwarded headers are trusted; `off` trusts none"
    )
    api_keys: CommaSeparated = Field(
        (), description="SHA-256 of each API key, in hex, separated by commas; `off` requires no key"
    )
    api_key: SecretStr | None = Field(None, description="API key that `predict.py --url` sends")
    cors_origins: CommaSeparated = Field(
        (), description="origins, separated by commas, whose pages may use the API; `*` allows all, `off` none"
    )
    rate_limit: str = Field(
        OFF,
        description="predictions, readings and explanations per API key or address, such as `60/minute`; `off` sets no "
        "limit",
    )
    rate_limit_storage: str = Field(
        "memory://", description="where predictions are counted: `memory://` per process, `redis://host:6379` for all"
    )
    limits: Limits = Field(default_factory=Limits)

    @field_validator("trusted_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if not _all_match(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", hosts):
            raise ValueError("each host is written as in digits.example.org, or .example.org for all its subdomains")
        return tuple(host.lower() for host in hosts)

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)  # raises ValueError
        return networks

    @field_validator("api_keys")
    @classmethod
    def _check_digests(cls, digests: tuple[str, ...]) -> tuple[str, ...]:
        if not _all_match("[0-9a-fA-F]{64}", digests):
            raise ValueError("each key is given by its SHA-256, 64 hex digits")
        return tuple(digest.lower() for digest in digests)

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not _all_match(r"\*|https?://[^/?#\s]+", origins):
            raise ValueError("each origin is written as in https://example.org")
        return origins

    @field_validator("rate_limit")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        if value != OFF and not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", value):
            raise ValueError("a rate is written as in 60/minute")
        return value

    @classmethod
    def load(cls) -> Self:
        """Read and validate all settings; raises `SettingsError`."""
        _refuse_unknown_names()
        try:
            settings = cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + str(first["loc"][0]).upper()
            # The value may be a key, and the message is logged.
            given = "" if first["input"] and "api_key" in str(first["loc"][0]) else f"={first['input']!r}"
            raise SettingsError(f"setting {name}{given} is invalid: {first['msg'].lower()}") from error
        debug = os.environ.get("FLASK_DEBUG", "").lower()
        # Flask's debugger runs code that a visitor enters.
        if settings.env == Environment.PROD and debug not in _NO_DEBUG:
            raise SettingsError("FLASK_DEBUG is set, which setting DIGITS_ENV=prod does not allow")
        return settings


def _all_match(pattern: str, items: tuple[str, ...]) -> bool:
    return all(re.fullmatch(pattern, item) for item in items)


def setting_names() -> dict[str, str]:
    """The environment variables that are settings, with their descriptions."""
    fields = {**Settings.model_fields, **Limits.model_fields}
    return {PREFIX + name.upper(): field.description or "" for name, field in fields.items() if name != "limits"}


def _refuse_unknown_names() -> None:
    given = {*os.environ, *_names_in_file()}
    # pydantic-settings matches names without regard to case, so this check does too.
    unknown = sorted(n for n in given if n.upper().startswith(PREFIX) and n.upper() not in setting_names())
    if unknown:
        raise SettingsError(f"{unknown[0]} is not a setting; the settings are {', '.join(sorted(setting_names()))}")


def _names_in_file() -> set[str]:
    try:
        return set(dotenv_values(ENV_FILE))
    except (OSError, UnicodeDecodeError) as error:  # PowerShell's `echo` writes UTF-16
        raise SettingsError(f"the file {ENV_FILE} cannot be read as UTF-8 text: {error}") from error
