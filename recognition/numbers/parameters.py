"""Parameters of reading whole numbers, which differ between drawings and pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of reading drawings or pictures."""

    counts_pieces: bool  # the lattice has a say in how many digits there are
    inverse_temperature: float  # of the sum of all log-probabilities, for calibration on the development sets
    min_evidence: float  # chosen on the development sets, of whose numbers it rejects 0.5 % that are read right
    min_evidence_in_one: float  # where all digits are in one component, as in most scribbles that look like a number
    min_evidence_of_ones: float  # where all of these are 1s, as in a zigzag


# `min_evidence_in_one` of pictures rejects three quarters of the scribbles and a third of the letters that would be
# read as numbers, and 1 % of the rows of MNIST digits of which 30 % touch.
# Strokes are parted as they were written. A connected component of a picture may be half of a digit, or two of them.
DRAWING = Parameters(
    counts_pieces=True, inverse_temperature=0.4, min_evidence=0.6, min_evidence_in_one=0.6, min_evidence_of_ones=3
)
DRAWING_WITHOUT_PATH = replace(
    DRAWING, inverse_temperature=0.45, min_evidence=0.8, min_evidence_in_one=0.8, min_evidence_of_ones=0.8
)
PICTURE = Parameters(
    False, inverse_temperature=0.42, min_evidence=-1.5, min_evidence_in_one=0.3, min_evidence_of_ones=0.3
)
# Lowest log-probability, by the stroke model, of one digit with symbols. 1 % of the development drawings of a digit
# and a point have less, and more than 95 % of the letters whose parts look like a digit and a symbol.
MIN_SIGNED_LOG_P = -1.5
# For one digit: a picture must plainly hold several.
PLAIN_PICTURE = replace(PICTURE, min_evidence=0.8, min_evidence_in_one=0.8, min_evidence_of_ones=0.8)
