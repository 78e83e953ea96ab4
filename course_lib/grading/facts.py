"""Generic facts about a wrong answer, the most telling first."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from .answers import Answer, close, comparable
from .patterns import PATTERNS, Fact
from .spec import Probe, Spec

RESHAPED = "The number of entries is right: look for a reshape or a lost axis."


def most_telling(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> tuple[Fact, int]:
    """Return the fact about answers that match no known mistake, and the first probe it is about.

    Where the fact is about all probes, that is probe 0. NaN and infinity are named after a smaller
    probe with wrong numbers: those can be followed by hand, and the repair may remove both.
    """
    pairs = list(zip(expected, answers, strict=True))
    more = more_than_asked(spec, probes, expected, answers)
    if more:
        return more, 0
    found = [wrong_type(spec, right, answer) for right, answer in pairs]
    if any(found):
        return first_of(found)
    swapped = permuted(spec, probes, expected, answers)
    if swapped:
        return swapped, 0
    found = [wrong_shape(spec, right, answer) for right, answer in pairs]
    if any(found):
        # A dimension of size 1 hides what the axis too many is: other probes come first.
        sure = [None if fact is None or fact[1] == RESHAPED else fact for fact in found]
        return first_of(sure if any(sure) else found)
    found = [not_finite(spec, right, answer) for right, answer in pairs]
    fits = [spec.agree(p, r, comparable(a, r)) for p, (r, a) in zip(probes, pairs, strict=True)]
    if any(found) and all(fits[: first_of(found)[1]]):
        return first_of(found)
    headline, hint = about_all(spec, probes, expected, answers)
    if any(found):
        (first, _), number = first_of(found)
        later = first.replace("Its", f"Later, on probe {number + 1}, its")
        hint = f"{hint}\n{later}".strip()
    return (headline, hint), 0


def first_of(found: Sequence[Fact | None]) -> tuple[Fact, int]:
    """Return the first fact that there is, and its number."""
    return next((fact, number) for number, fact in enumerate(found) if fact is not None)


def more_than_asked(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> Fact | None:
    """The right answer comes with something else beside it."""
    if isinstance(expected[0], tuple):
        return None
    for place in range(min(len(answer.parts) for answer in answers)):
        given = [answer.parts[place].numbers for answer in answers]
        if all(map(spec.agree, probes, expected, given)):
            headline = f"It returns {len(answers[0].parts)} things, and one is asked for."
            return headline, f"Number {place + 1} of them is the right answer."
    return None


def permuted(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> Fact | None:
    """The parts of the answers are right, but in another order: everywhere, or at some exits."""
    if not isinstance(expected[0], tuple):
        return None
    given = [comparable(answer, right) for answer, right in zip(answers, expected, strict=True)]
    wrong = [n for n, probe in enumerate(probes) if not spec.agree(probe, expected[n], given[n])]
    for order in list(permutations(range(len(expected[0]))))[1:]:
        if all(
            len(given[n]) == len(order)
            and spec.agree(probes[n], expected[n], tuple(given[n][place] for place in order))
            for n in wrong
        ):
            names = " and ".join(spec.parts) or "them"
            where = "" if len(wrong) == len(probes) else f" on {len(wrong)} of {len(probes)} probes"
            return f"Its parts are right, but in another order{where}.", f"The order is: {names}."
    return None


def about_all(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> Fact:
    """Return a pattern that all answers share, or else the probes on which they are wrong."""
    if any(isinstance(right, tuple) for right in expected):
        return about_parts(spec, probes, expected, answers)
    units = [probe.unit or 1.0 for probe in probes]
    rights = [np.asarray(right, dtype=float) / u for right, u in zip(expected, units, strict=True)]
    numbers = [np.asarray(a.numbers, dtype=float) / u for a, u in zip(answers, units, strict=True)]
    for pattern in PATTERNS:
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
        if not all(map(spec.agree, probes, rights, [part.numbers for part in given])):
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
    subjects = ["Its answer has shape"]
    if isinstance(right, tuple):
        pairs = zip(right, actual, strict=True)
        shapes = [(np.shape(one), np.shape(other)) for one, other in pairs]
        subjects = [f"The shape of the {name} is" for name in spec.parts] or subjects * len(shapes)
    else:
        shapes = [(np.shape(right), actual.shape)]
    rights = right if isinstance(right, tuple) else (right,)
    actuals = actual if isinstance(right, tuple) else (actual,)
    for subject, (wanted, given), *both in zip(subjects, shapes, rights, actuals, strict=True):
        if wanted == given:
            continue
        headline = f"{subject} {given}; it should be {wanted}."
        missing = reduction(spec, *both)
        if missing:
            return headline, missing
        if wanted == ():
            return headline, "One number is asked for: a sum or a mean over all entries is missing."
        if given == wanted[::-1] and len(wanted) == 2:
            return headline, "Rows and columns have changed places."
        if int(np.prod(given)) == int(np.prod(wanted)):
            return headline, RESHAPED
        if len(given) > len(wanted):
            return headline, "An axis too many often comes from broadcasting (N,) against (N, 1)."
        if len(given) < len(wanted):
            return headline, "An axis is missing: was it summed away, or lost by an index?"
        return headline, "Is there a row or a column too many or too few?"
    return None


def reduction(spec: Spec, right, given) -> str:
    """Say which sum or mean over an axis of the answer is the right answer, if one is."""
    given, right = np.asarray(given, dtype=float), np.asarray(right, dtype=float)
    axes = [axis for axis in range(given.ndim) if given.shape[axis] > 1]
    for axis in [*axes, None] if len(axes) > 1 else axes:
        over = "all entries" if axis is None else f"axis {axis}"
        for name, reduced in (("sum", given.sum(axis)), ("mean", given.mean(axis))):
            if np.shape(reduced) == right.shape and close(right, reduced, spec.tolerance):
                return f"Its entries are right, but their {name} over {over} is asked for."
    return ""


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


def which_probes(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, answers: Sequence[Answer]
) -> Fact:
    """Say on which probes the function is right: often that is the clue."""
    triples = zip(probes, expected, answers, strict=True)
    fits = [spec.agree(probe, right, comparable(answer, right)) for probe, right, answer in triples]
    if not any(fits):
        return f"It differs on all {len(probes)} probes.", "Begin with the smallest one."
    lines = [
        f"{'right' if fit else 'wrong'} on probe {number}: {probe.title}"
        for number, (probe, fit) in enumerate(zip(probes, fits, strict=True), start=1)
    ]
    return f"It differs on {fits.count(False)} of {len(probes)} probes.", "\n".join(lines)
