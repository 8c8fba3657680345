"""Check that an installation serves: pages in both languages, a drawing, a number, and every picture format.

    python deploy/check_image.py                       # in the project's folder; the container image is built with it

Exits with status 1 and a sentence if something is wrong.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flask_app import create_app

PAGES = ("/?lang=en", "/?lang=de", "/model", "/docs", "/openapi.json", "/api/v1/health/ready", "/metrics")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
PREDICT, READ = "/api/v1/predict", "/api/v1/read"


def main() -> int:
    """Check the installation; the exit status."""
    client = create_app().test_client()
    for page in PAGES:
        if (status := client.get(page).status_code) != 200:
            return fail(f"{page} is answered with {status}")
    one = {"strokes": [[[100, 20], [101, 60], [100, 120], [99, 180]]]}
    answers = {"a drawing": client.post(PREDICT, json=one)}
    answers |= {kind: client.post(PREDICT, data={"image": (picture(kind), "one")}) for kind in FORMATS}
    for kind, answer in answers.items():
        if answer.status_code != 200 or answer.get_json()["digit"] != 1:
            return fail(f"{kind} of a 1 is answered with {answer.text}")
    eleven = [*one["strokes"], [[300, 20], [301, 60], [300, 120], [299, 180]]]
    number = client.post(READ, json={"strokes": eleven})
    if number.status_code != 200 or number.get_json()["text"] != "11":
        return fail(f"an 11 is answered with {number.text}")
    print(f"serves {len(PAGES)} pages and reads {len(answers)} kinds of input")
    return 0


def picture(kind: str) -> io.BytesIO:
    """A picture file of a 1."""
    file, image = io.BytesIO(), Image.new("RGB", (200, 200), "white")
    image.paste("black", (95, 30, 110, 170))
    image.save(file, kind)
    file.seek(0)
    return file


def fail(reason: str) -> int:
    """Print why the check failed; the exit status."""
    print(f"check_image.py: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
