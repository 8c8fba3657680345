"""The page about the running model: what it is, how it was trained, and how good it is on what."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from typing import TypeVar

from flask import Blueprint, Response, render_template
from flask_babel import gettext
from werkzeug.exceptions import NotFound

from config import ROOT
from recognition.errors import N_
from web.api import revalidated
from web.charts.confusion import confusion
from web.charts.curves import error_curves, loss_curves
from web.charts.reliability import reliability
from web.operations import current_recognizer, current_settings
from web.record import SHEETS, Record, Rows, read_record

Chart = TypeVar("Chart")

BASELINES = ROOT / "benchmarks" / "results" / "baselines.csv"
# What the sets are that `evaluate_model.py --robustness` finds, by its names for them.
_SETS: Mapping[str, str] = {
    "mnist": N_("MNIST test digits"),
    "mnist-validation": N_("MNIST validation digits"),
    "corrupted-mnist-validation (mean)": N_("MNIST validation digits spoilt in fifteen ways, on average"),
    "swiss": N_("ball-pen digits on white paper, 11 Swiss writers"),
    "semeion": N_("binary scans stretched to squares, 80 writers"),
    "photo_cells": N_("cells of squared sheets in phone photographs"),
    "pen_digits": N_("pen trajectories, 30 writers"),
    "amounts": N_("digits cut from cheques: patterned paper, neighbours"),
    "pen_other_scripts": N_("characters of other scripts"),
    "pen_punctuation": N_("signs and punctuation"),
    "font_letters": N_("letters A to J in decorative fonts"),
}
# And what the non-digits are in those that have some beside digits.
_NON_DIGITS: Mapping[str, str] = {"photo_cells": N_("empty cells of squared sheets in phone photographs")}
# What `benchmarks/corruptions.py` does to digits.
_WAYS: Mapping[str, str] = {
    "shot_noise": N_("grain of faint light"),
    "impulse_noise": N_("black and white specks"),
    "glass_blur": N_("frosted glass"),
    "motion_blur": N_("a camera that moved"),
    "shear": N_("slant"),
    "scale": N_("smaller"),
    "rotate": N_("turned"),
    "brightness": N_("too bright"),
    "translate": N_("moved"),
    "stripe": N_("half of it black and white exchanged"),
    "fog": N_("fog"),
    "spatter": N_("spatters of mud"),
    "dotted_line": N_("a dotted line across"),
    "zigzag": N_("a zigzag line across"),
    "canny_edges": N_("outlines only"),
}

model_page = Blueprint("model_page", __name__)


@model_page.get("/model")
def page() -> str:
    """The page."""
    record = _record()
    train, validation = record.table("train_metrics"), record.table("val_metrics")
    return render_template(
        "model.html",
        info=current_recognizer().info,
        loss=_draw(loss_curves, train, validation),
        error=_draw(error_curves, train, validation),
        confusion=_draw(confusion, record.table("confusion_matrix")),
        reliability=_draw(reliability, record.table("reliability")),
        robustness=_sort_sets(record.table("robustness")),
        baselines=_read_baselines(),
        sheets=record.sheets,
    )


@model_page.get("/model/mistakes/<name>.png")
def mistakes(name: str) -> Response:
    """The contact sheet of the worst mistakes on one set."""
    sheet = _record().read(SHEETS + name)
    if sheet is None:
        raise NotFound
    return revalidated(Response(sheet, content_type="image/png"))


@model_page.app_template_filter()
def set_name(name: str) -> str:
    """What a set of digits or of other things is, in words; its own name where that is not known."""
    own = name.rpartition(":")[2]
    words = _SETS.get(name) or _WAYS.get(own)
    return str(gettext(words)) if words else own


@model_page.app_template_filter()
def non_digits_name(name: str) -> str:
    """What the non-digits of a set are, in words."""
    return str(gettext(_NON_DIGITS[name])) if name in _NON_DIGITS else set_name(name)


def _record() -> Record:
    return read_record(current_settings().model_path, current_recognizer().info.id)


def _draw(chart: Callable[..., Chart], *tables: Rows | None) -> Chart | None:
    """A chart of the tables; None where one is missing, or is not what the trainer writes."""
    if not all(tables):
        return None
    try:
        return chart(*tables)
    except (ValueError, KeyError, TypeError):
        return None


def _sort_sets(rows: Rows | None) -> Mapping[str, Rows] | None:
    """The sets with digits, those with other things, and each way in which digits were spoilt; a set may be in two."""
    if (
        not rows
        or not {"set", "n", "accuracy", "ece", "refused", "n_non_digits", "auroc", "accepted"} <= rows[0].keys()
    ):
        return None
    return {
        "digits": [row for row in rows if row["accuracy"] and ":" not in row["set"]],
        "others": [row for row in rows if row["accepted"]],
        "spoilt": [row for row in rows if ":" in row["set"]],
    }


def _read_baselines() -> Rows | None:
    try:
        return list(csv.DictReader(BASELINES.read_text(encoding="utf-8").splitlines()))
    except OSError:
        return None
