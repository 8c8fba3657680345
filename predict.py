"""Read handwritten digits in picture files: `path  digit  confidence`, one line per picture.

python predict.py digit.png photo.jpg scans/ 'more/*.png'
cat digit.png | python predict.py --format json --top 3 -
python predict.py scans/ --output results.parquet            # any number of files; run it again to resume
python predict.py digit.png --url http://127.0.0.1:5000      # ask a running server, not the local model
python predict.py --numbers invoices/                        # whole numbers: `path  text  confidence`

PATH is a file, a folder (searched recursively), a glob, - for standard input, or a URL that fsspec supports (s3://...).
In CSV, a path that starts with = + - @ or ' is prefixed with ', so that spreadsheets do not treat it as a formula.
Exit status: 0 all pictures were read, 1 some could not be (each is named on standard error), 2 wrong usage or setup,
130 Ctrl+C interrupted --output.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from batch.rows import MAX_TEXTS, BatchError, Columns, Row, errors_of
from escaping import escape_unprintable

# Heavy modules are imported where they are needed, so that --help and --url start at once.
if TYPE_CHECKING:
    from batch.results import Results
    from config import Settings

Reader: TypeAlias = Callable[[Iterable[str]], Iterator[list[Row]]]

PRINTED = ("table", "csv", "json", "jsonl")
INTERRUPTED = 130  # as shells report a program that Ctrl+C ended


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse_arguments(arguments)
    from config import Settings, SettingsError
    from model_file import CheckpointError

    try:
        settings = Settings.load()
        return write_batch(settings, options) if options.output else print_rows(settings, options)
    except (SettingsError, CheckpointError, BatchError) as error:
        return _stop(str(error))
    except BrokenPipeError:  # the reader of the output, such as `head`, has exited
        # Otherwise the interpreter reports an error when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line; exits with status 2 if it is invalid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--url", help="use the server at this address")
    parser.add_argument("--numbers", action="store_true", help="read whole numbers instead of single digits")
    parser.add_argument("--top", type=_rank, default=1, metavar="K", help="show the K likeliest digits, 1 to 10")
    parser.add_argument("--probabilities", action="store_true", help="show the probability of every digit")
    parser.add_argument(
        "--mode",
        choices=("sure", "balanced", "guess"),
        default="balanced",
        help="how readily a picture is accepted as a digit",
    )
    printing = parser.add_argument_group("printing")
    printing.add_argument("--format", choices=PRINTED, help="default: table on a terminal, else csv")
    printing.add_argument("--frame", action="store_true", help="save the network's input next to each picture")
    printing.add_argument("--save-plot", action="store_true", help="save a bar chart next to each picture")
    batches = parser.add_argument_group("batches")
    batches.add_argument(
        "--output", metavar="FILE", help="write .parquet, .csv or .jsonl; an interrupted run can be resumed"
    )
    batches.add_argument("--workers", type=_positive, metavar="N", help="decoding processes (default: one per core)")
    batches.add_argument("--part-rows", type=_positive, metavar="N", help="rows saved at a time (default: 5000)")
    batches.add_argument("--executor", choices=("local", "ray"), default="local", help="ray: on a cluster")
    batches.add_argument("--ray-address", metavar="ADDRESS", help="address of the cluster (default: start one here)")
    options = parser.parse_args(arguments)
    if options.output and (options.format or options.frame or options.save_plot):
        parser.error("--format, --frame and --save-plot cannot be used with --output")
    if not options.output and (options.workers or options.part_rows or options.executor == "ray"):
        parser.error("--workers, --part-rows and --executor need --output")
    if options.ray_address and options.executor != "ray":
        parser.error("--ray-address needs --executor ray")
    if options.url and options.executor == "ray":
        parser.error("--url cannot be used with --executor ray")
    if options.numbers:
        _refuse_options_of_digits(parser, options)
    return options


def _refuse_options_of_digits(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.probabilities or options.frame or options.save_plot:
        parser.error("--probabilities, --frame and --save-plot cannot be used with --numbers")
    if options.mode != "balanced":
        parser.error("--mode cannot be used with --numbers")
    if options.top > MAX_TEXTS:
        parser.error(f"--top is at most {MAX_TEXTS} with --numbers")


def _rank(text: str) -> int:
    if text not in map(str, range(1, 11)):
        raise argparse.ArgumentTypeError("must be from 1 to 10")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("must be a positive number")
    return int(text)


# ---- printing ----


def print_rows(settings: Settings, options: argparse.Namespace) -> int:
    """Print predictions as they are made. Raises `BatchError` or `CheckpointError`."""
    from batch import printing
    from batch.sources import find_pictures

    if options.save_plot:
        printing.load_figure()
    paths = list(find_pictures(options.paths))
    read = read_by_server(settings, options, paths) if options.url else read_here(settings, options, paths)
    first = next(read)  # before a header is printed: the server may not answer
    columns = Columns(options.top, options.probabilities, numbers=options.numbers)
    kind = options.format or ("table" if sys.stdout.isatty() else "csv")
    status = 0

    def readable() -> Iterator[Sequence[Row]]:
        nonlocal status
        for rows in chain([first], read):
            failed = [*errors_of(rows), *save_files(rows, options)]
            status = status or int(bool(failed))
            yield [row for row in rows if row.error is None]
            sys.stdout.flush()
            for row in failed:
                report_unreadable(row)

    printing.PRINTERS[kind](sys.stdout, readable(), columns, paths)
    return status


def read_here(settings: Settings, options: argparse.Namespace, paths: Sequence[str]) -> Iterator[list[Row]]:
    """Rows predicted by the local model. Raises `CheckpointError`."""
    from batch.local import predict_one, read_numbers
    from recognition.engine import read_models
    from recognition.numbers.reader import NumberReader

    models = read_models(settings, with_numbers=options.numbers or None)
    reader = NumberReader.start(models, settings.limits, options.mode)
    if options.numbers:
        return (read_numbers([path], reader) for path in paths)
    return ([predict_one(path, reader, with_frame=options.frame)] for path in paths)


def read_by_server(settings: Settings, options: argparse.Namespace, paths: Sequence[str]) -> Iterator[list[Row]]:
    """Rows predicted by the server at `--url`. Raises `BatchError`."""
    from batch.remote import connect, read_numbers_remotely, read_remotely

    client = connect(options.url, settings, options.mode)
    if options.numbers:
        return read_numbers_remotely(paths, client)
    return read_remotely(paths, client, with_frames=options.frame)


def save_files(rows: Sequence[Row], options: argparse.Namespace) -> list[Row]:
    """Write the files of `--frame` and `--save-plot`; returns a row with an error for each that cannot be written."""
    from batch import printing

    failed = []
    for row in rows:
        try:
            if row.error is None and options.frame:
                printing.save_frame(row)
            if row.error is None and options.save_plot:
                printing.save_plot(row)
        except OSError as error:
            failed.append(Row(row.path, error=f"A file next to it cannot be written: {error.strerror or error}."))
    return failed


# ---- writing to a file ----


def write_batch(settings: Settings, options: argparse.Namespace) -> int:
    """Read the pictures that `--output` does not contain yet. Raises `BatchError` or `CheckpointError`."""
    from batch.results import PART_ROWS, Results
    from batch.sources import find_pictures, is_remote

    try:
        read, model = open_reader(settings, options)
        columns = Columns(options.top, options.probabilities, model, options.numbers)
        results = Results(options.output, columns, options.part_rows or PART_ROWS)
        # Listing a bucket is slow and costs money, so it is not done a second time to get a total for the progress bar.
        total = None if any(map(is_remote, options.paths)) else sum(1 for _ in find_pictures(options.paths))
        try:
            for rows in with_progress(read(results.done.missing(find_pictures(options.paths))), results, total):
                results.add(rows)
                for row in errors_of(rows):
                    report_unreadable(row)
        finally:
            results.save()
        results.finish()
    except OSError as error:
        raise BatchError(f"{options.output} cannot be written: {error.strerror or error}") from error
    except KeyboardInterrupt:
        _report("stopped; the same command resumes")
        return INTERRUPTED
    _report(f"wrote {options.output}")
    return int(results.n_errors > 0)


def open_reader(settings: Settings, options: argparse.Namespace) -> tuple[Reader, str]:
    """The function that turns paths into rows, and the id of its model. Raises `BatchError` or `CheckpointError`."""
    if options.url:
        from batch.remote import connect, model_id, read_numbers_remotely, read_remotely

        client = connect(options.url, settings, options.mode)
        read = read_numbers_remotely if options.numbers else read_remotely
        return lambda paths: read(paths, client), model_id(client, numbers=options.numbers)
    from recognition.engine import read_models

    models = read_models(settings, with_numbers=options.numbers)
    model, workers = (models.numbers or models.digits).info.id, options.workers or os.cpu_count() or 1
    if options.executor == "ray":
        from batch.ray_cluster import read_on_cluster

        return lambda paths: read_on_cluster(paths, models, settings.limits, options.ray_address, options.mode), model
    from batch.local import read_numbers_in_parallel, read_parallel
    from recognition.numbers.reader import NumberReader

    if models.numbers:
        return lambda paths: read_numbers_in_parallel(paths, models, settings.limits, workers), model
    recognizer = NumberReader.start(models, settings.limits, options.mode).recognizer
    return lambda paths: read_parallel(paths, recognizer, workers), model


def with_progress(read: Iterable[list[Row]], results: Results, total: int | None) -> Iterator[list[Row]]:
    """`read` with a progress bar on standard error, if that is a terminal."""
    from tqdm import tqdm

    done = len(results.done)
    with tqdm(total=total, initial=done if total is None else min(total, done), unit=" pictures", disable=None) as bar:
        for rows in read:
            yield rows
            bar.update(len(rows))


def report_unreadable(row: Row) -> None:
    """Name a picture that could not be read on standard error."""
    _report(f"{row.path}: {row.error}")


def _report(message: str) -> None:
    # File names and a server's messages may contain terminal escape sequences.
    print(f"predict.py: {escape_unprintable(message)}", file=sys.stderr)


def _stop(reason: str) -> int:
    _report(reason)
    return 2


if __name__ == "__main__":
    sys.exit(main())
