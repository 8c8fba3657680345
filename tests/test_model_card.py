"""docs/model-card.md is true of the files of the pretrained model."""

import csv
import re

import pytest

from checkpoint import load_checkpoint
from config import ROOT

CARD = (ROOT / "docs/model-card.md").read_text(encoding="utf-8")
CHECKPOINT = load_checkpoint(ROOT / "mnist_model.pth")
ROBUSTNESS = {row["set"]: row for row in csv.DictReader((ROOT / "robustness.csv").read_text().splitlines())}
# The columns of the card's two tables, by the number of cells in a row.
COLUMNS = {6: ("n", "accuracy", "ece", "rejected"), 5: ("n_non_digits", "auroc", "accepted")}
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in CARD.splitlines() if re.match(r"\|.*\| `", line)
]


def test_origin_of_the_model_is_stated() -> None:
    assert f"Model `{CHECKPOINT.id}`" in CARD
    assert f"{CHECKPOINT.n_parameters:,} parameters" in CARD
    assert f"seed {CHECKPOINT.seed}, commit {CHECKPOINT.commit[:7]}" in CARD


def test_all_sets_that_were_measured_are_in_the_card() -> None:
    named = {row[1].strip("`") for row in ROWS}
    assert named == {name for name in ROBUSTNESS if ":" not in name} - {"mnist-validation"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[1]} {len(row)}")
def test_figures_are_those_of_the_last_measurement(row: list[str]) -> None:
    _, name, n, *shares = row
    measured = ROBUSTNESS[name.strip("`")]
    count, *columns = COLUMNS[len(row)]
    assert n == f"{int(measured[count]):,}"
    places = [2 if column in ("accuracy", "ece", "auroc") else 1 for column in columns]
    assert shares == [f"{100 * float(measured[c]):.{p}f}" for c, p in zip(columns, places, strict=True)]
