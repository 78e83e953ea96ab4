"""Answers as the judge sees them: plain arrays, compared up to a tolerance."""

import re
from dataclasses import dataclass

import numpy as np

from .sandbox.wire import MAX_DEPTH

NUMBERS = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)|longdouble|float(96|128)")
MAX_AXES = 32  # NumPy's own limit was this one for long
MAX_PARTS = 64  # beyond so many, a list of numbers is an array and nothing else


@dataclass(frozen=True)
class Answer:
    """What a function returned, or why there is nothing to compare.

    Parameters
    ----------
    numbers : ndarray or None
        The returned numbers; None if the function returned something else.
    kind : str
        ``array``, ``tensor``, ``list``, ``number``, ``none``, or the name of another type.
    dtype : str
        The array's own dtype, empty for lists and numbers.
    parts : tuple of Answer
        For a tuple of answers of different shapes: its parts.
    """

    numbers: np.ndarray | None
    kind: str
    dtype: str = ""
    parts: tuple["Answer", ...] = ()


def read_answer(packed) -> Answer:
    """Return what `sandbox.wire.pack` wrote about a result. Never fails: it may be forged.

    Nothing is built that is larger than what was sent, and nothing that is nested deeper than
    `pack` nests.
    """
    return read_part(packed, 0)


def read_part(packed, depth: int) -> Answer:
    """Return an answer, or the part of one that is nested so many levels deep."""
    if packed is None:
        return Answer(None, "none")
    try:
        if isinstance(packed, bool | int | float):
            return Answer(as_numbers([packed], "", []), "number")
        if isinstance(packed, str):
            return Answer(None, "str")
        kind = packed["kind"]
        if kind in ("array", "tensor"):
            numbers = as_numbers(packed["data"], packed["dtype"], packed["shape"])
            return Answer(numbers, kind, packed["dtype"])
        if kind in ("list", "tuple") and depth < MAX_DEPTH:
            return read_sequence(packed["items"], kind, depth + 1)
        name = packed.get("type", kind)
        return Answer(None, name[:100] if isinstance(name, str) else "unknown")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return Answer(None, "unknown")


def as_numbers(data: list, dtype: str, shape: list) -> np.ndarray:
    """Return plain numbers as an array.

    Parameters
    ----------
    data : list
        Flat.
    dtype : str
        A type of numbers by its name; empty for Python's own.
    shape : list of int
        As many entries as `data` has, in all.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If the three are not what an array of numbers is written as.
    """
    if dtype and (not isinstance(dtype, str) or not NUMBERS.fullmatch(dtype)):
        raise ValueError(f"{dtype!r} is no type of numbers")
    if not all(type(number) in (bool, int, float) for number in data) or len(shape) > MAX_AXES:
        raise ValueError("an array is a flat list of numbers and its shape")
    with np.errstate(all="ignore"):
        array = np.array(data, dtype=dtype or None)
    if array.dtype.kind not in "biuf":
        raise ValueError("integers beyond 64 bits")
    return array.reshape([int(length) for length in shape])


def read_sequence(items: list, kind: str, depth: int) -> Answer:
    """Return a list as one array if its entries fit together, otherwise part by part.

    A number becomes a part of its own only where somebody may ask for it, in a short outer list.
    """
    plain = sum(type(item) in (bool, int, float) for item in items)
    outer = depth == 1 and len(items) <= MAX_PARTS
    if plain == len(items) and plain and not outer:
        return Answer(as_numbers(items, "", [len(items)]), "list")
    if not outer and not all(isinstance(item, dict) for item in items):
        return Answer(None, kind)
    parts = tuple(read_part(item, depth) for item in items)
    arrays = [part.numbers for part in parts if part.numbers is not None]
    if len(arrays) == len(parts) and len({array.shape for array in arrays}) == 1:
        return Answer(np.stack(arrays), "list", parts=parts)
    return Answer(None, kind, parts=parts)


def close(expected, actual, tolerance: float) -> bool:
    """Tell whether two answers agree in shape and, up to the tolerance, in every number.

    Parameters
    ----------
    expected, actual : array_like, or tuple of array_like
        None stands for a gradient that does not exist. NaN agrees with NaN and an infinity with the same infinity.
    tolerance : float
        As a fraction of the largest finite expected number, or of 1 where that is smaller.
    """
    return distance(expected, actual) <= tolerance


def distance(expected, actual, unit: float = 1.0) -> float:
    """Return the largest difference over the scale of `expected`, infinite for other shapes.

    The scale is the largest finite number of `expected`, or `unit` where that is larger.
    """
    if isinstance(expected, tuple):
        if not isinstance(actual, tuple) or len(actual) != len(expected):
            return np.inf
        pairs = zip(expected, actual, strict=True)
        # Two answers without parts, where parts are asked for, are the same answer.
        return max((distance(one, other, unit) for one, other in pairs), default=0.0)
    if expected is None or actual is None:  # a gradient that does not exist
        return 0.0 if expected is actual else np.inf
    expected, actual = np.asarray(expected, dtype=float), np.asarray(actual, dtype=float)
    if expected.shape != actual.shape:
        return np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], actual[~finite], equal_nan=True):
        return np.inf
    if not np.isfinite(actual[finite]).all():
        return np.inf
    scale = max(unit, np.abs(expected[finite]).max(initial=0.0)) or 1.0
    return float(np.abs(expected[finite] - actual[finite]).max(initial=0.0) / scale)


def as_arrays(value):
    """Return a result that `close` can compare: tensors and lists as arrays, None as None."""
    if isinstance(value, tuple):
        return tuple(as_arrays(part) for part in value)
    if value is None:
        return None
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def comparable(answer: Answer, expected):
    """Return the part of an answer that `close` compares with `expected`."""
    if isinstance(expected, tuple):
        return tuple(part.numbers for part in answer.parts)
    return answer.numbers
