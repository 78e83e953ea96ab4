"""Appendices B, E and I, made from the chapters.

B says which equation is which code, test and exercise. E gathers the reading lists. I is all
equations on one page.

Each chapter declares its equations in its notebook's metadata, beside the text that numbers them::

    "trust_regions": {"equations": {"2.9": {
        "says": "GAE, backwards in time",
        "code": "course_lib.advantages.gae",
        "test": "tests/test_advantages.py::test_gae_is_the_definition",
        "exercise": "gae"}}}

``code``, ``test`` and ``exercise`` are left out where there is none: a step of a derivation, say.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from .prose import chapters, heading, prose

PAGE = Path("appendices/b_equations.md")
FORMULAS = Path("appendices/i_formulas.md")
DISPLAYED = re.compile(r"\$\$(.*?)\$\$", re.S)
NUMBERED = re.compile(r"\s*\\tag\{(\d+\.\d+)\}")
HEAD = """# Appendix B: From equation to code, test and exercise

Every numbered equation, the function that computes it, the test that holds the function to it, and
the exercise that asks for it. This page is generated from the chapters (`make exercises`), and a
test fails where a row points at nothing. An equation without a function is one that the library
never computes: a definition, a step of a derivation, or a statement that is proved.
"""

REFERENCES = Path("appendices/e_references.md")
ENTRY = re.compile(
    r"(?:^|\. |, and )(?P<authors>[^.*()]*?(?: et al\.)?) \((?P<year>\d{4})\), "
    r"\[?\*(?P<title>[^*]+)\*(?P<where>.*?)(?=\. |\.$|, and |$)"
)
REFERENCES_HEAD = """# Appendix E: References

Every work that a chapter recommends, once, with the chapters that do. This page is
generated from the reading lists (`make exercises`).
"""
FORMULAS_HEAD = """# Appendix I: All formulas on one page

The numbered equations of all chapters, in order. What the symbols mean is in appendix A, what each
equation assumes stands below it in its chapter. This page is generated (`make exercises`).
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


def equation_map(root: Path) -> str:
    """The page."""
    parts = [HEAD]
    for name, rows in equations(root).items():
        parts.append(f"\n## {heading(root / 'chapters' / name)}\n")
        parts.append("| Equation | Says | Function | Test | Exercise |\n|---|---|---|---|---|")
        for number, row in rows.items():
            code, test, exercise = (row.get(key, "") for key in ("code", "test", "exercise"))
            cells = [
                f"({number})",
                row["says"].replace("|", "\\|"),
                f"`{code.removeprefix('course_lib.')}`" if code else "",
                f"`{test.removeprefix('tests/')}`" if test else "",
                f"`{exercise}`" if exercise else "",
            ]
            parts.append(f"| {' | '.join(cells)} |")
    return "\n".join(parts) + "\n"


def displayed(root: Path, name: str) -> Iterator[tuple[str, str]]:
    """Number and LaTeX of every numbered equation of a chapter."""
    text = re.sub(r"^> ?", "", prose(root / "chapters" / name), flags=re.M)
    for body in DISPLAYED.findall(text):
        for number in NUMBERED.findall(body):
            yield number, NUMBERED.sub("", body).strip().rstrip(".,")


def formula_page(root: Path) -> str:
    """Every numbered equation with what it says."""
    parts = [FORMULAS_HEAD]
    for name, rows in equations(root).items():
        parts.append(f"## {heading(root / 'chapters' / name)}\n")
        parts += [
            f"Eq. ({number}): {rows[number]['says']}.\n\n$$\n{body}\n$$\n"
            for number, body in displayed(root, name)
        ]
    return "\n".join(parts)


def readings(root: Path) -> dict[str, tuple[re.Match, list[int]]]:
    """Title -> the fullest entry of it, and the numbers of the chapters that list it."""
    found: dict[str, tuple[re.Match, list[int]]] = {}
    for number, path in chapters(root).items():
        for line in prose(path).partition("## Further reading")[2].splitlines():
            for entry in ENTRY.finditer(line.removeprefix("- ")):
                key = entry["title"].lower()
                best, listing = found.get(key, (entry, []))
                longer = len(entry["authors"] + entry["where"]) > len(
                    best["authors"] + best["where"]
                )
                found[key] = (entry if longer else best, [*listing, number])
    return found


def reference_page(root: Path) -> str:
    """The reading lists in the order of authors and years."""

    def order(item: tuple[re.Match, list[int]]) -> tuple[str, str]:
        return item[0]["authors"].lower(), item[0]["year"]

    lines = [REFERENCES_HEAD]
    for entry, numbers in sorted(readings(root).values(), key=order):
        where = entry["where"].lstrip("]").removeprefix(", ")
        title = f"*{entry['title']}*"
        if where.startswith("("):  # the title itself is the link
            link, _, where = where.partition(")")
            title, where = f"[{title}]{link})", where.removeprefix(", ")
        listed = ", ".join(map(str, numbers))
        place = f", {where}" if where else ""
        lines.append(
            f"- {entry['authors']} ({entry['year']}), {title}{place}. "
            f"Chapter{'s' * (len(numbers) > 1)} {listed}."
        )
    return "\n".join(lines) + "\n"
