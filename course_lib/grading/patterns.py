"""Patterns that all wrong answers of a function may share, the most telling first.

Each takes the right answers and the given ones, as arrays in the units of their probes.
"""

import numpy as np

from .answers import close
from .spec import Spec

Fact = tuple[str, str]  # a headline and a hint
NEARLY = 1e-2


def factor(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """All answers are one constant times the right ones."""
    right, number = join(rights), join(numbers)
    finite = np.isfinite(right) & np.isfinite(number)  # an expected NaN tells nothing of a factor
    right, number = right[finite], number[finite]
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = float(right @ number / max(right @ right, 1e-300))
    if np.isfinite(ratio) and abs(ratio - 1) < 1e-3:
        return None  # close numbers, which is another fact
    if not np.isfinite(ratio) or abs(ratio) < 1e-6:
        if np.abs(number).max(initial=0.0) > spec.tolerance or not finite.all():
            return None
        return "All its numbers are 0.", "Is the result written to, and returned?"
    scaled = [ratio * r for r in rights]
    if not all(close(s, n, spec.tolerance) for s, n in zip(scaled, numbers, strict=True)):
        return None
    if abs(ratio + 1) < 1e-3:
        return "All its numbers have the wrong sign.", "What is subtracted from what?"
    return f"All its numbers are {ratio:.4g} times the right ones.", "Which factor is that?"


def reversed_in_time(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """The rows come in the opposite order."""
    flipped = [n[::-1] if n.ndim else n for n in numbers]
    if all(close(r, f, spec.tolerance) for r, f in zip(rights, flipped, strict=True)):
        hint = "A list that is filled from the end has its last step first."
        return "Its rows are right but in the opposite order.", hint
    return None


def shifted_in_time(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """The rows are right but one step too early or too late."""
    long = [(r, n) for r, n in zip(rights, numbers, strict=True) if r.ndim and len(r) > 2]
    if not long:
        return None
    hint = "Row t of the answer belongs to step t."
    if all(close(r[1:], n[:-1], spec.tolerance) for r, n in long):
        return "Its rows are right but one step too early.", hint
    if all(close(r[:-1], n[1:], spec.tolerance) for r, n in long):
        return "Its rows are right but one step too late.", hint
    return None


def whole_numbers(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """The decimals were cut off, or rounded away."""
    right, number = join(rights), join(numbers)
    if len(np.unique(number)) < 3 or not np.isfinite(right).all():
        return None  # one and the same number everywhere is no rounding
    if any(np.array_equal(number, rounded(right)) for rounded in (np.trunc, np.floor, np.round)):
        return "Its numbers have lost their decimals.", "Is the result kept in an integer array?"
    return None


def transposed(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """Rows and columns have changed places, in square answers too."""
    if any(r.ndim == 2 for r in rights) and all(
        close(r, n.T, spec.tolerance) for r, n in zip(rights, numbers, strict=True)
    ):
        return "Its rows and columns have changed places.", "Which axis is the first one?"
    return None


def another_order(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """The numbers are the right ones, but not at their places."""
    pairs = [
        (np.sort(r, axis=None), np.sort(n, axis=None)) for r, n in zip(rights, numbers, strict=True)
    ]
    if all(close(r, n, spec.tolerance) for r, n in pairs):
        return "Its numbers are right but at other places.", "In which order are they put together?"
    return None


def always_the_same(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """The arguments have no effect."""
    number = join(numbers)
    if len(numbers) < 3 or not np.isfinite(number).all() or np.ptp(number) > 0:
        return None
    if number[0] == 0 or np.ptp(join(rights)) == 0:
        return None
    headline = f"It answers {number[0]:.4g} on every probe, whatever the arguments are."
    return headline, "Is the result of your computation the one that is returned?"


def nearly(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """The answer is close, but not as close as float32 allows."""
    if all(close(r, n, NEARLY) for r, n in zip(rights, numbers, strict=True)):
        right, number = join(rights), join(numbers)
        finite = np.isfinite(right)
        worst = np.abs(right[finite] - number[finite]).max(initial=0.0)
        hint = "Rounding, float16 or an extra epsilon can do this; float32 is precise enough."
        return f"Its numbers are close, but off by up to {worst:.2g}.", hint
    return None


def join(arrays: list) -> np.ndarray:
    """Return all numbers of all arrays in one row."""
    return np.concatenate([array.ravel() for array in arrays])


PATTERNS = (
    always_the_same, factor, reversed_in_time, shifted_in_time, transposed, another_order,
    whole_numbers, nearly,
)  # fmt: skip
