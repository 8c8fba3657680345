"""Makes the pictures of the page: samples of handwriting on materials that people photograph, and icons.

    python -m docs.pictures

static/samples/NAME.webp is a sample, static/samples/all.webp all of them as thumbnails in a row.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from config import ROOT
from testing.handwriting import EUROPEAN_7, HANDWRITINGS, Drawing

FOLDER = ROOT / "static"
SIDE = 168  # pixels
THUMBNAIL = 64
QUALITY = 40

Picture = NDArray[np.float32]  # [SIDE, SIDE, 3], 0 to 255
CHANCE = np.random.default_rng(0)


def main() -> None:
    """Write every picture."""
    (FOLDER / "samples").mkdir(exist_ok=True)
    hands = HANDWRITINGS
    pictures = {
        "chalk": write(paper((52, 66, 60), 5), hands[2][0], (226, 228, 220), pen=8, gaps=0.35),
        "pencil": write(rule(paper((246, 244, 238), 2), 21, 21), hands[5][1], (92, 92, 98), pen=3, gaps=0.15),
        "ballpoint": write(rule(paper((250, 249, 244), 2), None, 28), EUROPEAN_7, (36, 54, 150), pen=3),
        "marker": shade(write(paper((238, 232, 220), 2), hands[8][0], (150, 30, 36), pen=9)),
        "row": write(paper((248, 248, 246), 2), row(hands[3][0], hands[1][1], hands[4][0]), (30, 30, 40), pen=4),
        "scribble": write(paper((250, 250, 250), 0), scribble(), (40, 40, 60), pen=5),
    }
    thumbnails = np.hstack([cv2.resize(picture, (THUMBNAIL, THUMBNAIL)) for picture in pictures.values()])
    for name, picture in {**pictures, "all": thumbnails}.items():
        save(picture, f"samples/{name}.webp", quality=QUALITY, method=6)
    for side in (192, 512):
        save(icon(side), f"icon-{side}.png", optimize=True)


def save(picture: Picture, name: str, **options: Any) -> None:
    """Write a picture under static/."""
    path = FOLDER / name
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, **options)
    print(f"static/{name}: {path.stat().st_size} bytes")


def paper(colour: tuple[int, int, int], grain: float) -> Picture:
    """A sheet of one colour, with a grain of this standard deviation."""
    grains = cv2.GaussianBlur(CHANCE.normal(0, 4 * grain, (SIDE, SIDE)), (0, 0), 2)
    sheet: Picture = (np.array(colour) + grains[..., None]).astype(np.float32)
    return sheet


def rule(picture: Picture, across: int | None, down: int) -> Picture:
    """Light blue lines every so many pixels."""
    picture[down // 2 :: down] = (172, 196, 222)
    if across:
        picture[:, across // 2 :: across] = (172, 196, 222)
    return picture


def write(picture: Picture, drawing: Drawing, colour: tuple[int, int, int], pen: int, gaps: float = 0) -> Picture:
    """Draw strokes with a pen of this width in pixels; `gaps` is the share of the paper that chalk or pencil misses."""
    ink = np.zeros((4 * SIDE, 4 * SIDE), np.uint8)
    lines = [np.array(stroke, np.float32) * (4 * SIDE / 280) for stroke in drawing]
    cv2.polylines(ink, [line.astype(np.int32) for line in lines], False, 255, 4 * pen, cv2.LINE_AA)
    share = cv2.resize(ink, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    texture = cv2.GaussianBlur(CHANCE.random((SIDE, SIDE)), (0, 0), 1)
    share = share * np.where(texture < np.quantile(texture, gaps), 0.35, 1)[..., None]
    mixed: Picture = picture * (1 - share) + share * np.array(colour, np.float32)
    return mixed


def shade(picture: Picture) -> Picture:
    """A soft shadow from the upper right."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    light = 1 - 0.55 / (1 + np.exp((rows - columns + 0.1) * 14))
    shaded: Picture = picture * light[..., None].astype(np.float32)
    return shaded


def row(*drawings: Drawing) -> Drawing:
    """Digits side by side."""
    width = 280 / len(drawings)
    return [
        [(x / len(drawings) + number * width, 140 + (y - 140) / len(drawings)) for x, y in stroke]
        for number, drawing in enumerate(drawings)
        for stroke in drawing
    ]


def scribble() -> Drawing:
    """A line that goes round and round, and nowhere."""
    turns = np.linspace(0, 7 * np.pi, 160)
    radius = 50 + 25 * np.sin(1.7 * turns)
    return [list(zip(90 + 1.1 * radius * np.cos(turns) + 5 * turns, 140 + radius * np.sin(turns), strict=True))]


def icon(side: int) -> Picture:
    """The favicon without its round corners, because systems cut their own."""
    scale = side / 32
    picture: Picture = np.full((side, side, 3), (47, 91, 199), np.float32)
    curves = [  # as in static/favicon.svg
        [(9.5, 9.5), (13.5, 10.3), (18.5, 10.3), (22.5, 9.5)],
        [(22.5, 9.5), (18, 13.5), (15, 18), (14, 23.5)],
        [(11.5, 16.5), (14.5, 17), (17, 16.9), (19.5, 16.5)],
    ]
    t = np.linspace(0, 1, 64)[:, None]
    ink = np.zeros((4 * side, 4 * side), np.uint8)
    for a, b, c, d in np.array(curves) * scale * 4:
        line = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        cv2.polylines(ink, [line.astype(np.int32)], False, 255, round(2.8 * scale * 4))
    share = cv2.resize(ink, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    picture += share * (255 - picture)
    return picture


if __name__ == "__main__":
    main()
