"""Reading pictures through a running server, with the project's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from batch.rows import BatchError, Row
from batch.sources import chunked, describe_error, read_file
from client.digits_client import (
    Answer,
    ConnectionFailed,
    DigitsClient,
    DigitsError,
    ProblemError,
    Reading,
    frame_bytes,
)
from config import Settings

if TYPE_CHECKING:  # which would import OpenCV
    from recognition.recognizer import Mode

Answered = TypeVar("Answered")
_CHUNK_SIZE = 16  # pictures in memory at a time: they may be photographs
_NUMBERS_CHUNK_SIZE = 4  # which the server reads within its time for a batch, even if they are photographs


def connect(url: str, settings: Settings, mode: Mode = "balanced") -> DigitsClient:
    """A client for the server at `url`. Raises `BatchError`."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    try:
        return DigitsClient(url, api_key=key, mode=mode)
    except ValueError as error:
        raise BatchError(str(error)) from error


def model_id(client: DigitsClient, *, numbers: bool = False) -> str:
    """The id of the server's model for digits or numbers. Raises `BatchError`."""
    try:
        card = client.model()
    except DigitsError as error:
        raise BatchError(f"{client.url}: {error}") from error
    if numbers and "number_model" not in card:
        raise BatchError(f"{client.url}: the server has no model for whole numbers")
    return card["number_model"] if numbers else card["id"]


def read_remotely(paths: Iterable[str], client: DigitsClient, *, with_frames: bool = False) -> Iterator[list[Row]]:
    """Rows in the order of `paths`, a chunk at a time. Raises `BatchError` if the server does not answer."""
    recognize = partial(client.predict_batch, include_frame=with_frames)
    for chunk in chunked(paths, _CHUNK_SIZE):
        yield _read(chunk, client.url, recognize, partial(_row, with_frame=with_frames))


def read_numbers_remotely(paths: Iterable[str], client: DigitsClient) -> Iterator[list[Row]]:
    """Rows of numbers in the order of `paths`. Raises `BatchError` if the server does not answer, or reads none."""
    for chunk in chunked(paths, _NUMBERS_CHUNK_SIZE):
        yield _read(chunk, client.url, client.read_batch, _number_row)


def _read(
    paths: Sequence[str],
    url: str,
    recognize: Callable[[Iterable[bytes]], Iterator[Answered | ProblemError]],
    to_row: Callable[[str, Answered], Row],
) -> list[Row]:
    files = [_read_or_describe(path) for path in paths]
    rows = []
    try:
        answers = recognize(file for file in files if isinstance(file, bytes))
        for path, file in zip(paths, files, strict=True):
            answer = file if isinstance(file, str) else next(answers)
            if isinstance(answer, ProblemError):
                answer = answer.detail
            rows.append(Row(path, error=answer) if isinstance(answer, str) else to_row(path, answer))
    except (ConnectionFailed, ProblemError) as error:  # of the whole request, not of one picture
        raise BatchError(f"{url}: {error}") from error
    return rows


def _read_or_describe(path: str) -> bytes | str:
    try:
        return read_file(path)
    except OSError as error:
        return describe_error(error)


def _row(path: str, answer: Answer, with_frame: bool) -> Row:
    frame = frame_bytes(answer) if with_frame else None
    probabilities, score = tuple(answer["probabilities"]), answer["digit_score"]
    return Row(path, probabilities, answer["is_digit"], score, frame, reason=answer.get("reason"))


def _number_row(path: str, reading: Reading) -> Row:
    texts = [(found["text"], found["confidence"]) for found in (reading, *reading["alternatives"])]
    return Row(path, texts=tuple(texts))
