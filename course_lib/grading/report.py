"""Verdicts for people: the closing table of a terminal and the coloured box of a notebook."""

import html
from collections.abc import Sequence

from .states import State, Verdict

COLOURS = {"right": "#2e7d32", "open": "#8d6e00", "wrong": "#c62828"}
SIGNS = {"right": "\N{CHECK MARK}", "open": "\N{WHITE CIRCLE}", "wrong": "\N{MULTIPLICATION X}"}


def group_of(state: State) -> str:
    """Return ``right``, ``open`` or ``wrong``."""
    return "right" if state is State.RIGHT else "open" if state.is_open else "wrong"


def closing_table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Return the table that ends a run: per notebook how many tasks are right, wrong and open.

    Parameters
    ----------
    rows : sequence of (notebook, task, state)
        One row per graded function; the state as its text.
    """
    notebooks = list(dict.fromkeys(sorted(notebook for notebook, _, _ in rows)))
    width = max(len("notebook"), *map(len, notebooks))
    lines = [f"{'notebook'.ljust(width)}  right  wrong  open"]
    for notebook in notebooks:
        groups: dict[str, list[str]] = {"right": [], "wrong": [], "open": []}
        for name, task, text in rows:
            if name == notebook:
                state = State(text)
                plain = state in (State.RIGHT, State.WRONG, State.NOT_ATTEMPTED)
                groups[group_of(state)].append(task if plain else f"{task} ({text})")
        counts = [len(groups[group]) for group in ("right", "wrong", "open")]
        lines.append("{}  {:5d}  {:5d}  {:4d}".format(notebook.ljust(width), *counts))
        lines += [
            f"    {group.ljust(5)}  {', '.join(tasks)}" for group, tasks in groups.items() if tasks
        ]
    return "\n".join(lines)


def as_html(verdict: Verdict) -> str:
    """Return a verdict as a small box that reads well on light and dark pages."""
    group = group_of(verdict.state)
    title = (
        f"<span style='color:{COLOURS[group]}'>{SIGNS[group]}</span> "
        f"<b>{html.escape(verdict.task)}: {html.escape(verdict.state.value)}.</b> "
        f"{with_code(verdict.headline)}"
    )
    parts = [f"<div>{title}</div>"]
    parts += [f"<div>{with_code(line)}</div>" for line in verdict.hint.splitlines()]
    parts += [f"<div><i>Note:</i> {with_code(note)}</div>" for note in verdict.notes]
    if verdict.evidence:
        parts.append(f"<pre>{html.escape(verdict.evidence)}</pre>")
    if verdict.printed:
        parts.append(f"<div>It printed:</div><pre>{html.escape(verdict.printed)}</pre>")
    style = f"border-left:4px solid {COLOURS[group]};padding:0.2em 0 0.2em 0.8em"
    return f"<div style='{style}'>{''.join(parts)}</div>"


def with_code(text: str) -> str:
    """Escape text for HTML and set what stands between backticks as code."""
    pieces = html.escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)
    )
