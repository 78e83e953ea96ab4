"""Generic facts about a wrong answer, the most telling first."""

from collections.abc import Sequence

import numpy as np

from .answers import Answer, close, comparable
from .spec import Probe, Spec

Fact = tuple[str, str]  # a headline and a hint
NEARLY = 1e-2


def most_telling(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> tuple[Fact, int]:
    """Return the fact about answers that match no known mistake, and the first probe it is about.

    Where the fact is about all probes, that is probe 0. NaN and infinity are named after a smaller
    probe with wrong numbers: those can be followed by hand, and the repair may remove both.
    """
    pairs = list(zip(expected, answers, strict=True))
    for fact in (wrong_type, wrong_shape):
        for number, (right, answer) in enumerate(pairs):
            found = fact(spec, right, answer)
            if found:
                return found, number
    number, found = next(
        ((n, f) for n, pair in enumerate(pairs) if (f := not_finite(spec, *pair))), (0, None)
    )
    if found and all(close(r, comparable(a, r), spec.tolerance) for r, a in pairs[:number]):
        return found, number
    headline, hint = about_all(spec, probes, expected, answers)
    if found:
        later = found[0].replace("Its", f"Later, on probe {number + 1}, its")
        hint = f"{hint}\n{later}".strip()
    return (headline, hint), 0


def about_all(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> Fact:
    """Return a pattern that all answers share, or else the probes on which they are wrong."""
    if any(isinstance(right, tuple) for right in expected):
        return about_parts(spec, probes, expected, answers)
    rights = [np.asarray(right, dtype=float) for right in expected]
    numbers = [np.asarray(answer.numbers, dtype=float) for answer in answers]
    for pattern in (factor, reversed_in_time, shifted_in_time, whole_numbers, nearly):
        found = pattern(spec, rights, numbers)
        if found:
            return found
    return which_probes(spec, probes, expected, answers)


def about_parts(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> Fact:
    """Say which parts of the answers are wrong, and what is wrong with the one if it is one."""
    names = spec.parts or tuple(f"part {n}" for n in range(1, len(expected[0]) + 1))
    columns = list(zip(names, zip(*expected, strict=True), strict=True))
    bad = []
    for place, (name, rights) in enumerate(columns):
        given = [answer.parts[place] for answer in answers]
        pairs = zip(rights, given, strict=True)
        if not all(close(right, part.numbers, spec.tolerance) for right, part in pairs):
            bad.append((name, rights, given))
    right = [name for name in names if name not in [one[0] for one in bad]]
    found = "Right in every probe: " + ", ".join(right) + "." if right else ""
    if len(bad) > 1:
        wrong = " and ".join(name for name, _, _ in bad)
        return f"These parts of its answer differ: {wrong}.", found
    ((name, rights, given),) = bad
    headline, hint = about_all(spec, probes, rights, given)
    return f"Of the {name}: {headline}", f"{hint}\n{found}".strip()


def wrong_type(spec: Spec, right, answer: Answer) -> Fact | None:
    """The answer is no array of numbers, or a part of it is missing."""
    if isinstance(right, tuple):
        if len(answer.parts) != len(right):
            return f"It should return {len(right)} things.", f"It returned: {answer.kind}."
        names = spec.parts or tuple(f"part {n}" for n in range(1, len(right) + 1))
        for name, part in zip(names, answer.parts, strict=True):
            if part.kind == "none" and "gradient" in name:
                hint = (
                    "autograd finds no path from the result back to it. `.detach()`, `.item()`, "
                    "`.data`, NumPy and `torch.no_grad()` all cut that path."
                )
                return f"The {name} does not exist.", hint[0].upper() + hint[1:]
            if part.numbers is None:
                return (
                    f"For the {name} it returns no array of numbers.",
                    f"It is of type {part.kind}.",
                )
        return None
    if answer.numbers is not None:
        return None
    if answer.parts:
        hint = "Its parts have different shapes, or are no numbers. Build one array."
        return f"It returned a {answer.kind} that does not form one array.", hint
    return f"It returned an object of type {answer.kind}.", "The answer is an array of numbers."


def wrong_shape(spec: Spec, right, answer: Answer) -> Fact | None:
    """The answer's shape differs."""
    actual = comparable(answer, right)
    subjects = ("Its answer has shape",)
    if isinstance(right, tuple):
        pairs = zip(right, actual, strict=True)
        shapes = [(np.shape(one), np.shape(other)) for one, other in pairs]
        subjects = [f"The shape of the {name} is" for name in spec.parts] or subjects * len(shapes)
    else:
        shapes = [(np.shape(right), actual.shape)]
    for subject, (wanted, given) in zip(subjects, shapes, strict=True):
        if wanted == given:
            continue
        headline = f"{subject} {given}; it should be {wanted}."
        if wanted == ():
            return headline, "One number is asked for: a sum or a mean over all entries is missing."
        if given == wanted[::-1] and len(wanted) == 2:
            return headline, "Rows and columns have changed places."
        if int(np.prod(given)) == int(np.prod(wanted)):
            return headline, "The number of entries is right: look for a reshape or a lost axis."
        if len(given) > len(wanted):
            return headline, "An axis too many often comes from broadcasting (N,) against (N, 1)."
        if len(given) < len(wanted):
            return headline, "An axis is missing: was it summed away, or lost by an index?"
        return headline, "Is there a row or a column too many or too few?"
    return None


def not_finite(spec: Spec, right, answer: Answer) -> Fact | None:
    """The answer holds NaN or infinity where the right one does not."""
    rights = right if isinstance(right, tuple) else (right,)
    actual = comparable(answer, right)
    actuals = actual if isinstance(right, tuple) else (actual,)
    for one, other in zip(rights, actuals, strict=True):
        same = (other == one) | (np.isnan(other) & np.isnan(one))
        bad = int((~np.isfinite(other) & ~same).sum())
        if bad:
            entries = "1 entry that is" if bad == 1 else f"{bad} entries that are"
            headline = f"Its answer holds {entries} NaN or infinite."
            return headline, "Look for a division by zero, or the logarithm of 0."
    return None


def factor(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """All answers are one constant times the right ones."""
    right, number = join(rights), join(numbers)
    finite = np.isfinite(right) & np.isfinite(number)  # an expected NaN tells nothing of a factor
    right, number = right[finite], number[finite]
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = float(right @ number / max(right @ right, 1e-300))
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
    """The decimals were cut off."""
    whole = all((n == np.round(n)).all() for n in numbers)
    with np.errstate(invalid="ignore"):  # infinity - infinity
        near = all((np.abs(r - n) <= 1).all() for r, n in zip(rights, numbers, strict=True))
    if whole and near:
        return "Its numbers have lost their decimals.", "Is the result kept in an integer array?"
    return None


def nearly(spec: Spec, rights: list, numbers: list) -> Fact | None:
    """The answer is close, but not as close as float32 allows."""
    if all(close(r, n, NEARLY) for r, n in zip(rights, numbers, strict=True)):
        right, number = join(rights), join(numbers)
        finite = np.isfinite(right)
        worst = np.abs(right[finite] - number[finite]).max(initial=0.0)
        hint = "Rounding, float16 or an extra epsilon can do this; float32 is precise enough."
        return f"Its numbers are close, but off by up to {worst:.2g}.", hint
    return None


def which_probes(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> Fact:
    """Say on which probes the function is right: often that is the clue."""
    pairs = zip(expected, answers, strict=True)
    fits = [close(right, comparable(answer, right), spec.tolerance) for right, answer in pairs]
    if not any(fits):
        return f"It differs on all {len(probes)} probes.", "Begin with the smallest one."
    lines = [
        f"{'right' if fit else 'wrong'} on probe {number}: {probe.title}"
        for number, (probe, fit) in enumerate(zip(probes, fits, strict=True), start=1)
    ]
    return f"It differs on {fits.count(False)} of {len(probes)} probes.", "\n".join(lines)


def join(arrays: list) -> np.ndarray:
    """Return all numbers of all arrays in one row."""
    return np.concatenate([array.ravel() for array in arrays])
