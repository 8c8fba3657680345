"""Measure what each source of training data brings: a short recipe, with all of them and without one, on three seeds.

    DIGITS_DATA_DIR=data python -m benchmarks.ablation                # resumes if interrupted

Each row is `train_model.py --recipe best`, shortened by `SHORT`, with the options of the row. All are measured on the
development sets under DIGITS_DATA_DIR/dev, none of which was trained on. Writes benchmarks/results/ablation.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from benchmarks.report import RESULTS, Report
from checkpoint import load_checkpoint
from config import ROOT, Settings
from recognition import Recognizer
from recognition.torch_engine import TorchEngine
from training.ensemble import list_members
from training.evaluation import MetricsRow, collect, evaluate
from training.evaluation_sets import VALIDATION, EvaluationSet, open_evaluation_sets, predict_items

SHORT = {"arguments": {"width": 16}, "epochs": 1, "lr": 6e-3, "ema_decay": 0.98}
ROWS = {
    "all sources": [],
    "without open digits": ["--data", "mnist"],
    "without real non-digits": ["--nondigits"],
    "without composed pictures": ["--composed", "0"],
}
SETS = (
    *("pen_digits.jsonl", "swiss", "photo_cells", "amounts"),
    *("pen_letters.jsonl", "pen_punctuation.jsonl", "pen_other_scripts.jsonl", "font_letters.npz"),
)
N_SEEDS = 3


def main() -> None:
    """Train the missing networks, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("reports/ablation"), help="folder for checkpoints")
    work = parser.parse_args().work
    for name, options in ROWS.items():
        train(checkpoint_path(work, name), options)
    data_dir = Settings.load().data_dir
    sets = [each for spec in SETS for each in open_evaluation_sets(str(data_dir / "dev" / spec), data_dir)]
    sets += open_evaluation_sets(VALIDATION, data_dir)
    report = Report("What each source of training data brings")
    report.say(
        f"`python -m benchmarks.ablation`: recipe `best` with {json.dumps(SHORT)}, mean of {N_SEEDS} seeds. Digits: "
        "right % (rejected %); non-digits: AUROC % (accepted %). The networks are smaller and trained far shorter than "
        "the pretrained one, so only the differences between the rows count."
    )
    names = [each.name for each in sets if each.name != VALIDATION]
    table = []
    for row in ROWS:
        members = list_members(checkpoint_path(work, row), N_SEEDS, 0)
        results = [measure(Recognizer(TorchEngine(load_checkpoint(member.output))), sets) for member in members]
        table.append([row, *(to_cell([result[name] for result in results]) for name in names)])
    report.table(("trained", *names), table)
    report.publish(RESULTS / "ablation.md")


def checkpoint_path(work: Path, name: str) -> Path:
    """Where the networks of a row are written, with the number of the seed appended."""
    return work / f"{name.replace(' ', '-')}.pth"


def train(output: Path, options: Sequence[str]) -> None:
    """Train the networks of a row, or those that are missing."""
    if all(member.is_finished for member in list_members(output, N_SEEDS, 0)):
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    parameters = output.with_name("short.json")
    parameters.write_text(json.dumps(SHORT))
    command = [sys.executable, "train_model.py", "--recipe", "best", "--params", str(parameters), *options]
    command += ["--members", str(N_SEEDS), "--output", str(output), "--reports", str(output.with_suffix(""))]
    subprocess.run([*command, "--no-plots", "--resume"], cwd=ROOT, check=True)


def measure(recognizer: Recognizer, sets: Sequence[EvaluationSet]) -> dict[str, MetricsRow]:
    """Metrics of each set."""
    predictions = {each.name: collect(each.items, predict_items(recognizer, each.items)) for each in sets}
    reference = predictions[VALIDATION].digit_scores
    return {name: evaluate(name, each, reference) for name, each in predictions.items()}


def to_cell(rows: Sequence[MetricsRow]) -> str:
    """The means over the seeds, in percent."""
    pairs = (("accuracy", "rejected"), ("auroc", "accepted"))
    known = [pair for pair in pairs if rows[0][pair[0]] is not None]
    means = [[100 * mean(float(row[key] or 0) for row in rows) for key in pair] for pair in known]
    return ", ".join(f"{right:.2f} ({wrong:.1f})" for right, wrong in means)


if __name__ == "__main__":
    main()
