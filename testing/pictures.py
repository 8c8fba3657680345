"""Pictures for tests, handwriting drawn with a felt pen."""

import io
from typing import Any

from PIL import Image, ImageDraw

from testing.handwriting import Drawing


def draw_picture(drawing: Drawing, size: tuple[int, int] = (280, 280), pen: int = 18) -> Image.Image:
    """Dark ink on white paper."""
    # Pillow draws jagged lines: drawn larger and made smaller, they are smooth.
    picture = Image.new("L", (4 * size[0], 4 * size[1]), 255)
    pencil = ImageDraw.Draw(picture)
    for stroke in drawing:
        pencil.line([(4 * x, 4 * y) for x, y in stroke], fill=30, width=4 * pen, joint="curve")
        for x, y in (stroke[0], stroke[-1]):
            pencil.circle((4 * x, 4 * y), 2 * pen, fill=30)
    return picture.reduce(4)


def encode(picture: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def multipart(*files: bytes, name: str = "image", filename: str = "digit.png") -> dict[str, Any]:
    """A form with files, as arguments of a test client's request.

    Werkzeug's own encoder leaves the temporary file open in which it puts large ones.
    """
    head = f'--frontier\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'.encode()
    body = b"".join(head + data + b"\r\n" for data in files) + b"--frontier--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=frontier"}


def picture_of(drawing: Drawing, file_format: str = "PNG") -> bytes:
    """The bytes of a picture file of `drawing`."""
    return encode(draw_picture(drawing), file_format)
