"""Settings: read once, from the environment and `.env`; a wrong name or value stops the start with one sentence."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from config import ENV_FILE, PREFIX, Environment, Limits, LogLevel, Settings, SettingsError, setting_names


@pytest.fixture(autouse=True)
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the settings that a test makes."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    """The message about invalid settings: one line."""
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    message = str(caught.value)
    assert "\n" not in message
    return message


def set_environment(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_everything_has_a_default() -> None:
    settings = Settings.load()
    assert settings.env is Environment.DEV
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert (settings.model_path.name, settings.number_model_path.name) == ("mnist_model.pth", "number_model.pth")
    assert settings.limits == Limits(_env_file=None)


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(
        monkeypatch,
        {
            "DIGITS_ENV": "prod",
            "DIGITS_HOST": "::1",
            "DIGITS_PORT": "8080",
            "DIGITS_MODEL_PATH": "/models/seven.pth",
            "DIGITS_LOG_LEVEL": "warning",
            "DIGITS_MAX_STROKES": "7",
            "DIGITS_MAX_MEGAPIXELS": "0.5",
            "OTHER_PORT": "1",
        },
    )
    settings = Settings.load()
    assert (settings.env, settings.log_level) == (Environment.PROD, LogLevel.WARNING)
    assert (settings.host, settings.port, settings.model_path) == ("::1", 8080, Path("/models/seven.pth"))
    assert (settings.limits.max_strokes, settings.limits.max_megapixels) == (7, 0.5)


def test_names_are_case_insensitive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("digits_port", "8080")
    assert Settings.load().port == 8080


def test_environment_has_precedence_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(ENV_FILE).write_text(
        "DIGITS_PORT=1\nDIGITS_THREADS=2\nDIGITS_MAX_POINTS=3\nDATABASE=other\n", encoding="utf-8"
    )
    set_environment(monkeypatch, {"DIGITS_PORT": "11", "DIGITS_MAX_DECODES": "5"})
    settings = Settings.load()
    assert (settings.port, settings.threads) == (11, 2)
    assert (settings.limits.max_points, settings.limits.max_decodes) == (3, 5)


@pytest.mark.parametrize(
    "name", ["DIGITS_PROT", "digits_prot", "DIGITS_", "DIGITS_LIMITS", "DIGITS_LIMITS__MAX_POINTS"]
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_unknown_name_is_refused(name: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "file":
        Path(ENV_FILE).write_text(f"{name}=1\n", encoding="utf-8")
    else:
        monkeypatch.setenv(name, "1")
    message = refusal()
    assert message.startswith(f"{name} is not a setting")
    assert "DIGITS_PORT" in message  # among the names that exist


BAD_VALUES = [
    ("DIGITS_ENV", "production"),
    ("DIGITS_LOG_LEVEL", "loud"),
    ("DIGITS_PORT", "five"),
    ("DIGITS_PORT", "65536"),
    ("DIGITS_PORT", "-1"),
    ("DIGITS_PORT", "80.5"),
    ("DIGITS_WORKERS", "-1"),
    ("DIGITS_THREADS", "0"),
    ("DIGITS_MAX_BODY_BYTES", "12 MB"),
    ("DIGITS_MAX_PLAIN_BODY_BYTES", "0"),
    ("DIGITS_MAX_MEGAPIXELS", "0"),
    ("DIGITS_MAX_MEGAPIXELS", "nan"),
    ("DIGITS_MAX_MEGAPIXELS", "inf"),
    ("DIGITS_MAX_MEGAPIXELS", "90"),  # beyond Pillow's own limit
    ("DIGITS_MAX_STROKES", "0"),
    ("DIGITS_MAX_POINTS", "-5"),
    ("DIGITS_MAX_COORDINATE", "nan"),
    ("DIGITS_MAX_COORDINATE", "1e9"),
    ("DIGITS_MAX_DECODES", "0"),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_bad_value_is_refused_by_name(name: str, value: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "file":
        Path(ENV_FILE).write_text(f"{name}='{value}'\n", encoding="utf-8")
    else:
        monkeypatch.setenv(name, value)
    assert refusal().startswith(f"setting {name}='{value}' is invalid")


@pytest.mark.parametrize("name", setting_names())
def test_empty_value_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert refusal() == f"setting {name}='' is invalid: value error, it is empty"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_file_in_another_encoding_is_refused(encoding: str) -> None:
    Path(ENV_FILE).write_text("DIGITS_HOST=rechner.köln\n", encoding=encoding)
    assert ".env cannot be read as UTF-8" in refusal()


def test_settings_are_frozen() -> None:
    settings = Settings.load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        settings.limits.max_points = 1  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    names = setting_names()
    assert {"DIGITS_PORT", "DIGITS_MAX_POINTS"} <= names.keys()
    assert "DIGITS_LIMITS" not in names
    assert all(names.values())


def test_invalid_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_API_KEYS", "a-key-that-is-not-hashed")
    assert "DIGITS_API_KEYS" in refusal()
    assert "a-key-that-is-not-hashed" not in refusal()


@pytest.mark.parametrize(
    ("name", "value"),
    [("HOSTS", "https://example.org"), ("HOSTS", "a.example,,"), ("PROXIES", "nginx"), ("PROXIES", "10.0.0.1/8")],
)
def test_invalid_hosts_and_proxies_are_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DIGITS_TRUSTED_{name}", value)
    assert f"DIGITS_TRUSTED_{name}" in refusal()


def test_lists_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().cors_origins == ()
    set_environment(
        monkeypatch,
        {
            "DIGITS_TRUSTED_HOSTS": "Digits.example, .below.example",
            "DIGITS_TRUSTED_PROXIES": "10.0.0.0/8",
            "DIGITS_API_KEYS": "A" * 64,
            "DIGITS_CORS_ORIGINS": "off",
        },
    )
    settings = Settings.load()
    assert settings.trusted_hosts == ("digits.example", ".below.example")
    assert settings.trusted_proxies == ("10.0.0.0/8",)
    assert settings.api_keys == ("a" * 64,)
    assert settings.cors_origins == ()


def test_debugger_cannot_be_on_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, {"DIGITS_ENV": "prod", "FLASK_DEBUG": "1"})
    assert "FLASK_DEBUG" in refusal()
    for off in ("0", "false", ""):
        monkeypatch.setenv("FLASK_DEBUG", off)
        assert Settings.load().env is Environment.PROD
