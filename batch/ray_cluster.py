"""Reading pictures on all nodes of a Ray cluster; each actor does what `batch.local` does on this machine.

Rows return to this process, which writes them, so that a run on a cluster resumes like any other. They arrive in the
order in which they are ready.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from batch.rows import BatchError, Row
from batch.sources import CHUNK_SIZE, chunked
from config import ROOT, Limits
from recognition.engine import Models
from recognition.recognizer import Mode

# Paths per execution: many, because each execution starts new actors, but few enough for memory.
_WINDOW = 200_000
# Not copied to the nodes.
_EXCLUDES = (
    ".git/",
    ".venv/",
    "data/",
    "runs/",
    "reports/",
    "tests/",
    "testing/",
    "docs/",
    "*.pth",
    "*.onnx",
    "*.parts/",
)


def read_on_cluster(
    paths: Iterable[str],
    models: Models,
    limits: Limits,
    address: str | None,
    mode: Mode = "balanced",
) -> Iterator[list[Row]]:
    """Rows of `paths`, which every node must be able to open, a few at a time. Raises `BatchError`.

    With the model of numbers as a second one, whole numbers are read.
    """
    ray = _connect(address)
    from ray.data import ActorPoolStrategy, DataContext, from_items

    DataContext.get_current().enable_progress_bars = False
    arguments = (models, limits.model_dump(), mode)
    pool = ActorPoolStrategy(min_size=1, max_size=max(1, int(ray.cluster_resources().get("CPU", 1))))
    try:
        for window in chunked(paths, _WINDOW):
            # One block for each chunk, so that they spread over the actors.
            items = from_items(window, override_num_blocks=-(-len(window) // CHUNK_SIZE))
            rows = items.map_batches(ClusterReader, fn_constructor_args=arguments, batch_size=CHUNK_SIZE, compute=pool)
            for batch in rows.iter_batches(batch_size=None):
                yield [_to_row(str(text)) for text in batch["row"]]
    except ray.exceptions.RayError as error:
        raise BatchError(f"the Ray cluster failed, the same command resumes: {_last_line(error)}") from error
    finally:
        ray.shutdown()


class ClusterReader:
    """An actor that reads chunks of paths, with its own copy of the networks."""

    def __init__(self, models: Models, limits: dict[str, Any], mode: Mode = "balanced") -> None:
        from batch.local import predict_rows, preprocess, read_numbers, start_worker
        from recognition.numbers.reader import NumberReader

        start_worker()
        checked = Limits.model_validate(limits)
        reader = NumberReader.start(models, checked, mode)
        self._read: Callable[[Sequence[str]], list[Row]]
        if reader.info:
            self._read = partial(read_numbers, reader=reader)
        else:
            self._read = lambda paths: predict_rows(reader.recognizer, preprocess(paths, checked))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        rows = self._read([str(path) for path in batch["item"]])
        return {"row": [json.dumps(asdict(row)) for row in rows]}


def _to_row(text: str) -> Row:
    values = json.loads(text)
    texts = tuple((known, confidence) for known, confidence in values.pop("texts"))
    return Row(**values | {"probabilities": tuple(values["probabilities"]), "texts": texts})


def _connect(address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise BatchError("--executor ray needs Ray: pip install 'ray[data]'") from error
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.WARNING,
            include_dashboard=False if address is None else None,
            runtime_env={"working_dir": str(ROOT), "excludes": list(_EXCLUDES)},
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BatchError(f"the Ray cluster cannot be reached: {_last_line(error)}") from error
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    return ray


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
