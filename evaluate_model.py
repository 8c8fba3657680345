"""Measure checkpoints on any data: accuracy, calibration, and what they take for a digit.

python evaluate_model.py                                            # mnist_model.pth on the MNIST test digits
python evaluate_model.py a.pth b.pth --data mnist-validation        # an ensemble: probabilities are averaged
python evaluate_model.py --data photos/ pens.jsonl letters.npz --mistakes reports
python evaluate_model.py --robustness                               # every set under DIGITS_DATA_DIR/dev, to reports/
python evaluate_model.py --publish                                  # the same, for the app's page about the model

Data are: a data set's name (mnist, emnist-digits, qmnist, usps, mnist-validation, corrupted-mnist); a folder with a
sub-folder of pictures per digit, where any other sub-folder holds non-digits; .npz with x uint8 [N, H, W] and y [N], -1
for non-digits; .jsonl with label and strokes; a folder with labels.jsonl of file, text and boxes. Each goes through
the same door as in the app.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix
from tqdm import tqdm

from benchmarks.corruptions import CORRUPTIONS
from config import Settings, SettingsError
from model import N_DIGITS, CheckpointError, load_checkpoint
from recognition import Recognizer
from storage import write_atomically
from training.artifacts import reliability_table, vouch
from training.data import DataError, Digits
from training.evaluation import Answers, Committee, Figures, collect, measure, worst
from training.material import (
    NO_DIGIT,
    Item,
    Material,
    RawFrame,
    items_of_digits,
    load_digits,
    open_material,
    read_items,
)
from training.sheets import contact_sheet

_N_MISTAKES = 96  # on a contact sheet
_PERCENT = ("accuracy", "ece", "refused", "auroc", "fpr_at_95", "fpr_at_99", "accepted")
_CALIBRATED_ON = "mnist-validation"
_ROBUSTNESS = ("mnist", _CALIBRATED_ON, "corrupted-mnist-validation")
# Data sets that are corrupted here, by the names of what comes of them.
_CORRUPTED = {"corrupted-mnist": "mnist", "corrupted-mnist-validation": "mnist-validation"}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 below `--require-accuracy`, 2 for wrong usage or missing data."""
    try:
        settings = Settings.load()
        options = parse_arguments(settings, arguments)
        rows = evaluate(settings, options)
    except (SettingsError, CheckpointError, DataError, OSError) as error:
        print(f"evaluate_model: {error}", file=sys.stderr)
        return 2
    print(json.dumps(rows, indent=2) if options.json else format_table(rows))
    return check_accuracy(rows, options.require_accuracy)


def parse_arguments(settings: Settings, arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; exits with status 2 where it is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="*", metavar="CHECKPOINT", help="several are averaged")
    parser.add_argument("--data", nargs="+", action="extend", metavar="DATA", help="what to measure on")
    parser.add_argument("--robustness", action="store_true", help="measure on every set there is; write a report")
    parser.add_argument(
        "--through",
        choices=("frames", "pictures"),
        help="the door for data sets of 28x28 digits; else the corrupted ones are pictures, the others frames",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure on at most N items of each set, evenly spaced")
    parser.add_argument("--json", action="store_true", help="print JSON, with unrounded figures")
    parser.add_argument("--require-accuracy", type=float, metavar="X", help="exit with 1 below X (0 to 1) on any set")
    parser.add_argument("--confusion", action="store_true", help="print confusion matrices as well")
    parser.add_argument("--report", action="store_true", help="print precision and recall of each digit as well")
    parser.add_argument("--mistakes", type=Path, metavar="DIR", help="write contact sheets of the worst mistakes here")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="where --robustness writes")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="--robustness, and write robustness.csv and reliability.csv beside the checkpoint for the app to show",
    )
    options = parser.parse_args(arguments)
    options.checkpoints = options.checkpoints or [settings.model_path]
    options.robustness |= options.publish
    if options.publish and (len(options.checkpoints) > 1 or options.limit):
        parser.error("--publish is for one checkpoint, measured without --limit")
    if options.json and (options.confusion or options.report):
        parser.error("--json goes without --confusion and --report")
    options.data = options.data or ([] if options.robustness else ["mnist"])
    if options.robustness:
        options.data += [*_ROBUSTNESS, *map(str, _development_sets(settings.data_dir))]
        options.mistakes = options.mistakes or options.reports / "robustness"
    return options


def _development_sets(data_dir: Path) -> list[Path]:
    """Files and folders of material under `dev`, but no folder of mere pictures without labels."""
    found = sorted((data_dir / "dev").glob("*"))
    return [p for p in found if p.suffix in {".npz", ".jsonl"} or (p / "labels.jsonl").is_file() or (p / "1").is_dir()]


def evaluate(settings: Settings, options: argparse.Namespace) -> list[Figures]:
    """One row of figures per set. Raises `CheckpointError`, `DataError` or `OSError`."""
    checkpoints = [load_checkpoint(path) for path in options.checkpoints]
    members = [Recognizer(checkpoint, settings.limits) for checkpoint in checkpoints]
    recognizer = members[0] if len(members) == 1 else Committee(members)
    sets = [material for spec in options.data for material in open_sets(spec, settings.data_dir, options.through)]
    has_non_digits = any(item.label == NO_DIGIT for material in sets for item in material.items)
    reference = _reference_scores(recognizer, settings.data_dir) if has_non_digits else None
    rows = []
    about: dict[str, Path] = {}  # files about the model, by what they are
    for material in sets:
        answers = ask(recognizer, material, options.limit)
        rows.append(measure(material.name, answers, reference))
        show_details(material.name, answers, options)
        if options.mistakes:
            path = options.mistakes / f"{material.name}.png"
            _write(path, contact_sheet(recognizer, answers, worst(answers, _N_MISTAKES)))
            about[f"mistakes/{material.name}"] = path
        if options.publish and material.name == _CALIBRATED_ON:
            about["reliability"] = options.checkpoints[0].with_name("reliability.csv")
            _write(about["reliability"], _reliability(answers))
    rows = average_corruptions(rows)
    if options.robustness:
        _write(options.reports / "robustness.csv", _to_csv(rows))
        _write(options.reports / "robustness.md", to_markdown(rows).encode())
    if options.publish:
        about["robustness"] = options.checkpoints[0].with_name("robustness.csv")
        _write(about["robustness"], _to_csv(rows))
        vouch(options.checkpoints[0], checkpoints[0].id, about)
    return rows


def _reliability(answers: Answers) -> bytes:
    return reliability_table(torch.from_numpy(answers.probabilities).float(), torch.from_numpy(answers.labels)).encode()


def _to_csv(rows: Sequence[Figures]) -> bytes:
    return str(pd.DataFrame(rows).to_csv(index=False, float_format="%.6g")).encode()


def open_sets(spec: str, data_dir: Path, through: str | None) -> list[Material]:
    """The material named by `spec`; corrupted digits are one set for each corruption. Raises `DataError`."""
    name, _, only = spec.partition(":")
    if name not in _CORRUPTED:
        return [open_material(spec, data_dir, as_pictures=through == "pictures")]
    if only and only not in CORRUPTIONS:
        raise DataError(f"{only!r} is no corruption; there are {', '.join(CORRUPTIONS)}.")
    digits = load_digits(_CORRUPTED[name], data_dir)
    frames = digits.frames.numpy().astype(np.float32) / np.float32(255)
    sets = []
    for corruption in [only] if only else CORRUPTIONS:
        corrupted = CORRUPTIONS[corruption](frames, np.random.default_rng(0)) * 255
        spoilt = Digits(torch.from_numpy(corrupted.round().astype(np.uint8)), digits.labels)
        # They no longer have the frame's geometry, so the front end is to see them.
        items = items_of_digits(corruption, spoilt, as_pictures=through != "frames")
        sets.append(Material(f"{name}:{corruption}", list(items)))
    return sets


def average_corruptions(rows: Sequence[Figures]) -> list[Figures]:
    """The rows, and one more for each kind of digits that was corrupted in several ways: the mean of those rows."""
    means = []
    for name in _CORRUPTED:
        table = pd.DataFrame([row for row in rows if str(row["set"]).startswith(f"{name}:")])
        if len(table) > 1:
            mean: Figures = dict.fromkeys(table.columns)
            mean |= {str(column): float(value) for column, value in table.mean(numeric_only=True).items()}
            mean |= {column: int(table[column].sum()) for column in ("n", "errors", "unreadable", "n_non_digits")}
            means.append(mean | {"set": f"{name} (mean)"})
    return [*rows, *means]


def _reference_scores(recognizer: Recognizer, data_dir: Path) -> NDArray[np.float64] | None:
    """Digit scores of the MNIST validation digits; None, and a sentence, where MNIST is missing."""
    try:
        digits = load_digits("mnist-validation", data_dir)
    except DataError as error:
        print(f"evaluate_model: no AUROC: it compares with MNIST's validation digits. {error}", file=sys.stderr)
        return None
    items = [Item("reference", 0, RawFrame(frame)) for frame in digits.frames.numpy()]
    return collect(items, read_items(recognizer, items)).scores


def ask(recognizer: Recognizer, material: Material, limit: int | None) -> Answers:
    """The network's answers to all items, or to `limit` of them; what cannot be read is named on standard error."""
    step = max(1, -(-len(material.items) // limit)) if limit else 1
    items = material.items[::step]
    # tqdm's None: no bar where standard error is not a terminal.
    progress = tqdm(read_items(recognizer, items), material.name, len(items), leave=False, disable=None)
    answers = collect(items, progress)
    for item, error in answers.unreadable:
        print(f"evaluate_model: skipped {item.name}: {error}", file=sys.stderr)
    return answers


def show_details(name: str, answers: Answers, options: argparse.Namespace) -> None:
    """Print what was asked for beside the table."""
    digits = answers.is_digit & (answers.predicted >= 0)
    if options.json or not digits.any():
        return
    truth, predicted, labels = answers.labels[digits], answers.predicted[digits], list(range(N_DIGITS))
    if options.confusion:
        matrix = pd.DataFrame(confusion_matrix(truth, predicted, labels=labels), index=labels, columns=labels)
        print(f"{name}: true digits down, predicted digits across\n{matrix.to_string()}\n")
    if options.report:
        print(f"{name}\n{classification_report(truth, predicted, labels=labels, digits=4, zero_division=0)}\n")


def format_table(rows: Sequence[Figures]) -> str:
    """The rows as text, shares in percent."""
    return _presentable(rows).to_string(index=False)


def to_markdown(rows: Sequence[Figures]) -> str:
    """The rows as a Markdown table, shares in percent."""
    table = _presentable(rows)
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _presentable(rows: Sequence[Figures]) -> pd.DataFrame:
    return pd.DataFrame(
        [{f"{k} %" if k in _PERCENT else k: _cell(v, percent=k in _PERCENT) for k, v in row.items()} for row in rows]
    )


def _cell(value: float | int | str | None, *, percent: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{100 * value:.2f}" if percent else f"{value:.4f}"
    return str(value)


def check_accuracy(rows: Sequence[Figures], required: float | None) -> int:
    """1 if any set of digits falls below the accuracy `required`, with a sentence; else 0."""
    short = [row for row in rows if isinstance(row["accuracy"], float) and row["accuracy"] < (required or 0)]
    for row in short:
        print(f"evaluate_model: {row['set']} is below the required accuracy of {required}", file=sys.stderr)
    return int(bool(short))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)


if __name__ == "__main__":
    sys.exit(main())
