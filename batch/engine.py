"""Files to rows on this machine: decoding and normalising in worker processes, one batched forward for each chunk.

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
from multiprocessing.connection import wait
from typing import TypeAlias

import cv2

from batch.chunks import chunks
from batch.rows import BatchError, Row
from batch.sources import explain, read_file
from config import Limits
from recognition import InputError, Prediction, Recognizer
from recognition.normalize import Candidate, candidates
from recognition.picture import decode_picture
from recognition.preview import frame_png

# A picture's path with the ways to see its digit, or with the sentence that says why it cannot be read.
Seen: TypeAlias = tuple[str, list[Candidate] | str]


def see(paths: Sequence[str], limits: Limits) -> list[Seen]:
    """Read, decode and normalise picture files: all but the network's part."""
    return [(path, _see_one(path, limits)) for path in paths]


def _see_one(path: str, limits: Limits) -> list[Candidate] | str:
    try:
        return candidates(decode_picture(read_file(path), limits))
    except InputError as error:
        return str(error)
    except OSError as error:
        return explain(error)


def answer(recognizer: Recognizer, seen: Sequence[Seen], *, with_frames: bool = False) -> list[Row]:
    """The rows of a chunk, in its order, in one forward."""
    predictions = iter(recognizer.predict_candidates([ways for _, ways in seen if not isinstance(ways, str)]))
    return [
        Row(path, error=ways) if isinstance(ways, str) else _row(path, next(predictions), with_frames)
        for path, ways in seen
    ]


def _row(path: str, prediction: Prediction, with_frame: bool) -> Row:
    return Row(
        path,
        prediction.probabilities,
        prediction.is_digit,
        prediction.digit_score,
        frame_png(prediction.frame) if with_frame else None,
    )


def read_serially(paths: Iterable[str], recognizer: Recognizer, *, with_frames: bool = False) -> Iterator[list[Row]]:
    """Rows in the order of `paths`, a chunk at a time, in this process."""
    for chunk in chunks(paths):
        yield answer(recognizer, see(chunk, recognizer.limits), with_frames=with_frames)


def read_parallel(paths: Iterable[str], recognizer: Recognizer, workers: int) -> Iterator[list[Row]]:
    """Rows in the order of `paths`, a chunk at a time; memory does not grow with their number. Raises `BatchError`."""
    with _pool(workers) as pool:
        waiting: deque[Future[list[Seen]]] = deque()
        try:
            for chunk in chunks(paths):
                waiting.append(pool.submit(see, chunk, recognizer.limits))
                if len(waiting) > 2 * workers:
                    yield answer(recognizer, waiting.popleft().result())
            while waiting:
                yield answer(recognizer, waiting.popleft().result())
        except BrokenProcessPool as error:
            raise BatchError("a worker process died, perhaps for want of memory; the same command goes on") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forked from a server that has imported everything, because torch does not survive a fork once it has run.
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_server else "spawn")
    if has_server:
        context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker)


def start_worker() -> None:
    """Keep a worker process to one core, and let it end when the process that it works for is killed."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        _when_ended(parent.sentinel, lambda: os._exit(1))


def _when_ended(sentinel: int, act: Callable[[], None]) -> None:
    def watch() -> None:
        wait([sentinel])
        act()

    threading.Thread(target=watch, daemon=True).start()
