"""Reading pictures on this machine: worker processes decode and preprocess, this one runs the network on each chunk.

for rows in read_parallel(find_pictures(["scans/"]), recognizer, workers=2): ...
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait
from typing import TypeAlias, TypeVar

import cv2

from batch.rows import BatchError, Row
from batch.sources import chunked, describe_error, read_file
from config import Limits
from recognition import InputError, Prediction, Recognizer
from recognition.engine import Models
from recognition.normalize import Candidate, find_candidates
from recognition.numbers.reader import NumberReader
from recognition.picture import decode_picture
from recognition.preview import frame_png

# A path, and the candidate frames of its picture or an error message.
Preprocessed: TypeAlias = tuple[str, list[Candidate] | str]
Result = TypeVar("Result")


def preprocess(paths: Sequence[str], limits: Limits) -> list[Preprocessed]:
    """Read, decode and normalize picture files: everything but the network."""
    return [(path, _preprocess_one(path, limits)) for path in paths]


def _preprocess_one(path: str, limits: Limits) -> list[Candidate] | str:
    try:
        return find_candidates(decode_picture(read_file(path), limits))
    except (InputError, OSError) as error:
        return _sentence(error)


def _sentence(error: InputError | OSError) -> str:
    return describe_error(error) if isinstance(error, OSError) else str(error)


def predict_rows(recognizer: Recognizer, pictures: Sequence[Preprocessed]) -> list[Row]:
    """The rows of a chunk, in order, from one forward pass; nothing looks for several digits in a picture."""
    predictions = iter(recognizer.predict_candidates([found for _, found in pictures if not isinstance(found, str)]))
    return [
        Row(path, error=found) if isinstance(found, str) else _row(path, next(predictions), recognizer)
        for path, found in pictures
    ]


def _row(path: str, prediction: Prediction, recognizer: Recognizer, *, with_frame: bool = False) -> Row:
    reason = recognizer.why_no_digit(prediction)
    frame = frame_png(prediction.frame) if with_frame else None
    return Row(path, prediction.probabilities, reason is None, prediction.digit_score, frame, reason=reason)


def predict_one(path: str, reader: NumberReader, *, with_frame: bool = False) -> Row:
    """The row of one picture, in which several digits are not one."""
    try:
        prediction = reader.predict_picture(read_file(path))
    except (InputError, OSError) as error:
        return Row(path, error=_sentence(error))
    return _row(path, prediction, reader.recognizer, with_frame=with_frame)


def read_parallel(paths: Iterable[str], recognizer: Recognizer, workers: int) -> Iterator[list[Row]]:
    """Rows in the order of `paths`, a chunk at a time; memory does not grow with their number. Raises `BatchError`."""
    for pictures in _map_chunks(partial(preprocess, limits=recognizer.limits), paths, workers, start_worker):
        yield predict_rows(recognizer, pictures)


# ---- numbers ----


def read_numbers(paths: Sequence[str], reader: NumberReader) -> list[Row]:
    """The rows of the numbers in picture files, in order."""
    return [_read_number(path, reader) for path in paths]


def _read_number(path: str, reader: NumberReader) -> Row:
    try:
        reading = reader.read_picture(read_file(path))
    except (InputError, OSError) as error:
        return Row(path, error=_sentence(error))
    return Row(path, texts=((reading.text, reading.confidence), *reading.alternatives))


def read_numbers_in_parallel(paths: Iterable[str], models: Models, limits: Limits, workers: int) -> Iterator[list[Row]]:
    """Rows in the order of `paths`, from worker processes that each have all networks. Raises `BatchError`."""
    return _map_chunks(_read_numbers_here, paths, workers, partial(_start_reading_worker, models, limits))


_reader: NumberReader  # of a worker process, from its initializer


def _start_reading_worker(models: Models, limits: Limits) -> None:
    global _reader
    start_worker()
    _reader = NumberReader.start(models, limits)


def _read_numbers_here(paths: Sequence[str]) -> list[Row]:
    return read_numbers(paths, _reader)


# ---- worker processes ----


def _map_chunks(
    function: Callable[[list[str]], Result], paths: Iterable[str], workers: int, initializer: Callable[[], None]
) -> Iterator[Result]:
    """What `function` returns for each chunk of paths, in order, from worker processes. Raises `BatchError`."""
    with _start_pool(workers, initializer) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for chunk in chunked(paths):
                pending.append(pool.submit(function, chunk))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise BatchError("a worker process died, perhaps out of memory; the same command resumes") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_pool(workers: int, initializer: Callable[[], None]) -> ProcessPoolExecutor:
    # Forked from a server that has imported everything, because torch does not survive a fork once it has run.
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_server else "spawn")
    if has_server:
        context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=initializer)


def start_worker() -> None:
    """Limit a worker process to one thread, and end it when its parent process dies."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        _on_exit(parent.sentinel, lambda: os._exit(1))


def _on_exit(sentinel: int, action: Callable[[], None]) -> None:
    def watch() -> None:
        wait([sentinel])
        action()

    threading.Thread(target=watch, daemon=True).start()
