"""The openly licensed sets in `data/open`: pen and ballpoint digits and scans by other writers, and real non-digits.

`data/open/README.md` has their sources, licences and counts.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from config import Limits
from model_file import N_DIGITS
from recognition.errors import InputError
from training.datasets.digits import DataError, Digits
from training.datasets.drawings import Drawings, Line, load_strokes
from training.datasets.frames import load_frame, normalize_scans, stack_frames

# Labels of letters, signs, characters and doodles that look like a digit, and are left out of non-digits. They were
# chosen from sheets of 16 drawings each.
LOOKALIKES = frozenset(
    [
        *"/|',()OoIlqgSsbBZz.",
        *(f"Balinese/character{n}" for n in ("05",)),
        *(f"Early_Aramaic/character{n}" for n in ("02", "03", "04", "06", "14", "16", "17", "20")),
        *(f"Greek/character{n}" for n in ("04", "08", "09", "15")),  # delta, theta, iota, omicron
        *(f"Japanese_(katakana)/character{n}" for n in ("01", "24", "27", "46")),
        *(f"Korean/character{n}" for n in ("21", "22", "33")),
        *(f"Latin/character{n}" for n in ("02", "07", "12", "15", "17", "19", "26")),  # b, g, l, o, q, s, z
        *(f"Tagalog/character{n}" for n in ("03",)),
        *("baseball bat", "bracelet", "candle", "diving board", "hot air balloon", "knife", "light bulb", "line"),
        *("lollipop", "pencil", "spoon", "sword"),
    ]
)
_NARROW = 1 / 3  # a single stroke whose width is less than this share of its height is a 1


def load_pendigits(root: Path) -> Drawings:
    """5,994 pen digits of 24 writers. Raises `DataError`."""
    return load_strokes(root / "open" / "pendigits.jsonl.gz")


def load_unipen_digits(root: Path) -> Drawings:
    """8,123 pen digits of six collections. Raises `DataError`."""
    return load_strokes(root / "open" / "unipen_digits.jsonl.gz")


def load_swiss(root: Path) -> Digits:
    """4,772 ballpoint digits of 8 writers. Raises `DataError`."""
    path = root / "open" / "swiss.zip"
    frames, labels, writers, limits = [], [], [], Limits()
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                frames.append(load_frame(archive.read(name), limits))
                labels.append(int(name.split("/")[0]))
                writers.append(PurePosixPath(name).name.split("__")[0])
    except (OSError, ValueError, InputError, zipfile.BadZipFile) as error:
        raise _unreadable(path) from error
    return Digits(stack_frames(frames), torch.tensor(labels), writers)


def load_semeion(root: Path) -> Digits:
    """1,593 binary scans of 80 writers, 16x16 pixels, normalized to frames. Raises `DataError`."""
    path = root / "open" / "semeion.npz"
    try:
        with np.load(io.BytesIO(path.read_bytes())) as arrays:
            labels = torch.from_numpy(arrays["y"].astype(np.int64))
            frames = normalize_scans(arrays["x"].astype(np.float32) / 255)
    except (OSError, ValueError, KeyError, InputError, zipfile.BadZipFile) as error:
        raise _unreadable(path) from error
    return Digits(torch.from_numpy(frames), labels)


def _unreadable(path: Path) -> DataError:
    return DataError(f"{path} is missing or damaged; a clone of the project has it as data/open/{path.name}.")


def load_nondigits(name: str, root: Path) -> Drawings:
    """The non-digits of the set `name`, without those that look like a digit. Raises `DataError`."""

    def label_of(line: Line) -> int | None:
        is_lookalike = line["label"] in LOOKALIKES or _is_one(line["strokes"])
        return None if is_lookalike else N_DIGITS

    return load_strokes(root / "open" / f"{name}.jsonl.gz", label_of)


def _is_one(strokes: Sequence[Sequence[Sequence[float]]]) -> bool:
    """Whether a drawing is a single upright stroke, as of broken letters, too."""
    if len(strokes) > 1:
        return False
    width, height = np.ptp(np.asarray(strokes[0], dtype=float), axis=0)
    return bool(width < _NARROW * height)


OPEN_DIGITS: Mapping[str, Callable[[Path], Digits | Drawings]] = {
    "pendigits": load_pendigits,
    "unipen-digits": load_unipen_digits,
    "swiss": load_swiss,
    "semeion": load_semeion,
}
OPEN_NONDIGITS: Mapping[str, str] = {"unipen-signs": "unipen_signs", "omniglot": "omniglot", "quickdraw": "quickdraw"}
