"""Which score tells a digit from what is none: four of them, on sets that no training has seen.

    DIGITS_DATA_DIR=data python -m benchmarks.rejection [CHECKPOINT]

AUROC against the MNIST validation digits, and the share of non-digits that pass where 1 % of those digits are refused.
Each input goes through the serving path; the scores are of the frame that it chose. Writes
benchmarks/results/rejection.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from config import ROOT, Settings
from model import N_DIGITS, digit_score, load_checkpoint
from recognition import Recognizer
from storage import write_atomically
from training.evaluation import Answers, collect
from training.material import NO_DIGIT, Material, open_material, read_items

RESULTS = ROOT / "benchmarks" / "results" / "rejection.md"
SETS = ("pen_punctuation.jsonl", "pen_other_scripts.jsonl", "font_letters.npz", "photo_cells")
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "highest probability (Hendrycks and Gimpel 2017)": lambda z: torch.softmax(z[:, :N_DIGITS], 1).amax(1),
    "highest logit": lambda z: z[:, :N_DIGITS].amax(1),
    "energy of the digits (Liu et al. 2020)": lambda z: torch.logsumexp(z[:, :N_DIGITS], 1),
    "log-odds against the background class (the one used)": digit_score,
}


def main() -> None:
    """Measure the scores and write the table."""
    settings = Settings.load()
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else settings.model_path
    checkpoint = load_checkpoint(path)
    recognizer, network = Recognizer(checkpoint), checkpoint.build()

    def logits_of(material: Material) -> Tensor:
        answers: Answers = collect(material.items, read_items(recognizer, material.items))
        # Blanks never reach the network: no score of it speaks of them.
        frames = [frame for frame in answers.frames if frame is not None]
        with torch.inference_mode():
            return torch.cat([network(torch.from_numpy(np.stack(part))) for part in _parts(frames)])

    reference = logits_of(open_material("mnist-validation", settings.data_dir))
    others = {}
    for name in SETS:
        material = open_material(str(settings.data_dir / "dev" / name), settings.data_dir)
        others[material.name] = logits_of(Material(name, [i for i in material.items if i.label == NO_DIGIT]))
    write_atomically(RESULTS, to_markdown(checkpoint.id, reference, others).encode())
    print(RESULTS.read_text())


def _parts(frames: list[NDArray[np.float32]], size: int = 500) -> list[list[NDArray[np.float32]]]:
    return [frames[start : start + size] for start in range(0, len(frames), size)]


def to_markdown(model: str, reference: Tensor, others: dict[str, Tensor]) -> str:
    """A row for each score, two columns for each set."""
    lines = [
        "# Which score tells a digit from what is none",
        "",
        f"`python -m benchmarks.rejection`, model {model}: AUROC in percent against the MNIST validation digits, and",
        "in brackets the percentage of non-digits that pass where 1 % of those digits are refused. No training has",
        "seen these sets. Blank pictures, which are refused before any score, do not count.",
        "",
        "| score | " + " | ".join(others) + " |",
        "| --- |" + " --- |" * len(others),
    ]
    for name, score in SCORES.items():
        known = score(reference).numpy()
        cells = [_cell(known, score(logits).numpy()) for logits in others.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(known: NDArray[np.float32], unknown: NDArray[np.float32]) -> str:
    truth = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
    auroc = roc_auc_score(truth, np.concatenate([known, unknown]))
    return f"{100 * auroc:.2f} ({100 * (unknown >= np.quantile(known, 0.01)).mean():.1f})"


if __name__ == "__main__":
    main()
