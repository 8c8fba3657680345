"""The server-rendered pages: one sheet of paper to draw on, or to lay a picture on, and the answer beside it."""

from __future__ import annotations

from flask import Blueprint, render_template

from recognition.preview import frame_png, png_data_url
from web.inputs import uploaded_picture
from web.operations import current_recognizer

pages = Blueprint("pages", __name__)


@pages.get("/")
def page() -> str:
    """An empty sheet."""
    return render_template("page.html")


@pages.post("/")
def read_upload() -> str:
    """Read the uploaded picture: the form's way, without JavaScript."""
    data = uploaded_picture()
    recognizer = current_recognizer()
    prediction = recognizer.predict_picture(data)
    return render_template(
        "page.html",
        prediction=prediction,
        picture=png_data_url(recognizer.preview(data)),
        frame=png_data_url(frame_png(prediction.frame)),
    )
