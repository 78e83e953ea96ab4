"""What a value may be: types and ranges, declared once and checked where a value arrives.

A *kind* is a type annotation: ``bool``, ``int``, ``float``, ``str``, a ``Literal`` of words,
``tuple[kind, ...]``, ``kind | None``, or a number with a range, ``Annotated[float, Range(...)]``.
Settings declare the kinds of their fields; the command line reads its texts by the same kinds.
"""

import ast
import difflib
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin


@dataclass(frozen=True)
class Range:
    """The interval from low to high; its ends belong to it unless they are named open."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, x: float) -> bool:
        above = x > self.low if self.low_open else x >= self.low
        return above and (x < self.high if self.high_open else x <= self.high)

    def __str__(self) -> str:
        """What a number in this range must do, in words."""
        if self.high < math.inf:
            ends = f"{self.low:g}, {self.high:g}"
            return f"lie in {'[('[self.low_open]}{ends}{'])'[self.high_open]}"
        return (
            "be positive" if (self.low, self.low_open) == (0, True) else f"be at least {self.low:g}"
        )


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, low_open=True)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]

_NOUNS = {bool: "True or False", int: "an integer", float: "a number", str: "a string"}


def checked(name: str, value: Any, kind: Any) -> Any:
    """A value as a plain Python one of its kind.

    NumPy's scalars, and arrays and tensors without axes, count as the numbers they hold. An integer
    is a number; True and False are neither.

    Parameters
    ----------
    name : str
        What the value is called, for the error.
    value : object
    kind : type annotation
        See the module's docstring.

    Returns
    -------
    bool, int, float, str, tuple or None

    Raises
    ------
    ValueError
        If the value is of another type, out of range, NaN or infinite.
    """
    plain = value
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        plain = value.item()
    base, interval, optional = _parts(kind)
    if plain is None and optional:
        return None
    if get_origin(base) is tuple:
        return _checked_tuple(name, value, base)
    if get_origin(base) is Literal:
        words = get_args(base)
        if not isinstance(plain, str) or plain not in words:
            raise ValueError(
                f"{name} must be {_listed(words)}, not {value!r}{_nearest(plain, words)}"
            )
        return plain
    wanted = numbers.Real if base is float else base
    if not isinstance(plain, wanted) or (isinstance(plain, bool) and base is not bool):
        raise ValueError(f"{name} must be {described(kind)}, not {value!r}")
    try:
        plain = base(plain)
    except OverflowError:  # an integer of more than 308 digits
        plain = math.inf
    if base is float and not math.isfinite(plain):
        raise ValueError(f"{name} must be finite, not {value!r}")
    if interval is not None and plain not in interval:
        raise ValueError(f"{name} must {interval}, not {value!r}")
    return plain


def read(name: str, text: str, kind: Any) -> Any:
    """A value from its text, as it stands on a command line: ``.9``, ``1e5``, ``(64, 64)``, ``none``.

    Parameters
    ----------
    name, kind
        As in `checked`.
    text : str

    Returns
    -------
    bool, int, float, str, tuple or None

    Raises
    ------
    ValueError
        As in `checked`.
    """
    text = text.strip()
    base, _, _ = _parts(kind)
    words = {"true": True, "false": False, "none": None}
    if base is str:
        return checked(name, text, kind)
    value = words[text.lower()] if text.lower() in words else literal(text)
    # 1e5 is how people write a large integer; 16.0 is not.
    if base is int and isinstance(value, float) and "e" in text.lower() and value.is_integer():
        value = int(value)
    return checked(name, value, kind)


def literal(text: str) -> Any:
    """The number, tuple, dict or such that a text writes as Python would; a word is itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def require_known(names: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Raise a ValueError that names the first unknown name, its nearest neighbour, and all known."""
    known = list(known)
    for name in names:
        if name not in known:
            there = f"there are: {', '.join(known)}" if known else "there are none"
            raise ValueError(f"{owner} has no {name!r}{_nearest(name, known)}; {there}")


def described(kind: Any) -> str:
    """A kind in words, such as "a number or None"."""
    base, _, optional = _parts(kind)
    if get_origin(base) is Literal:
        words = _listed(get_args(base))
    elif get_origin(base) is tuple:
        words = f"a tuple of {described(get_args(base)[0]).split(' ', 1)[-1]}s, such as (64, 64)"
    else:
        words = _NOUNS[base]
    return f"{words} or None" if optional else words


def _parts(kind: Any) -> tuple[Any, Range | None, bool]:
    """The type without its range and without None; the range; whether None is allowed."""
    optional = False
    if NoneType in get_args(kind):
        kind, optional = next(k for k in get_args(kind) if k is not NoneType), True
    if get_origin(kind) is Annotated:
        base, *notes = get_args(kind)
        return base, next((note for note in notes if isinstance(note, Range)), None), optional
    return kind, None, optional


def _checked_tuple(name: str, value: Any, kind: Any) -> tuple:
    element = get_args(kind)[0]
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, tuple | list):
        hint = f": write ({value},)" if isinstance(value, int) else ""
        raise ValueError(f"{name} must be {described(kind)}, not {value!r}{hint}")
    return tuple(checked(f"{name}[{i}]", x, element) for i, x in enumerate(value))


def _listed(words: Iterable[object]) -> str:
    return " or ".join(map(repr, words))


def _nearest(word: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, 1) if isinstance(word, str) else []
    return f" (did you mean {close[0]}?)" if close else ""
