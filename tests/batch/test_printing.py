"""Tables of numbers; tests/test_predict.py prints digits and numbers of pictures."""

import io

from batch.printing import print_table
from batch.rows import Columns, Row


def test_table_of_numbers_is_aligned_and_has_one_line_per_picture() -> None:
    rows = [
        Row("a.png", texts=(("42", 0.9), ("412", 0.04))),
        Row("b.png", texts=(("12\n34", 0.9996),)),  # two lines, and no alternative
    ]
    out = io.StringIO()
    print_table(out, [rows], Columns(top=2, numbers=True), ["a.png", "b.png"])
    assert out.getvalue().splitlines() == [
        "path           text  confidence       2. text  confidence",
        "a.png            42      90.0 %           412       4.0 %",
        r"b.png        12\n34     >99.9 %",
    ]
