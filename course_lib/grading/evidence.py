"""The numbers of a probe that fails, as a small table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .spec import Probe, Spec

MAX_ROWS = 12
SHORT = 8


def evidence(
    spec: Spec, probes: Sequence[Probe], expected: Sequence, actual: Sequence, first: int = 0
) -> str:
    """Return a failing probe, the first one from `first` on, with inputs and both answers."""
    for number, probe in enumerate(probes[first:], start=first):
        right, given = expected[number], actual[number]
        if spec.agree(probe, right, given):
            continue
        lines = [f"Probe {number + 1} of {len(probes)}: {probe.title}."]
        if isinstance(right, tuple) and isinstance(given, tuple) and len(given) == len(right):
            names = spec.parts or tuple(f"part {n}" for n in range(1, len(right) + 1))
            parts = zip(names, right, given, strict=True)
            name, right, given = next(p for p in parts if not spec.agree(probe, p[1], p[2]))
            lines.append(f"What differs: the {name}.")
        if same_shape(right, given):
            lines += table(spec, probe, np.asarray(right), np.asarray(given))
        return "\n".join(lines)
    return ""


def same_shape(right, given) -> bool:
    """Tell whether two answers are arrays that can stand side by side."""
    if isinstance(right, tuple) or given is None or isinstance(given, tuple):
        return False
    return np.shape(right) == np.shape(given)


def table(spec: Spec, probe: Probe, right: np.ndarray, given: np.ndarray) -> list[str]:
    """Return the worst column as a table over time, with the inputs of the same shape."""
    with np.errstate(invalid="ignore"):
        error = np.nan_to_num(np.abs(given.astype(float) - right), nan=np.inf)
    same = (given == right) | (np.isnan(given.astype(float)) & np.isnan(right.astype(float)))
    error = np.where(same, 0.0, error)  # infinity and NaN may be right
    worst = np.unravel_index(int(np.argmax(error)), right.shape) if right.ndim else ()
    column: tuple[Any, ...] = (slice(None), *worst[1:]) if right.ndim else ()
    arguments = list(zip(spec.parameters, probe.arguments, strict=False))
    beside = {
        name: np.asarray(value)[column]
        for name, value in arguments
        if isinstance(value, np.ndarray) and value.shape == right.shape
    }
    columns = {spec.rows: np.arange(len(np.atleast_1d(right[column])))} if right.ndim else {}
    columns |= beside | {"expected": right[column], "yours": given[column]}
    scalars = [f"{name} = {value:g}" for name, value in arguments if isinstance(value, int | float)]
    columns_are = "environment" if spec.rows == "t" else "column"
    where = [f"{columns_are} {worst[1]}"] if right.ndim == 2 and right.shape[1] > 1 else []
    short = short_arrays(arguments) if right.ndim == 0 else []
    lines = [", ".join(where + scalars + short) + ":"] if where or scalars or short else []
    texts = [[name, *map(show, np.atleast_1d(values))] for name, values in columns.items()]
    bad = np.atleast_1d(wrong(spec, probe, right, error)[column])
    texts += differences(texts, np.atleast_1d(error[column]), bad)
    widths = [max(map(len, text)) for text in texts]
    marks = ["", *np.where(bad, " <-", "")]
    rows = []
    for row, mark in zip(zip(*texts, strict=True), marks, strict=True):
        cells = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        rows.append(("  " + "  ".join(cells)).rstrip() + mark)
    return lines + rows[:1] + window(rows[1:], int(np.argmax(bad)))


def window(rows: list[str], shown: int) -> list[str]:
    """Return `MAX_ROWS` rows at most, row `shown` among them."""
    begin = 0 if shown < MAX_ROWS else shown - 2
    before, after = begin > 0, len(rows) > begin + MAX_ROWS
    return ["  ..."] * before + rows[begin : begin + MAX_ROWS] + ["  ..."] * after


def short_arrays(arguments: list[tuple]) -> list[str]:
    """Return the arrays that are short enough to be read in a line."""
    arrays = [(name, a) for name, a in arguments if isinstance(a, np.ndarray)]
    return [f"{name} = {listed(a.astype(float).tolist())}" for name, a in arrays if a.size <= SHORT]


def listed(numbers) -> str:
    """Return nested lists of numbers as text."""
    if isinstance(numbers, list):
        return f"[{', '.join(map(listed, numbers))}]"
    return show(numbers)


def differences(texts: list[list[str]], error: np.ndarray, bad: np.ndarray) -> list[list[str]]:
    """Return a column of differences where two numbers that differ are printed alike, or none."""
    expected, yours = texts[-2][1:], texts[-1][1:]
    if not any(b and e == y for b, e, y in zip(bad, expected, yours, strict=True)):
        return []
    return [["off by", *(f"{e:.2g}" if b else "" for b, e in zip(bad, error, strict=True))]]


def wrong(spec: Spec, probe: Probe, right: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return where the error is larger than the tolerance."""
    finite = np.abs(right[np.isfinite(right)]) if right.ndim else np.abs(np.atleast_1d(right))
    return np.asarray(error > spec.tolerance * max(probe.unit, finite.max(initial=0.0)))


def show(value) -> str:
    """Return a number with four decimals and six digits at most, a flag as 0 or 1."""
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(int(value))
    if 1e-3 <= abs(value) < 100:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value or 0.0:.{4 if abs(value) < 1 else 6}g}"  # a negative zero is a zero
