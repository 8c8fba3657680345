"""What each distortion of the augmentation brings: train without it, and evaluate on all sets.

    DIGITS_DATA_DIR=data python -m benchmarks.ablation     # about 25 minutes on two cores; resumes if interrupted

Every row is a small network (width 16, 3 epochs) trained by `train_model.py --without NAME` and evaluated by
`evaluate_model.py` on MNIST validation and on every set under DIGITS_DATA_DIR/dev, with one seed: differences of a few
tenths of a point are noise. Writes benchmarks/results/ablation.md.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from config import ROOT, Settings
from storage import write_atomically
from training.recipes import DISTORTIONS

RESULTS = ROOT / "benchmarks" / "results" / "ablation.md"
WORK = Path(tempfile.gettempdir()) / "digits-ablation"
PARAMETERS = {"arguments": {"width": 16}, "epochs": 3, "ema_decay": 0.99}
LIMIT = 500  # items of each set


def main() -> None:
    """Train and evaluate each row that is missing, then write the table."""
    WORK.mkdir(exist_ok=True)
    (WORK / "parameters.json").write_text(json.dumps(PARAMETERS))
    (WORK / "no-non-digits.json").write_text(json.dumps({**PARAMETERS, "nondigit_share": 0.0}))
    parameters = WORK / "parameters.json"
    runs: dict[str, list[str]] = {"everything on": ["--params", str(parameters)]}
    runs |= {f"without {name}": ["--params", str(parameters), "--without", name] for name in DISTORTIONS}
    runs["without all of them"] = ["--params", str(parameters), "--without", *DISTORTIONS]
    runs["without non-digits"] = ["--params", str(WORK / "no-non-digits.json")]
    rows = {name: measure(name, options) for name, options in runs.items()}
    write_atomically(RESULTS, to_markdown(rows).encode())
    print(RESULTS.read_text())


def measure(name: str, options: list[str]) -> list[dict[str, Any]]:
    """Metrics of the network trained with `options`, one row per set."""
    stem = WORK / name.replace(" ", "-")
    result, checkpoint = stem.with_suffix(".json"), stem.with_suffix(".pth")
    if not result.exists():
        if not checkpoint.exists():
            _run("train_model.py", *options, "--output", str(checkpoint), "--reports", str(WORK), "--no-plots")
        development = sorted((Settings.load().data_dir / "dev").glob("*"))
        sets = [str(path) for path in development if path.name != "large_photos"]
        command = ["evaluate_model.py", str(checkpoint), "--json", "--limit", str(LIMIT), "--data", "mnist-validation"]
        result.write_text(_run(*command, *sets))
    rows: list[dict[str, Any]] = json.loads(result.read_text())
    return rows


def _run(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def to_markdown(rows: dict[str, list[dict[str, Any]]]) -> str:
    """A table with a row per run and a column per set."""
    first = next(iter(rows.values()))
    columns = [("accuracy", row["set"]) for row in first if row["n"]]
    columns += [("auroc", row["set"]) for row in first if row["n_non_digits"]]
    lines = [
        "# What each distortion brings",
        "",
        f"`python -m benchmarks.ablation`: width 16, {PARAMETERS['epochs']} epochs, one seed, up to {LIMIT} items",
        f"a set; torch {torch.__version__}, {platform.machine()}, {torch.get_num_threads()} threads.",
        "Accuracy in percent; for sets of non-digits the AUROC of the digit score against MNIST validation, in",
        "percent. One seed: differences of a few tenths are noise.",
        "",
        "| training | " + " | ".join(name + (" (AUROC)" if kind == "auroc" else "") for kind, name in columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for name, metrics in rows.items():
        by_set = {row["set"]: row for row in metrics}
        cells = [f"{100 * by_set[column][kind]:.2f}" for kind, column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
