"""Derive the exercise notebooks from the solutions: ``python -m course_lib.grading.generate``.

A solution notebook is the one source. What stands between ``### BEGIN SOLUTION`` and
``### END SOLUTION`` becomes a stub, and cells tagged ``solution-only`` are left out. Where a task
asks for a repair, the commented lines below ``### AS PRINTED`` become its faulty code. Scripts, the
exercises of chapters that are not written yet, are treated in the same way.
"""

import argparse
import copy
import json
import re
import sys
from pathlib import Path

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
PRINTED = "### AS PRINTED"
TAG = "solution-only"


def exercise_of(solution: dict) -> dict:
    """Return the exercise notebook that belongs to a solution notebook.

    Parameters
    ----------
    solution : dict
        A notebook (nbformat 4.5) as parsed JSON.

    Raises
    ------
    ValueError
        If a solution's markers do not come in pairs.
    """
    exercise = copy.deepcopy(solution)
    cells = [c for c in exercise["cells"] if TAG not in c.get("metadata", {}).get("tags", ())]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
            source = without_solutions(source)
        else:
            source = re.sub(r"^# Solution (\d+)", r"# Exercise \1", source)
            source = source.replace("/blob/main/solutions/", "/blob/main/exercises/")
        cell["source"] = source.splitlines(keepends=True)
    exercise["cells"] = cells
    return exercise


def without_solutions(source: str) -> str:
    """Return code with every solution replaced by ``raise NotImplementedError``, or as printed."""
    kept: list[str] = []
    function, inside, printed = "", False, False
    for line in source.splitlines():
        text = line.strip()
        definition = re.match(r"\s*def (\w+)", line)
        if definition and not inside:
            function = definition[1]
        if text == BEGIN:
            if inside:
                raise ValueError(f"{BEGIN!r} follows {BEGIN!r} in {function or 'a cell'}")
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            stub = f'{indent}raise NotImplementedError("Write {function} here.")'
            kept.append(stub)
        elif text == PRINTED and inside:
            printed = True
            kept.remove(stub)
        elif printed and text != END:
            kept.append(line.replace("# ", "", 1))
        elif text == END:
            if not inside:
                raise ValueError(f"{END!r} without {BEGIN!r} in {function or 'a cell'}")
            inside = printed = False
        elif not inside:
            kept.append(line)
    if inside:
        raise ValueError(f"{BEGIN!r} without {END!r} in {function or 'a cell'}")
    return "\n".join(kept)


def as_json(notebook: dict) -> str:
    """Return a notebook as the text that Jupyter itself would save."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def generate(solutions: Path, exercises: Path) -> list[tuple[Path, str]]:
    """Return the path and the text of every exercise."""
    texts = []
    for path in sorted(solutions.glob("[0-9][0-9]_*.py")):
        texts.append((exercises / path.name, without_solutions(path.read_text("utf-8")) + "\n"))
    for path in sorted(solutions.glob("*.ipynb")):
        solution = json.loads(path.read_text(encoding="utf-8"))
        texts.append((exercises / path.name, as_json(exercise_of(solution))))
    return texts


def main(arguments: list[str] | None = None) -> int:
    """Write the exercises, or with ``--check`` say which are out of step."""
    parser = argparse.ArgumentParser(description="Derive exercises from solutions.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of step")
    parser.add_argument("--solutions", type=Path, default=Path("solutions"))
    parser.add_argument("--exercises", type=Path, default=Path("exercises"))
    options = parser.parse_args(arguments)
    if not options.solutions.is_dir():
        parser.error(f"{options.solutions} is no folder; run this at the top of the repository")
    stale = [
        (path, text)
        for path, text in generate(options.solutions, options.exercises)
        if not path.exists() or path.read_bytes() != text.encode()
    ]
    for path, text in stale:
        print(f"{path} is out of step" if options.check else f"wrote {path}")
        if not options.check:
            path.write_bytes(text.encode())
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
