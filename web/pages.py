"""The server-rendered page for drawing or uploading a digit, with the answer beside it."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, render_template

from config import VERSION
from recognition import InputError
from recognition.errors import N_
from recognition.numbers.pieces import Box
from recognition.numbers.reading import Reading
from recognition.picture import MEDIA_TYPES
from recognition.preview import frame_png, png_data_url
from web.inputs import uploaded_pictures
from web.language import gettext, share
from web.problems import describe
from web.rate_limits import count_predictions
from web.state import current_model_id, current_reader, current_settings, reads_numbers

# From this confidence on, the page says "This is a 7"; below, that it is not sure.
SURE_FROM = 0.9

# The pictures in static/samples/, which docs/pictures.py makes.
SAMPLES: Mapping[str, str] = {
    "chalk": N_("Chalk on a blackboard"),
    "pencil": N_("Pencil on grid paper"),
    "ballpoint": N_("Ballpoint on lined paper"),
    "marker": N_("Felt pen in a shadow"),
    "row": N_("A row of digits"),
    "scribble": N_("A scribble"),
}

pages = Blueprint("pages", __name__)


@pages.get("/")
def page() -> str:
    """The page without a digit."""
    return render_template("page.html")


@pages.get("/manifest.webmanifest")
def manifest() -> Response:
    """What a browser needs to install the page as an app."""
    return Response(render_template("manifest.json"), content_type="application/manifest+json")


@pages.post("/")
def read_upload() -> str:
    """Recognize uploaded pictures without JavaScript: shows the first, and a list if there are several."""
    pictures = uploaded_pictures("image")
    count_predictions(len(pictures) - 1)  # one was counted before the view
    reader = current_reader()
    if len(pictures) == 1:
        return render_template("page.html", **_to_variables(reader.read_picture(pictures[0][1], with_preview=True)))
    max_seconds = current_settings().limits.max_batch_seconds
    outcomes = reader.read_pictures([data for _, data in pictures], max_seconds, with_previews=True)
    results = [{"name": name, **_to_variables(outcome)} for (name, _), outcome in zip(pictures, outcomes, strict=True)]
    first = next((result for result in results if "reading" in result), results[0])
    return render_template("page.html", **first, results=results)


def _to_variables(outcome: Reading | InputError) -> dict[str, object]:
    """The template's variables for a reading or problem."""
    if isinstance(outcome, InputError):
        return {"problem": describe(outcome)}
    prediction = outcome.digits[0].prediction
    variables: dict[str, object] = {"reading": outcome, "frame": png_data_url(frame_png(prediction.frame))}
    if (preview := outcome.preview) is not None:
        boxes = [_clip(digit.box, preview.size) for digit in outcome.digits]
        variables |= {"picture": png_data_url(preview.png), "size": preview.size, "boxes": boxes}
    return variables


def _clip(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the part of a box that is in the picture."""
    left, top, box_width, box_height = box
    width, height = size
    return max(0.0, left), max(0.0, top), min(width, left + box_width), min(height, top + box_height)


@pages.app_context_processor
def _page_variables() -> dict[str, object]:
    return {
        "limits": current_settings().limits,
        "model_id": current_model_id(),
        "sure": SURE_FROM,
        "certainty": certainty,
        "read_route": "api.read" if reads_numbers() else "api.predict",
        "phrase": phrase,
        "samples": {name: gettext(words) for name, words in SAMPLES.items()},
        "picture_types": ",".join(MEDIA_TYPES),
        "version": VERSION,
    }


def certainty(reading: Reading) -> str:
    """The state of the answer for `reading`; `static/answer.js` chooses by the same rule."""
    if len(reading.digits) > 1:
        is_sure = reading.confidence >= SURE_FROM or not reading.alternatives
    elif not reading.digits[0].prediction.is_digit:
        return "not_digit"
    else:
        is_sure = reading.confidence >= SURE_FROM
    return "sure" if is_sure else "unsure"


def phrase(reading: Reading) -> str:
    """Name of the phrase for `reading`: English says "a 7", but "an 8"."""
    state = certainty(reading)
    if len(reading.digits) > 1:
        is_doubtful = state == "unsure" and reading.confidence < 0.5
        return "doubtful_number" if is_doubtful else f"{state}_number"
    return "sure_an" if state == "sure" and reading.text == "8" else state


@pages.app_template_filter()
def percent(probability: float, places: int = 1) -> str:
    """A probability as text; never 100% or 0%, because no prediction is certain."""
    least = 10 ** -(places + 2)
    if probability > 1 - least:
        return ">" + share(1 - least, places)
    return share(probability, places) if probability >= least else "<" + share(least, places)
