"""Generate appendix B, which equation is which code, test and exercise: ``python -m book.appendices``.

Each chapter declares its equations in its notebook's metadata, beside the text that numbers them::

    "trust_regions": {"equations": {"2.9": {
        "says": "GAE, backwards in time",
        "code": "course_lib.advantages.gae",
        "test": "tests/test_advantages.py::test_gae_is_the_definition",
        "exercise": "gae"}}}

``code``, ``test`` and ``exercise`` are left out where there is none: a step of a derivation, say.
"""

import json
import sys
from pathlib import Path

PAGE = Path("appendices/b_equations.md")
HEAD = """# Appendix B: From equation to code, test and exercise

Every numbered equation, the function that computes it, the test that holds the function to it, and
the exercise that asks for it. This page is generated from the chapters (`make exercises`), and a
test fails where a row points at nothing. An equation without a function is a step of a derivation
or a definition.
"""


def equations(root: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Chapter's file name -> equation number -> what it says and where it is, in order."""
    found = {}
    for path in sorted((root / "chapters").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        declared = notebook["metadata"].get("trust_regions", {}).get("equations", {})
        if declared:
            found[path.name] = {n: declared[n] for n in sorted(declared, key=_number)}
    return found


def _number(tag: str) -> tuple[int, ...]:
    """2.10 comes after 2.9."""
    return tuple(int(part) for part in tag.split("."))


def title(root: Path, name: str) -> str:
    """The heading of a chapter."""
    notebook = json.loads((root / "chapters" / name).read_text(encoding="utf-8"))
    return "".join(notebook["cells"][0]["source"]).splitlines()[0].lstrip("# ")


def equation_map(root: Path) -> str:
    """The page."""
    parts = [HEAD]
    for name, rows in equations(root).items():
        parts.append(f"\n## {title(root, name)}\n")
        parts.append("| Equation | Says | Function | Test | Exercise |\n|---|---|---|---|---|")
        for number, row in rows.items():
            code, test, exercise = (row.get(key, "") for key in ("code", "test", "exercise"))
            cells = [
                f"({number})",
                row["says"],
                f"`{code.removeprefix('course_lib.')}`" if code else "",
                f"`{test.removeprefix('tests/')}`" if test else "",
                f"`{exercise}`" if exercise else "",
            ]
            parts.append(f"| {' | '.join(cells)} |")
    return "\n".join(parts) + "\n"


def main() -> int:
    """Write the page of the current folder's book."""
    root = Path(__file__).resolve().parent.parent
    (root / PAGE).parent.mkdir(exist_ok=True)
    (root / PAGE).write_text(equation_map(root), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
