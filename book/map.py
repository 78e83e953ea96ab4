"""The map of the book, ``appendices/map.md``, drawn from what is declared here.

What needs what is declared here and nowhere else. The picture leaves out what follows from the
rest: chapter 8 needs 5, 6 and 7, and since 7 needs 6 and 6 needs 5, one line is enough.
"""

import re
from html import escape
from pathlib import Path

from .prose import chapters, heading

PAGE = Path("appendices/map.md")
#: Chapter -> the chapters that it builds on.
NEEDS: dict[int, tuple[int, ...]] = {
    1: (),
    2: (1,),
    3: (1, 2),
    4: (3,),
    5: (3, 4),
    6: (5,),
    7: (5, 6),
    8: (5, 6, 7),
    9: (2, 8),
    10: (1, 2, 3, 4, 5),
    11: (2, 3, 10),
    12: (11,),
    13: (1, 5, 8, 9, 10, 11, 12),
    14: (8, 11),
    15: (3, 4, 10),
}
PARTS = {
    1: "Policy gradients",
    3: "From gradients to regions",
    6: "TRPO",
    10: "PPO",
    13: "Evidence",
    15: "Today",
}
STEP, TOP, DOT, WIDE = 44, 30, 100, 370  # units of the drawing
HEAD = """# The map: what leads to what

Every chapter, and what it builds on. A line leads from a chapter to one that needs it, always
downwards; what follows from other lines is left out. If you are here for PPO, chapters 1 to 5 and then 10 and 11 are enough. For TRPO, read on from 5 to 9.
Chapter 14 can be read in pieces at any time: each of its entries names what it needs.
"""


def written(root: Path) -> dict[int, tuple[str, str]]:
    """Number -> file name and title of the chapters that exist."""
    return {
        number: (path.stem, heading(path).partition(": ")[2])
        for number, path in chapters(root).items()
    }


def everything_below(chapter: int) -> set[int]:
    """All chapters that a chapter builds on, directly or through others."""
    return set(NEEDS[chapter]).union(*map(everything_below, NEEDS[chapter]))


def drawn(chapter: int) -> list[int]:
    """What a chapter needs, without what the rest of it needs anyway."""
    implied = set().union(*map(everything_below, NEEDS[chapter]))
    return [needed for needed in NEEDS[chapter] if needed not in implied]


def height_of(chapter: int) -> int:
    """Where a chapter's dot is; every part begins with a line for its name."""
    return TOP + STEP * (chapter - 1) + 30 * sum(first <= chapter for first in PARTS)


def _line(needed: int, chapter: int) -> str:
    """A straight line to the next chapter, an arc on the left to a later one."""
    start, end = height_of(needed) + 13, height_of(chapter) - 13
    if chapter == needed + 1:
        return f'<path class="next" d="M{DOT} {start}V{end}"/>'
    out = DOT - 24 - 13 * (chapter - needed)
    return (
        f'<path class="need" d="M{DOT - 13} {start - 13}C{out} {start + 4} {out} {end - 4} '
        f'{DOT - 15} {end + 13}"/><path class="need" d="M{DOT - 22} {end + 8}l7 5l-7 5"/>'
    )


def drawing(known: dict[int, tuple[str, str]]) -> str:
    """The map as an SVG."""
    rows = []
    for first, part in PARTS.items():
        y = height_of(first) - 34
        rows.append(f'<text class="part" x="{DOT + 26}" y="{y + 5}">{escape(part)}</text>')
    rows += [_line(needed, chapter) for chapter in NEEDS for needed in drawn(chapter)]
    for chapter in NEEDS:
        y = height_of(chapter)
        name, title = known[chapter]
        mark = (
            f'<circle class="dot" cx="{DOT}" cy="{y}" r="13"/>'
            f'<text class="number" x="{DOT}" y="{y + 5}">{chapter}</text>'
            f'<text class="name" x="{DOT + 26}" y="{y + 5}">{escape(title)}</text>'
        )
        rows.append(f'<a href="../chapters/{name}.html">{mark}</a>')
    tall = height_of(max(NEEDS)) + 30
    return (
        f'<svg viewBox="0 0 {WIDE} {tall}" role="group" '
        f'aria-label="The chapters in a column, with lines from each to those that need it; '
        f'the table below says this and what is left out.">\n' + "\n".join(rows) + "\n</svg>"
    )


def _links(numbers: list[int], known: dict[int, tuple[str, str]]) -> str:
    """Chapter numbers, linked to their pages."""
    return ", ".join(f"[{n}](../chapters/{known[n][0]}.ipynb)" for n in numbers)


def page(root: Path) -> str:
    """The page: the picture, and the same as a table."""
    known = written(root)
    parts = [
        HEAD,
        "```{raw} html",
        '<div class="book-map" role="region" aria-label="Map of the chapters" tabindex="0">',
        drawing(known),
        "</div>",
        "```",
        "\n## The same in words\n",
        "| Chapter | Builds on | Leads to |\n|---|---|---|",
    ]
    for chapter, needs in NEEDS.items():
        name, title = known[chapter]
        label = f"[{chapter}. {title}](../chapters/{name}.ipynb)"
        leads = [other for other, needed in NEEDS.items() if chapter in needed]
        parts.append(f"| {label} | {_links(list(needs), known)} | {_links(leads, known)} |")
    return "\n".join(parts) + "\n"


def named(sentence: str) -> set[int]:
    """The chapters that a "You need" names: "chapter 3", "chapters 6 to 8", "chapter 2's"."""
    found: set[int] = set()
    for numbers in re.findall(r"[Cc]hapters? (\d+(?:(?:, | and | to )\d+)*)", sentence):
        first, *rest = map(int, re.findall(r"\d+", numbers))
        found |= set(range(first, rest[0] + 1)) if " to " in numbers else {first, *rest}
    return found
