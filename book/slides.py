"""Slides for each part of the book: ``python -m book.slides`` (what ``make slides`` runs).

A deck is a Markdown file, ``teaching/slides/part_N.md``: slides with ``---`` between them. A line
``![](ch02-010)`` shows the figure of that cell, as it stands in the executed chapter, sliders and
text equivalents included. What comes out is plain HTML that asks nothing of a network.
"""

import argparse
import html
import re
import shutil
import sys
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from book.build import build
from book.notebooks import BuildError, open_cache

DECKS = Path("teaching/slides")
OUTPUT = Path("_build/slides")
SHOWN = re.compile(r"^(?:!\[\]\([\w-]+\) ?)+$", re.M)
CELL = re.compile(r"!\[\]\(([\w-]+)\)")
CHAPTER = re.compile(r"ch(\d\d)-")

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="slides.css">
<script>
window.MathJax = {{
  tex: {{inlineMath: [['\\\\(', '\\\\)']], displayMath: [['\\\\[', '\\\\]']], tags: 'none'}},
  chtml: {{matchFontHeight: false, scale: 1.12}},
}};
</script>
<script defer src="mathjax/tex-mml-chtml.js"></script>
<script defer src="slides.js"></script>
</head>
<body>
<main>
{slides}
</main>
<nav aria-label="Slides">
<a href="index.html">All parts</a>
<button type="button" data-step="-1" aria-label="Previous slide">&#8592;</button>
<output></output>
<button type="button" data-step="1" aria-label="Next slide">&#8594;</button>
</nav>
</body>
</html>
"""
INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trust Regions: slides</title>
<link rel="stylesheet" href="slides.css">
</head>
<body class="index">
<main>
<h1>Trust Regions: slides</h1>
<ol>
{decks}
</ol>
<p>Arrow keys, Page Up and Page Down, Home and End turn the slides, F fills the screen. A slider that
has the focus keeps the arrow keys for itself. Printing gives one slide on each page.</p>
</main>
</body>
</html>
"""


def outputs(root: Path, cells: set[str]) -> dict[str, str]:
    """The figures of cells, as the executed chapters in the book's cache hold them.

    Raises
    ------
    BuildError
        If there is no such cell, or it shows nothing.
    """
    import nbformat

    found = {}
    with open_cache(root / "_build/.jupyter_cache") as cache:
        for number in sorted({m[1] for m in map(CHAPTER.match, cells) if m}):
            for path in (root / "chapters").glob(f"{number}_*.ipynb"):
                _, key = cache.create_hashed_notebook(nbformat.read(path, as_version=4))
                records = [r for r in cache.list_cache_records() if r.hashkey == key]
                notebooks = [cache.get_cache_bundle(record.pk).nb for record in records]
                for cell in (cell for notebook in notebooks for cell in notebook.cells):
                    shown = [
                        o.data.get("text/html") for o in cell.get("outputs", []) if "data" in o
                    ]
                    if cell.get("id") in cells and shown and shown[-1]:
                        found[cell.id] = shown[-1]
    if missing := sorted(cells - set(found)):
        raise BuildError(f"no executed chapter shows a figure in cell {', '.join(missing)}")
    return found


def deck(text: str, figures: dict[str, str]) -> str:
    """A page of slides, from their Markdown and the figures of the cells that it names."""
    parser = MarkdownIt("commonmark").enable("table")
    parser.use(dollarmath_plugin, renderer=_mathematics)
    slides = []
    for source in re.split(r"^---$", text, flags=re.M):
        parts, at = [], 0
        for line in SHOWN.finditer(source):
            parts.append(parser.render(source[at : line.start()]))
            shown = (f'<div class="figure">{figures[cell]}</div>' for cell in CELL.findall(line[0]))
            parts.append(f'<div class="figures">{"".join(shown)}</div>')
            at = line.end()
        parts.append(parser.render(source[at:]))
        slides.append(f'<section tabindex="-1">\n{"".join(parts)}\n</section>')
    return PAGE.format(title=f"Trust Regions: {title(text)}", slides="\n".join(slides))


def _mathematics(content: str, options: dict) -> str:
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f"{left}{html.escape(content)}{right}"


def title(text: str) -> str:
    """The heading of a deck's first slide."""
    return text.splitlines()[0].lstrip("# ")


def make_slides(root: Path) -> Path:
    """Write all decks and an index of them; return the index. The book must have been built."""
    decks = {path: path.read_text(encoding="utf-8") for path in sorted((root / DECKS).glob("*.md"))}
    figures = outputs(root, {cell for text in decks.values() for cell in CELL.findall(text)})
    folder = root / OUTPUT
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "book/static/mathjax", folder / "mathjax")
    for name in ("slides.css", "slides.js"):
        shutil.copy(root / DECKS / name, folder / name)
    for path, text in decks.items():
        (folder / f"{path.stem}.html").write_text(deck(text, figures), encoding="utf-8")
    links = (
        f'<li><a href="{path.stem}.html">{title(text)}</a></li>' for path, text in decks.items()
    )
    (folder / "index.html").write_text(INDEX.format(decks="\n".join(links)), encoding="utf-8")
    return folder / "index.html"


def main() -> int:
    """Build the book if it is not fresh, then its slides; print where they are."""
    argparse.ArgumentParser(prog="python -m book.slides", description="Make slides.").parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        build(root)
        print(make_slides(root))
    except BuildError as error:
        print(f"\nThe slides were not made.\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
