"""Questions of the bank without their answers: ``python -m book.exam 1.2 8.1 > sheet.md``.

The bank is ``teaching/exam.md``. It is no page of the book.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

BANK = Path("teaching/exam.md")
HEADING = re.compile(r"^### (\d+\.\d+) (.+?) \((\d+) points\)$", re.M)


@dataclass(frozen=True)
class Question:
    """A question of the bank; texts are Markdown."""

    number: str
    title: str
    points: int
    question: str
    answer: str
    marking: str


def bank(root: Path) -> dict[str, Question]:
    """Number -> question, in the bank's order."""
    text = (root / BANK).read_text(encoding="utf-8")
    _, *pieces = HEADING.split(text)
    found = {}
    for number, title, points, body in zip(*(pieces[i::4] for i in range(4)), strict=True):
        body = re.split(r"^## ", body, flags=re.M)[0]
        question, answer, marking = re.split(r"\*\*(?:Answer|Marking)\.\*\* ", body)
        texts = (part.strip() for part in (question, answer, marking))
        found[number] = Question(number, title, int(points), *texts)
    return found


def sheet(root: Path, numbers: list[str]) -> str:
    """The questions alone, with the sum of their points.

    Raises
    ------
    ValueError
        If the bank does not hold one of them.
    """
    known = bank(root)
    if missing := [number for number in numbers if number not in known]:
        raise ValueError(
            f"the bank has no question {', '.join(missing)}; it has {', '.join(known)}"
        )
    chosen = [known[number] for number in numbers]
    total = sum(question.points for question in chosen)
    parts = [f"# Examination\n\n{len(chosen)} questions, {total} points."]
    parts += [
        f"## {n}. {question.title} ({question.points} points)\n\n{question.question}"
        for n, question in enumerate(chosen, start=1)
    ]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str]) -> int:
    """Print a sheet, or what there is to choose from."""
    root = Path(__file__).resolve().parent.parent
    if not arguments:
        for question in bank(root).values():
            print(f"{question.number:>5}  {question.title} ({question.points} points)")
        return 0
    try:
        print(sheet(root, arguments), end="")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
