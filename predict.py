"""Read digits in picture files: `path  digit  confidence`, one line a picture.

python predict.py digit.png photo.jpg scans/ 'more/*.png'
cat digit.png | python predict.py --format json --top 3 -
python predict.py scans/ --output results.parquet            # any number; the same command resumes
python predict.py digit.png --url http://127.0.0.1:5000      # a running server answers, not the local weights

PATH is a file, a folder (searched to any depth), a glob, - for standard input, or a URL that fsspec knows (s3://...).
Exit status: 0 all were read, 1 some could not be (each named on standard error), 2 the command or its set-up is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from batch.rows import BatchError, Columns, Row, errors_of

# Whatever is heavy is imported where it is needed, so that --help and --url do without torch.
if TYPE_CHECKING:
    from batch.results import Results
    from config import Settings
    from recognition import Recognizer

Engine: TypeAlias = Callable[[Iterable[str]], Iterator[list[Row]]]

PRINTED = ("table", "csv", "json", "jsonl")
INTERRUPTED = 130  # as shells report a program that Ctrl+C ended


def main(arguments: list[str] | None = None) -> int:
    """Read what the command line names; returns the exit status."""
    options = parse_arguments(arguments)
    from config import Settings, SettingsError

    try:
        settings = Settings.load()
        return write_batch(settings, options) if options.output else print_rows(settings, options)
    except (SettingsError, BatchError) as error:
        return _stop(str(error))
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        # Or the interpreter complains when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--url", help="ask the server at this address")
    parser.add_argument("--top", type=_rank, default=1, metavar="K", help="show the K likeliest digits, 1 to 10")
    parser.add_argument("--probabilities", action="store_true", help="show the probability of every digit")
    printing = parser.add_argument_group("printing")
    printing.add_argument("--format", choices=PRINTED, help="default: table on a terminal, else csv")
    printing.add_argument("--frame", action="store_true", help="save what the network saw beside each picture")
    printing.add_argument("--save-plot", action="store_true", help="save a bar chart of the digits beside each picture")
    batches = parser.add_argument_group("batches")
    batches.add_argument(
        "--output", metavar="FILE", help="write .parquet, .csv or .jsonl, in parts that survive a kill"
    )
    batches.add_argument("--workers", type=_positive, metavar="N", help="processes that decode (default: one per core)")
    batches.add_argument("--part-rows", type=_positive, metavar="N", help="rows that a kill may cost (default: 5000)")
    batches.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: on all nodes of a cluster")
    batches.add_argument("--ray-address", metavar="ADDRESS", help="of the cluster (default: start one on this machine)")
    options = parser.parse_args(arguments)
    if options.output and (options.format or options.frame or options.save_plot):
        parser.error("--format, --frame and --save-plot go with printing, not with --output")
    if not options.output and (options.workers or options.part_rows or options.engine == "ray"):
        parser.error("--workers, --part-rows and --engine need --output")
    if options.ray_address and options.engine != "ray":
        parser.error("--ray-address needs --engine ray")
    if options.url and options.engine == "ray":
        parser.error("--url and --engine ray exclude each other")
    return options


def _rank(text: str) -> int:
    if text not in map(str, range(1, 11)):
        raise argparse.ArgumentTypeError("must be from 1 to 10")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("must be a positive number")
    return int(text)


# ---- a few pictures: printed ----


def print_rows(settings: Settings, options: argparse.Namespace) -> int:
    """Print what is read, as it is read. Raises `BatchError`."""
    from batch import printing
    from batch.sources import find_pictures

    paths = list(find_pictures(options.paths, in_order=True))
    read = read_by_server(settings, options, paths) if options.url else read_here(settings, options, paths)
    columns = Columns(options.top, options.probabilities)
    kind = options.format or ("table" if sys.stdout.isatty() else "csv")
    status = 0

    def readable() -> Iterator[Sequence[Row]]:
        nonlocal status
        for rows in read:
            failed = [*errors_of(rows), *save_beside(rows, options)]
            status = status or int(bool(failed))
            yield [row for row in rows if row.error is None]
            sys.stdout.flush()
            for row in failed:
                complain(row)

    printing.PRINTERS[kind](sys.stdout, readable(), columns, paths)
    return status


def read_here(settings: Settings, options: argparse.Namespace, paths: Sequence[str]) -> Iterator[list[Row]]:
    """Rows by the local weights. Raises `BatchError`."""
    recognizer = load_recognizer(settings)
    from batch.engine import read_serially

    return read_serially(paths, recognizer, with_frames=options.frame)


def read_by_server(settings: Settings, options: argparse.Namespace, paths: Sequence[str]) -> Iterator[list[Row]]:
    """Rows by the server at `--url`. Raises `BatchError`."""
    from batch.remote import connect, read_remotely

    return read_remotely(paths, connect(options.url, settings), with_frames=options.frame)


def load_recognizer(settings: Settings) -> Recognizer:
    """The network of the checkpoint that the settings name. Raises `BatchError`."""
    from model import CheckpointError
    from recognition import Recognizer

    try:
        return Recognizer.load(settings.model_path, settings.limits)
    except CheckpointError as error:
        raise BatchError(f"{error}; train a new one with: python train_model.py") from error


def save_beside(rows: Sequence[Row], options: argparse.Namespace) -> list[Row]:
    """Write the files of `--frame` and `--save-plot`; a row, with its error, for each that cannot be written."""
    from batch import printing

    failed = []
    for row in rows:
        try:
            if row.error is None and options.frame:
                printing.save_frame(row)
            if row.error is None and options.save_plot:
                printing.save_plot(row)
        except OSError as error:
            failed.append(Row(row.path, error=f"A file beside it cannot be written: {error.strerror or error}."))
    return failed


# ---- any number of pictures: written to a file ----


def write_batch(settings: Settings, options: argparse.Namespace) -> int:
    """Write the rows that `--output` does not hold yet. Raises `BatchError`."""
    from batch.results import PART_ROWS, Results
    from batch.sources import find_pictures

    try:
        read, model = open_engine(settings, options)
        results = Results(
            options.output, Columns(options.top, options.probabilities, model), options.part_rows or PART_ROWS
        )
        total = sum(1 for _ in find_pictures(options.paths))
        try:
            for rows in with_progress(read(results.known.missing(find_pictures(options.paths))), results, total):
                results.add(rows)
                for row in errors_of(rows):
                    complain(row)
        finally:
            results.save()
        results.finish()
    except OSError as error:
        raise BatchError(f"{options.output} cannot be written: {error.strerror or error}") from error
    except KeyboardInterrupt:
        print("predict.py: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    print(f"predict.py: wrote {options.output}", file=sys.stderr)
    return int(results.n_errors > 0)


def open_engine(settings: Settings, options: argparse.Namespace) -> tuple[Engine, str]:
    """What turns paths into rows, and the id of the model that it asks. Raises `BatchError`."""
    if options.url:
        from batch.remote import connect, model_id, read_remotely

        client = connect(options.url, settings)
        return lambda paths: read_remotely(paths, client), model_id(client)
    recognizer = load_recognizer(settings)
    if options.engine == "ray":
        from batch.cluster import read_on_cluster

        return lambda paths: read_on_cluster(paths, settings, options.ray_address), recognizer.info.id
    from batch.engine import read_parallel

    workers = options.workers or os.cpu_count() or 1
    return lambda paths: read_parallel(paths, recognizer, workers), recognizer.info.id


def with_progress(read: Iterable[list[Row]], results: Results, total: int) -> Iterator[list[Row]]:
    """`read` itself, with a bar on standard error that shows rate and time left, where that is a terminal."""
    try:
        from tqdm import tqdm
    except ImportError:  # serving alone does without it
        yield from read
        return
    with tqdm(total=total, initial=min(total, len(results.known)), unit=" pictures", disable=None) as bar:
        for rows in read:
            yield rows
            bar.update(len(rows))


def complain(row: Row) -> None:
    """Name a picture that could not be read on standard error."""
    from batch.rows import printable

    print(f"predict.py: {printable(row.path)}: {row.error}", file=sys.stderr)


def _stop(reason: str) -> int:
    print(f"predict.py: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
