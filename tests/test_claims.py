"""Claims of the prose, held to what was computed."""

import numpy as np
import pytest

from course_lib.show.claims import claim


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("17.8", 17.75), ("about 17.8", 17.849), ("32 %", 0.3249), ("-1,109", -1108.6),
        ("1e-10", 1.4e-10), ("3.2e-16", 3.24e-16), ("in all seeds", True), ("500", np.float32(500)),
        ("in all seeds", np.bool_(True)),
    ],
)  # fmt: skip
def test_what_rounds_to_the_words_is_true(words, value):
    claim(words, value)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("17.8", 17.86), ("17.8", 17.74), ("32 %", 0.326), ("32 %", 32.0), ("-5", 5.0),
        ("1e-10", 2e-10), ("in all seeds", False), ("in all seeds", 1.0), ("500", np.nan),
    ],
)  # fmt: skip
def test_what_does_not_is_not(words, value):
    with pytest.raises(AssertionError, match="the page says"):
        claim(words, value)


def test_one_number_at_a_time():
    with pytest.raises(ValueError, match=r"17\.8, 9\.9"):
        claim("17.8 and 9.9", 17.8)
