"""The server-rendered page for drawing or uploading a digit, with the answer beside it."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, render_template

from config import VERSION
from recognition import InputError, Prediction, Region
from recognition.errors import N_
from recognition.picture import MEDIA_TYPES
from recognition.preview import frame_png, png_data_url
from web.inputs import uploaded_pictures
from web.language import gettext, share
from web.operations import current_model_id, current_recognizer, current_settings
from web.problems import describe
from web.rate_limits import count_predictions

# From this confidence on, the page says "This is a 7"; below, that it is not sure.
SURE_FROM = 0.9

# The pictures in static/samples/, which docs/pictures.py makes.
SAMPLES: Mapping[str, str] = {
    "chalk": N_("Chalk on a blackboard"),
    "pencil": N_("Pencil on squared paper"),
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
    """Recognise uploaded pictures without JavaScript: shows the first, and a list if there are several."""
    pictures = uploaded_pictures("image")
    count_predictions(len(pictures) - 1)  # one was counted before the view
    recognizer = current_recognizer()
    if len(pictures) == 1:
        return render_template(
            "page.html", **_to_variables(recognizer.predict_picture(pictures[0][1], with_preview=True))
        )
    max_seconds = current_settings().limits.max_batch_seconds
    outcomes = recognizer.predict_pictures([data for _, data in pictures], max_seconds, with_previews=True)
    results = [{"name": name, **_to_variables(outcome)} for (name, _), outcome in zip(pictures, outcomes, strict=True)]
    first = next((result for result in results if "prediction" in result), results[0])
    return render_template("page.html", **first, results=results)


def _to_variables(outcome: Prediction | InputError) -> dict[str, object]:
    """The template's variables for a prediction or problem."""
    if isinstance(outcome, InputError):
        return {"problem": describe(outcome)}
    variables: dict[str, object] = {"prediction": outcome, "frame": png_data_url(frame_png(outcome.frame))}
    if (preview := outcome.preview) is not None:
        boxes = [_clip(outcome.region, preview.size)]
        variables |= {"picture": png_data_url(preview.png), "size": preview.size, "boxes": boxes}
    return variables


def _clip(region: Region, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what a region shows of a picture."""
    width, height = size
    right, bottom = region.left + region.side, region.top + region.side
    return max(0.0, region.left), max(0.0, region.top), min(width, right), min(height, bottom)


@pages.app_context_processor
def _page_variables() -> dict[str, object]:
    return {
        "limits": current_settings().limits,
        "model_id": current_model_id(),
        "sure": SURE_FROM,
        "certainty": certainty,
        "phrase": phrase,
        "samples": {name: gettext(words) for name, words in SAMPLES.items()},
        "picture_types": ",".join(MEDIA_TYPES),
        "version": VERSION,
    }


def certainty(prediction: Prediction) -> str:
    """The state of the answer for `prediction`; `static/answer.js` chooses by the same rule."""
    if not prediction.is_digit:
        return "not_digit"
    return "sure" if prediction.confidence >= SURE_FROM else "unsure"


def phrase(prediction: Prediction) -> str:
    """Name of the phrase for `prediction`: English says "a 7", but "an 8"."""
    state = certainty(prediction)
    return "sure_an" if state == "sure" and prediction.digit == 8 else state


@pages.app_template_filter()
def percent(probability: float, places: int = 1) -> str:
    """A probability as text; never 100% or 0%, because no prediction is certain."""
    least = 10 ** -(places + 2)
    if probability > 1 - least:
        return ">" + share(1 - least, places)
    return share(probability, places) if probability >= least else "<" + share(least, places)
