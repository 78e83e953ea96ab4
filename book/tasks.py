"""All tasks of the book, ``appendices/tasks.md``.

Which tasks there are, the judge knows. What each asks is the first sentence of its stub. How hard it
is and how long it takes stands in the table at the head of its exercise. What it practises is the
equations whose rows in the chapters name it.
"""

import ast
import json
import re
from pathlib import Path

from book.appendices import equations
from course_lib.grading.specs import TASKS

PAGE = Path("appendices/tasks.md")
HEAD = """# All tasks

Every function that the judge can check, in the order of the chapters: what it is to return, which
equations it practises, how hard it is and how long it takes. The times are the exercises' own
estimates. In a notebook `progress()` says which of its tasks are right, wrong and open;
`pytest exercises/` says it of all of them. This page is generated (`make exercises`).
"""
SCRIPT = "A script, `exercises/{}`; how hard its tasks are has not been estimated."


def cells_of(path: Path) -> list[tuple[str, str]]:
    """Kind and source of the cells of an exercise; a script is one cell of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [("code", text)]
    return [(c["cell_type"], "".join(c["source"])) for c in json.loads(text)["cells"]]


def exercise_file(root: Path, stem: str) -> Path:
    """The notebook of an exercise, or its script."""
    notebook = root / "exercises" / f"{stem}.ipynb"
    return notebook if notebook.is_file() else notebook.with_suffix(".py")


def asked(cells: list[tuple[str, str]]) -> dict[str, str]:
    """Function -> the first sentence of its docstring."""
    found = {}
    for kind, source in cells:
        if kind == "code":
            for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", source, flags=re.M))):
                if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                    first = re.split(r"(?<=\.)\s", " ".join(text.split("\n\n")[0].split()))[0]
                    found[node.name] = first
    return found


def efforts(cells: list[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Function -> how hard it is and how long it takes, from the exercise's table."""
    found: dict[str, tuple[str, str]] = {}
    text = "\n\n".join(source for kind, source in cells if kind == "markdown")
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.M):
        rows = [
            [cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()
        ]
        head = rows[0]
        if head[:1] == ["task"] and head[-1] == "time":
            hard = next(i for i, name in enumerate(head) if "hard" in name)
            for row in rows[2:]:
                if task := re.search(r"`(\w+)`", row[0]):
                    found[task[1]] = (row[hard], row[-1])
    return found


def practised(root: Path) -> dict[str, list[str]]:
    """Function -> the equations that name it as their exercise, and what they say."""
    found: dict[str, list[str]] = {}
    for rows in equations(root).values():
        for number, row in rows.items():
            if task := row.get("exercise"):
                found.setdefault(task, []).append(f"Eq. ({number}), {row['says']}")
    return found


def page(root: Path) -> str:
    """The page."""
    parts, equations_of = [HEAD], practised(root)
    for stem in dict.fromkeys(spec.exercise for spec in TASKS):
        path = exercise_file(root, stem)
        cells = cells_of(path)
        says, effort = asked(cells), efforts(cells)
        if path.suffix == ".py":
            title = re.split(r"[.\"]", cells[0][1].strip('" '))[0]
            parts.append(f"\n## {title}\n\n{SCRIPT.format(path.name)}\n")
        else:
            title = cells[0][1].splitlines()[0].lstrip("# ")
            parts.append(f"\n## {title}\n\n[Open the exercise](../exercises/{stem}.ipynb)\n")
        parts.append("| Task | What it asks, and practises | How hard | Time |\n|---|---|---|---|")
        for spec in TASKS:
            if spec.exercise == stem:
                hard, time = effort.get(spec.name, ("", ""))
                what = "<br>".join([says[spec.name], *equations_of.get(spec.name, [])])
                row = (f"`{spec.name}`", what, hard, time)
                parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |")
    return "\n".join(parts) + "\n"
