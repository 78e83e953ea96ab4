"""The text of a catalogue: what it says is read, and what it cannot mean is refused."""

import pytest

from course_lib.grading.catalogue import Mistake, catalogue


def doubled(x, *, times=2):
    return times * x


def test_a_text_gives_its_mistakes_in_order():
    mistakes = catalogue(
        """
        # Why these stand first.
        sign: sign=-1.0, axis=None
            All your numbers are minus
            the right ones.
        factor_0.5: scale="half: yes"
        factor_0.1: scale=("a", 0.1)
            Too small.

        epsilon: ignores(epsilon=1e-8)
            No effect.
        twice: doubled
            Too large.
        thrice: doubled(times=3)
            Far too large.
        """,
        doubled,
    )
    assert mistakes[:4] == (
        Mistake("sign", "All your numbers are minus the right ones.", {"sign": -1.0, "axis": None}),
        Mistake("factor_0.5", "Too small.", {"scale": "half: yes"}),
        Mistake("factor_0.1", "Too small.", {"scale": ("a", 0.1)}),
        Mistake("epsilon", "No effect.", arguments={"epsilon": 1e-8}),
    )
    assert mistakes[4] == Mistake("twice", "Too large.", function=doubled)
    assert mistakes[5].function(7) == 21
    assert not mistakes[5].flags


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sign: sign=-1.0", "has no hint"),
        ("sign: sign=-1.0\n    Hint.\nlast: a=1", "has no hint"),
        ("sign:\n    Hint.", "says no option"),
        ("sign\n    Hint.", "says no option"),
        ("sign: sign=\n    Hint.", "cannot read"),
        ("sign: sign=minus\n    Hint.", "cannot read"),
        ("sign: 'sign'\n    Hint.", "cannot read"),
        ("two words: sign=1\n    Hint.", "says no option"),
        ("sign: halved\n    Hint.", "not given"),
        ("sign: halved(by=2)\n    Hint.", "not given"),
    ],
)
def test_what_cannot_be_read_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        catalogue(text, doubled)


def test_a_hint_above_all_headers_is_refused():
    with pytest.raises(ValueError, match="above all headers"):
        catalogue("    A hint.\n# A line between.\n")
