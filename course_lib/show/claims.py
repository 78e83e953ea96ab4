"""Numbers in prose, held to what the page computed."""

import re

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def claim(words: str, value: float | bool) -> None:
    """Check that words of the page say what was computed.

    The cell that calls this stands hidden behind the text that makes the claim. A test checks that
    the words stand in the text.

    Parameters
    ----------
    words : str
        As they stand in the text. If they hold one number, ``value`` must round to it: "17.8" is
        true of 17.75 to 17.85, "32 %" of .315 to .325. Words without a number, such as "in all five
        seeds", need a value that is True.
    value : float or bool
        What the page computed.

    Raises
    ------
    AssertionError
        If they do not agree.
    ValueError
        If the words hold more than one number.

    Examples
    --------
    >>> claim("about 17.8", 17.82)
    >>> claim("in 32 % of states", 0.3171)
    """
    numbers = NUMBER.findall(words)
    if len(numbers) > 1:
        raise ValueError(f"one number at a time: {words!r} holds {', '.join(numbers)}")
    if not numbers or isinstance(value, bool):
        if value is not True and not (hasattr(value, "dtype") and bool(value) is True):
            raise AssertionError(f"the page says {words!r}, which does not hold")
        return
    text = numbers[0].replace(",", "")
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    if re.search(re.escape(numbers[0]) + r"\s*(?:%|per cent)", words):
        value = 100.0 * value
    if not abs(value - float(text)) <= 0.5 * 10.0**-decimals * (1 + 1e-9):  # NaN fails too
        raise AssertionError(f"the page says {words!r}, the computed number is {value!r}")
