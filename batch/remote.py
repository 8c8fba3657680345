"""Reading pictures through a running server, with the project's own client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from batch.rows import BatchError, Row
from batch.sources import chunked, describe_error, read_file
from client.digits_client import Answer, ConnectionFailed, DigitsClient, DigitsError, ProblemError, frame_bytes
from config import Settings

if TYPE_CHECKING:  # which would import OpenCV
    from recognition.recognizer import Mode

_CHUNK_SIZE = 16  # pictures in memory at a time: they may be photographs


def connect(url: str, settings: Settings, mode: Mode = "balanced") -> DigitsClient:
    """A client for the server at `url`. Raises `BatchError`."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    try:
        return DigitsClient(url, api_key=key, mode=mode)
    except ValueError as error:
        raise BatchError(str(error)) from error


def model_id(client: DigitsClient) -> str:
    """The id of the server's model. Raises `BatchError`."""
    try:
        return client.model()["id"]
    except DigitsError as error:
        raise BatchError(f"{client.url}: {error}") from error


def read_remotely(paths: Iterable[str], client: DigitsClient, *, with_frames: bool = False) -> Iterator[list[Row]]:
    """Rows in the order of `paths`, a chunk at a time. Raises `BatchError` if the server does not answer."""
    for chunk in chunked(paths, _CHUNK_SIZE):
        yield _read(chunk, client, with_frames)


def _read(paths: Sequence[str], client: DigitsClient, with_frames: bool) -> list[Row]:
    files = [_read_or_describe(path) for path in paths]
    try:
        answers = client.predict_batch((f for f in files if isinstance(f, bytes)), include_frame=with_frames)
        return [
            Row(path, error=file) if isinstance(file, str) else _row(path, next(answers), with_frames)
            for path, file in zip(paths, files, strict=True)
        ]
    except (ConnectionFailed, ProblemError) as error:  # of the whole request, not of one picture
        raise BatchError(f"{client.url}: {error}") from error


def _read_or_describe(path: str) -> bytes | str:
    try:
        return read_file(path)
    except OSError as error:
        return describe_error(error)


def _row(path: str, answer: Answer | ProblemError, with_frame: bool) -> Row:
    if isinstance(answer, ProblemError):
        return Row(path, error=answer.detail)
    frame = frame_bytes(answer) if with_frame else None
    return Row(path, tuple(answer["probabilities"]), answer["is_digit"], answer["digit_score"], frame)
