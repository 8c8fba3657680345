"""The page about the running model: architecture, training, and accuracy by data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from flask import Blueprint, Response, render_template
from werkzeug.exceptions import NotFound

from recognition.errors import N_
from web.api import with_etag
from web.charts import Rows, confusion, error_curves, loss_curves, reliability
from web.language import gettext
from web.model_files import ModelFiles, load_model_files
from web.state import current_reader, current_recognizer, current_settings

Chart = TypeVar("Chart")

# The data sets of `evaluate_model.py --robustness`, by its names for them.
_DATA_SETS: Mapping[str, str] = {
    "mnist": N_("MNIST test digits"),
    "mnist-validation": N_("MNIST validation digits"),
    "corrupted-mnist-validation (mean)": N_("corrupted MNIST validation digits, average of fifteen corruptions"),
    "swiss": N_("ballpoint digits on white paper, other writers"),
    "photo_cells": N_("cells of grid paper in phone photos"),
    "pen_digits": N_("pen trajectories, other writers"),
    "amounts": N_("digits cut from cheques, with patterned paper and parts of neighbouring digits"),
    "pen_letters": N_("letters that do not look like a digit"),
    "pen_other_scripts": N_("characters of other scripts"),
    "pen_punctuation": N_("symbols and punctuation that do not look like a digit"),
    "font_letters": N_("letters A to J in decorative fonts"),
}
# The sets of whole numbers of `benchmarks/numbers.py`, by its names for them.
_NUMBER_SETS: Mapping[str, str] = {
    "MNIST test digits, apart": N_("rows of MNIST test digits"),
    "MNIST test digits, 30 % touching": N_("rows of MNIST test digits, three in ten touching"),
    "drawn, apart": N_("drawn rows by other writers"),
    "drawn, touching or overlapping": N_("drawn rows by other writers, touching or overlapping"),
    "ZIP codes, amounts and times, drawn": N_("drawn ZIP codes, amounts and times by other writers"),
    "cheque amounts": N_("handwritten amounts on cheques"),
}
# The non-digits of data sets that have digits, too.
_NON_DIGITS: Mapping[str, str] = {"photo_cells": N_("empty cells of grid paper in phone photos")}
# The corruptions of MNIST-C, by their names there.
_CORRUPTIONS: Mapping[str, str] = {
    "shot_noise": N_("shot noise"),
    "impulse_noise": N_("black and white pixels"),
    "glass_blur": N_("frosted glass"),
    "motion_blur": N_("motion blur"),
    "shear": N_("slant"),
    "scale": N_("smaller"),
    "rotate": N_("rotated"),
    "brightness": N_("too bright"),
    "translate": N_("shifted"),
    "stripe": N_("an inverted stripe"),
    "fog": N_("fog"),
    "spatter": N_("mud spatter"),
    "dotted_line": N_("a dotted line across"),
    "zigzag": N_("a zigzag line across"),
    "canny_edges": N_("outlines only"),
}

model_page = Blueprint("model_page", __name__)


@model_page.get("/model")
def page() -> str:
    """The page about the model."""
    files = _model_files()
    train, validation = files.table("train_metrics"), files.table("val_metrics")
    return render_template(
        "model.html",
        info=current_recognizer().info,
        loss=_draw(loss_curves, train, validation),
        error=_draw(error_curves, train, validation),
        confusion=_draw(confusion, files.table("confusion_matrix")),
        reliability=_draw(reliability, files.table("reliability")),
        robustness=_split_robustness(files.table("robustness")),
        numbers=_numbers(files.table("numbers")),
        baselines=files.table("baselines"),
        data_sets_with_mistakes=files.data_sets_with_mistakes,
    )


@model_page.get("/model/mistakes/<name>.png")
def mistakes(name: str) -> Response:
    """A contact sheet of the worst mistakes on a data set."""
    sheet = _model_files().mistakes(name)
    if sheet is None:
        raise NotFound
    return with_etag(Response(sheet, content_type="image/png"))


@model_page.app_template_filter()
def data_set(name: str) -> str:
    """Description of a data set or corruption; its name if there is none."""
    own_name = name.rpartition(":")[2]
    words = _DATA_SETS.get(name) or _NUMBER_SETS.get(name) or _CORRUPTIONS.get(own_name)
    return str(gettext(words)) if words else own_name


@model_page.app_template_filter()
def non_digits(name: str) -> str:
    """Description of the non-digits of a data set."""
    return str(gettext(_NON_DIGITS[name])) if name in _NON_DIGITS else data_set(name)


def _model_files() -> ModelFiles:
    return load_model_files(current_settings().model_path, current_recognizer().info.id)


def _draw(chart: Callable[..., Chart], *tables: Rows | None) -> Chart | None:
    """A chart of the tables; None if one is missing, or is not one that the trainer writes."""
    if not all(tables):
        return None
    try:
        return chart(*tables)
    except (ValueError, KeyError, TypeError):
        return None


def _numbers(rows: Rows | None) -> Rows | None:
    """Results on whole numbers; None if they are not of the number model that is running."""
    info = current_reader().info
    if not rows or not info or not {"set", "n", "right", "ece", "number_model"} <= rows[0].keys():
        return None
    return rows if rows[0]["number_model"] == info.id else None


def _split_robustness(rows: Rows | None) -> Mapping[str, Rows] | None:
    """Results on digits, on non-digits and by corruption; a data set may have both digits and non-digits."""
    if (
        not rows
        or not {"set", "n", "accuracy", "ece", "rejected", "n_non_digits", "auroc", "accepted"} <= rows[0].keys()
    ):
        return None
    return {
        "digits": [row for row in rows if row["accuracy"] and ":" not in row["set"]],
        "non_digits": [row for row in rows if row["accepted"]],
        "corruptions": [row for row in rows if ":" in row["set"]],
    }
