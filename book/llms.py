"""``llms.txt`` at the site's root: the book for readers that are programs.

It lists the pages of the table of contents, what each chapter teaches, and every numbered equation
with the function that computes it, its test and its exercise (appendix B). https://llmstxt.org
describes the format: a title, a summary in a quote, then lists of links.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

from book.appendices import equations
from book.course import ability
from book.prose import prose

NAME = "llms.txt"
SUMMARY = """An interactive book from the policy gradient to TRPO and PPO, with a library that is meant to be
read and exercises that name the mistake that was made. Results are derived and then checked by the
cell that follows; numbers in the text are computed by the page or read from committed runs.
Vectors and states carry time as an index, arrays have time first, KL divergences are in nats and
KL(old || new)."""


def index(root: Path) -> str:
    """The text of the file."""
    contents = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    known = equations(root)
    lines = [f"# {page_title(root, contents['root'])}", ""]
    lines += [f"> {line}" for line in SUMMARY.splitlines()]
    for part in contents.get("parts", [{"caption": "Pages", **contents}]):
        lines += ["", f"## {part.get('caption', 'Pages')}", ""]
        for name in pages(part):
            page = source(root, name).relative_to(root).with_suffix(".html").as_posix()
            link = f"- [{page_title(root, name)}]({page})"
            lines.append(f"{link}: {goal}" if (goal := goal_of(root, name)) else link)
    lines += ["", "## Equations: what each says, and its function, test and exercise", ""]
    for file, rows in known.items():
        for number, row in rows.items():
            anchor = f"chapters/{PurePosixPath(file).stem}.html#eq-{number.replace('.', '-')}"
            places = [
                f"{name} `{row[key]}`"
                for name, key in (("function", "code"), ("test", "test"), ("exercise", "exercise"))
                if row.get(key)
            ]
            says = "; ".join([row["says"], *places])
            lines.append(f"- [Eq. ({number})]({anchor}): {says}")
    return "\n".join(lines) + "\n"


def pages(entry: dict) -> Iterator[str]:
    """The files below an entry of the table of contents."""
    for child in (*entry.get("chapters", []), *entry.get("sections", [])):
        yield from [child["file"]] if "file" in child else []
        yield from pages(child)


def source(root: Path, name: str) -> Path:
    """The file behind a name of the table of contents."""
    candidates = (root / f"{name}{suffix}" for suffix in ("", ".ipynb", ".md", ".rst"))
    return next(path for path in candidates if path.is_file())


def page_title(root: Path, name: str) -> str:
    """The first heading of a page of the table of contents."""
    path = source(root, name)
    text = prose(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
    found = re.search(r"^# (.+)$", text, re.M)
    return found[1] if found else name


def goal_of(root: Path, name: str) -> str:
    """What a chapter teaches; nothing for other pages."""
    path = source(root, name)
    if path.suffix != ".ipynb" or "**You will be able to**" not in prose(path):
        return ""
    return f"You will be able to {ability(path)}"


def write_index(root: Path, html: Path) -> None:
    """Put the file where a site's root is."""
    (html / NAME).write_text(index(root), encoding="utf-8")
