"""Evaluate checkpoints on any data: accuracy, calibration, and the rejection of non-digits.

python evaluate_model.py                                            # mnist_model.pth on the MNIST test digits
python evaluate_model.py a.pth b.pth --data mnist-validation        # an ensemble: probabilities are averaged
python evaluate_model.py --data photos/ pens.jsonl letters.npz --mistakes reports
python evaluate_model.py --robustness                               # every set under DIGITS_DATA_DIR/dev, to reports/
python evaluate_model.py --publish                                  # the same, for the app's page about the model

DATA is a data set (mnist, emnist-digits, qmnist, usps, mnist-validation, corrupted-mnist, corrupted-mnist-validation);
a folder with a sub-folder of pictures per digit, and non-digits in any other sub-folder; .npz with x uint8 [N, H, W]
and y [N], -1 for non-digits; .jsonl with label and strokes; or a folder with labels.jsonl of file, text and boxes. All
inputs are preprocessed as in the app, and the stroke model helps with strokes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    import torch
except ImportError:
    print("evaluate_model: PyTorch is not installed, get it with: pip install -r requirements.txt", file=sys.stderr)
    sys.exit(2)
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix
from tqdm import tqdm

from checkpoint import load_checkpoint
from config import Settings, SettingsError
from model_file import N_DIGITS, CheckpointError
from recognition import Recognizer
from recognition.engine import read_stroke_model
from recognition.stroke_reader import start_stroke_reader
from recognition.torch_engine import TorchEngine
from storage import write_atomically
from training.datasets import DataError
from training.ensemble import Ensemble
from training.evaluation import MetricsRow, Predictions, collect, evaluate, worst_mistakes
from training.evaluation_sets import (
    CORRUPTED,
    NON_DIGIT,
    VALIDATION,
    EvaluationSet,
    development_sets,
    open_evaluation_sets,
    predict_items,
)
from training.reports import record_in_manifest, reliability_csv

_N_MISTAKES = 96  # on a contact sheet
_PERCENT = ("accuracy", "ece", "rejected", "auroc", "fpr_at_95", "fpr_at_99", "accepted")
_ROBUSTNESS = ("mnist", VALIDATION, "corrupted-mnist-validation")


def main(arguments: list[str] | None = None) -> int:
    """Evaluate and print; the exit status is 1 below `--require-accuracy`, 2 for wrong usage or missing data."""
    try:
        settings = Settings.load()
        options = parse_arguments(settings, arguments)
        rows = evaluate_checkpoints(settings, options)
    except (SettingsError, CheckpointError, DataError, OSError) as error:
        print(f"evaluate_model: {error}", file=sys.stderr)
        return 2
    print(json.dumps(rows, indent=2) if options.json else format_table(rows))
    return check_accuracy(rows, options.require_accuracy)


def parse_arguments(settings: Settings, arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line; exits with status 2 if it is invalid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="*", metavar="CHECKPOINT", help="several are averaged")
    parser.add_argument(
        "--data", nargs="+", action="extend", metavar="DATA", help="what to evaluate on (default: mnist)"
    )
    parser.add_argument("--robustness", action="store_true", help="evaluate on all sets; write a report")
    parser.add_argument(
        "--through",
        choices=("frames", "pictures"),
        help="predict data sets of 28x28 digits as frames or as picture files (default: only corrupted ones)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="evaluate on at most N items of each set, evenly spaced")
    parser.add_argument("--json", action="store_true", help="print JSON, with unrounded figures")
    parser.add_argument("--require-accuracy", type=float, metavar="X", help="exit with 1 below X (0 to 1) on any set")
    parser.add_argument("--confusion", action="store_true", help="print confusion matrices as well")
    parser.add_argument("--report", action="store_true", help="print precision and recall of each digit as well")
    parser.add_argument("--mistakes", type=Path, metavar="DIR", help="write contact sheets of the worst mistakes here")
    parser.add_argument(
        "--reports", type=Path, default=Path("reports"), help="folder for --robustness (default: reports)"
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="--robustness, and write robustness.csv and reliability.csv beside the checkpoint for the app to show",
    )
    options = parser.parse_args(arguments)
    options.checkpoints = options.checkpoints or [settings.model_path]
    options.robustness |= options.publish
    if options.publish and (len(options.checkpoints) > 1 or options.limit):
        parser.error("--publish is for one checkpoint, evaluated without --limit")
    if options.json and (options.confusion or options.report):
        parser.error("--json cannot be combined with --confusion or --report")
    options.data = options.data or ([] if options.robustness else ["mnist"])
    if options.robustness:
        options.data += [*_ROBUSTNESS, *map(str, development_sets(settings.data_dir))]
        options.mistakes = options.mistakes or options.reports / "robustness"
    return options


def evaluate_checkpoints(settings: Settings, options: argparse.Namespace) -> list[MetricsRow]:
    """One row of metrics per set, and the files asked for. Raises `CheckpointError`, `DataError` or `OSError`."""
    checkpoints = [load_checkpoint(path) for path in options.checkpoints]
    several, limits = len(checkpoints) > 1, settings.limits
    stroke_reader = start_stroke_reader(read_stroke_model(settings))
    recognizer = (
        Ensemble(checkpoints, limits, stroke_reader)
        if several
        else Recognizer(TorchEngine(checkpoints[0]), limits, stroke_reader=stroke_reader)
    )
    data_dir, through = settings.data_dir, options.through
    sets = [each for spec in options.data for each in open_evaluation_sets(spec, data_dir, through)]
    has_non_digits = any(item.label == NON_DIGIT for each in sets for item in each.items)
    reference = _reference_scores(recognizer, data_dir) if has_non_digits else None
    rows: list[MetricsRow] = []
    files: dict[str, Path] = {}  # for the manifest
    for evaluation_set in sets:
        predictions = predict_set(recognizer, evaluation_set, options.limit)
        rows.append(evaluate(evaluation_set.name, predictions, reference))
        print_details(evaluation_set.name, predictions, options)
        files |= write_details(recognizer, evaluation_set.name, predictions, options)
    rows = append_means(rows)
    if options.robustness:
        _write(options.reports / "robustness.csv", _to_csv(rows))
        _write(options.reports / "robustness.md", to_markdown(rows).encode())
    if options.publish:
        files["robustness"] = options.checkpoints[0].with_name("robustness.csv")
        _write(files["robustness"], _to_csv(rows))
        record_in_manifest(options.checkpoints[0], checkpoints[0].id, files)
    return rows


def predict_set(recognizer: Recognizer, evaluation_set: EvaluationSet, limit: int | None) -> Predictions:
    """Predictions for all items, or for `limit` of them; those that cannot be read are listed on standard error."""
    step = max(1, -(-len(evaluation_set.items) // limit)) if limit else 1
    items = evaluation_set.items[::step]
    # disable=None: no progress bar unless standard error is a terminal.
    results = tqdm(predict_items(recognizer, items), evaluation_set.name, len(items), leave=False, disable=None)
    predictions = collect(items, results)
    for item, error in predictions.unreadable:
        print(f"evaluate_model: skipped {item.name}: {error}", file=sys.stderr)
    return predictions


def _reference_scores(recognizer: Recognizer, data_dir: Path) -> NDArray[np.float64] | None:
    """Digit scores of the MNIST validation digits; None, with a message, where MNIST is missing."""
    try:
        (validation,) = open_evaluation_sets(VALIDATION, data_dir)
    except DataError as error:
        print(f"evaluate_model: no AUROC, which needs MNIST's validation digits. {error}", file=sys.stderr)
        return None
    return collect(validation.items, predict_items(recognizer, validation.items)).digit_scores


def append_means(rows: Sequence[MetricsRow]) -> list[MetricsRow]:
    """Append the mean over the corruptions of each corrupted data set."""
    means = []
    for name in CORRUPTED:
        table = pd.DataFrame([row for row in rows if str(row["set"]).startswith(f"{name}:")])
        if len(table) > 1:
            mean: MetricsRow = dict.fromkeys(table.columns)
            mean |= {str(column): float(value) for column, value in table.mean(numeric_only=True).items()}
            mean |= {column: int(table[column].sum()) for column in ("n", "errors", "unreadable", "n_non_digits")}
            means.append(mean | {"set": f"{name} (mean)"})
    return [*rows, *means]


def print_details(name: str, predictions: Predictions, options: argparse.Namespace) -> None:
    """Print the confusion matrix and the classification report, if asked for."""
    rows = (predictions.labels != NON_DIGIT) & (predictions.digits >= 0)
    if options.json or not rows.any():
        return
    truth, predicted, labels = predictions.labels[rows], predictions.digits[rows], list(range(N_DIGITS))
    if options.confusion:
        matrix = pd.DataFrame(confusion_matrix(truth, predicted, labels=labels), index=labels, columns=labels)
        print(f"{name}: true digits in rows, predicted digits in columns\n{matrix.to_string()}\n")
    if options.report:
        print(f"{name}\n{classification_report(truth, predicted, labels=labels, digits=4, zero_division=0)}\n")


def write_details(
    recognizer: Recognizer, name: str, predictions: Predictions, options: argparse.Namespace
) -> dict[str, Path]:
    """Write the contact sheet and the reliability table, if asked for; returns their paths by manifest name."""
    files: dict[str, Path] = {}
    if options.mistakes:
        from training.plots import contact_sheet  # importing matplotlib takes a second

        files[f"mistakes/{name}"] = path = options.mistakes / f"{name}.png"
        _write(path, contact_sheet(recognizer, predictions, worst_mistakes(predictions, _N_MISTAKES)))
    if options.publish and name == VALIDATION:
        files["reliability"] = path = options.checkpoints[0].with_name("reliability.csv")
        probabilities, labels = torch.from_numpy(predictions.probabilities), torch.from_numpy(predictions.labels)
        _write(path, reliability_csv(probabilities.float(), labels).encode())
    return files


def _to_csv(rows: Sequence[MetricsRow]) -> bytes:
    return str(pd.DataFrame(rows).to_csv(index=False, float_format="%.6g")).encode()


def format_table(rows: Sequence[MetricsRow]) -> str:
    """The rows as text, shares in percent."""
    return _presentable(rows).to_string(index=False)


def to_markdown(rows: Sequence[MetricsRow]) -> str:
    """The rows as a Markdown table, shares in percent."""
    table = _presentable(rows)
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _presentable(rows: Sequence[MetricsRow]) -> pd.DataFrame:
    return pd.DataFrame(
        [{f"{k} %" if k in _PERCENT else k: _cell(v, percent=k in _PERCENT) for k, v in row.items()} for row in rows]
    )


def _cell(value: float | int | str | None, *, percent: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{100 * value:.2f}" if percent else f"{value:.4f}"
    return str(value)


def check_accuracy(rows: Sequence[MetricsRow], required: float | None) -> int:
    """1, with a message, if the accuracy on any set is below `required`; else 0."""
    failed = [row for row in rows if isinstance(row["accuracy"], float) and row["accuracy"] < (required or 0)]
    for row in failed:
        print(f"evaluate_model: {row['set']} is below the required accuracy of {required}", file=sys.stderr)
    return int(bool(failed))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)


if __name__ == "__main__":
    sys.exit(main())
