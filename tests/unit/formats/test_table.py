import csv
import io

import pytest

from palate.formats.write import table


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_becomes_a_formula(start):
    text = f"{start}cmd|'/C calc'!A0"
    (row,) = list(csv.reader(io.StringIO(table([start], [[text]]), newline="")))[1:]
    assert row == [f"'{text}"]
    assert table([text], []).lstrip('"').startswith("'")


def test_numbers_and_other_texts_stay():
    rows = [[-1.5, 2, None, "a=b", 'say "x"', "two\nlines", ""]]
    text = table(list("abcdefg"), rows)
    assert text.endswith('-1.5,2,,a=b,"say ""x""","two\nlines",\r\n')
