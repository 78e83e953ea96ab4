r"""Sphinx extension: equations tagged by hand, ``\tag{2.7}``, and links to them.

Chapters number their equations by hand, so that a notebook shows the same numbers in Colab, in
JupyterLab, on GitHub and in the book. This extension does two things with them.

**Anchors.** Sphinx wraps a long ``$$`` block in ``split``, where MathJax refuses ``\tag``. A tagged
block is handed to MathJax as it stands, inside ``equation*``, and gets the anchor ``eq-2-7``.

**Links.** In prose and docstrings a tag in parentheses, ``(2.7)``, becomes a link if the book has
that equation: in "Eq. (2.7)", in "Eqs. (2.7) and (2.8)", and alone. The parentheses are the rule:

* ``(2.7)`` with nothing else inside is this book's equation;
* another author's equation is written without them, "TRPO, Eq. 2.7", and is never linked;
* a number that is not an equation gets company, "(2.7 s)" or "(about 2.7)", and is never linked.

Code, headings, texts of links and mathematics are left alone. "Eq. (2.9)" without such an equation
is a warning, unless the book being built has no chapter 2.
"""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

logger = logging.getLogger(__name__)

TAG = r"(?:\d+|[A-Z])\.\d+[a-z]?"
TAG_COMMAND = re.compile(rf"\\tag\{{({TAG})\}}")
REFERENCE = re.compile(rf"\(({TAG})\)")
# What stands before a tag that must exist: "Eq. ", "Equations (2.7), (2.8) and ".
CITED = re.compile(rf"\b(?:Eqs?\.|Equations?)\s*(?:\({TAG}\)(?:\s*[,–-]?\s*(?:and|or|to)?\s*))*$")
# Environments that MathJax accepts as they are.
TOP_LEVEL = (r"\begin{equation", r"\begin{align}", r"\begin{align*}", r"\begin{gather")
NOT_PROSE = (
    nodes.FixedTextElement,
    nodes.literal,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.reference,
    nodes.title,
)


def anchor(tag: str) -> str:
    """The anchor of a tag: ``eq-2-7`` for ``2.7``."""
    return "eq-" + tag.replace(".", "-").lower()


def prepare_equations(app: Sphinx, doctree: nodes.document) -> None:
    """Unwrap the page's tagged equations, give each its anchor, and remember the tags."""
    tags = []
    for equation in doctree.findall(nodes.math_block):
        found = TAG_COMMAND.findall(equation.astext())
        if not found:
            continue
        equation["nowrap"] = True
        equation["ids"] += [anchor(tag) for tag in found if anchor(tag) not in equation["ids"]]
        if not equation.astext().lstrip().startswith(TOP_LEVEL):
            source = f"\\begin{{equation*}}\n{equation.astext().strip()}\n\\end{{equation*}}"
            equation.clear()
            equation += nodes.Text(source)
        tags += [(tag, equation.line) for tag in found]
    equations_of(app.env)[app.env.docname] = tags


def equations_of(env: BuildEnvironment) -> dict[str, list[tuple[str, int | None]]]:
    """The tags of every page read so far: ``{page: [(tag, line), ...]}``."""
    if not hasattr(env, "tagged_equations"):
        env.tagged_equations = {}
    return env.tagged_equations


def pages_by_tag(env: BuildEnvironment) -> dict[str, str]:
    """Which page holds which tag; the first one if a tag was given twice."""
    pages: dict[str, str] = {}
    for page, tags in sorted(equations_of(env).items()):
        for tag, _ in tags:
            pages.setdefault(tag, page)
    return pages


def forget_page(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Drop what was known about a page that is read again or was removed."""
    equations_of(env).pop(docname, None)


def merge_pages(
    app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment
) -> None:
    """Take over what a parallel reader found."""
    equations_of(env).update({page: equations_of(other).get(page, []) for page in docnames})


def warn_of_duplicates(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Report tags given twice; if tags came, went or moved, every page's links are written anew."""
    seen: dict[str, str] = {}
    for page, tags in sorted(equations_of(env).items()):
        for tag, line in tags:
            if tag in seen:
                logger.warning(
                    "equation tag (%s) is already used in %s", tag, seen[tag], location=(page, line)
                )
            seen.setdefault(tag, page)
    changed = seen != getattr(env, "tagged_equations_written", None)
    env.tagged_equations_written = seen
    return sorted(env.found_docs) if changed else []


def link_references(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn the tags in a page's prose into links."""
    pages = pages_by_tag(app.env)
    for text in list(doctree.findall(nodes.Text)):
        if REFERENCE.search(text) and is_prose(text):
            text.parent.replace(text, list(linked(app, text, docname, pages)))


def is_prose(node: nodes.Node) -> bool:
    """Whether a text node stands in none of the places where a number is not a reference."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, NOT_PROSE):
            return False
    return True


def linked(
    app: Sphinx, text: nodes.Text, docname: str, pages: dict[str, str]
) -> Iterator[nodes.Node]:
    """The parts of a text: plain text, and a link for each known tag."""
    start = 0
    for match in REFERENCE.finditer(text):
        tag = match[1]
        if tag not in pages:
            if CITED.search(text, 0, match.start()) and has_chapter(app.env, tag):
                logger.warning("there is no equation (%s)", tag, location=text.parent or docname)
            continue
        yield nodes.Text(text[start : match.start()])
        address = app.builder.get_relative_uri(docname, pages[tag]) if pages[tag] != docname else ""
        yield nodes.reference(
            "",
            match[0],
            refuri=f"{address}#{anchor(tag)}",
            internal=True,
            classes=["equation-link"],
        )
        start = match.end()
    yield nodes.Text(text[start:])


def has_chapter(env: BuildEnvironment, tag: str) -> bool:
    """Whether the book being built holds the chapter (or appendix) that a tag belongs to."""
    chapter = tag.split(".")[0]
    known = {known_tag.split(".")[0] for known_tag in pages_by_tag(env)}
    known |= {
        match[1] for page in env.found_docs if (match := re.match(r"chapters/0*(\d+)_", page))
    }
    return chapter in known


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    app.connect("doctree-read", prepare_equations)
    app.connect("env-purge-doc", forget_page)
    app.connect("env-merge-info", merge_pages)
    app.connect("env-updated", warn_of_duplicates)
    app.connect("doctree-resolved", link_references)
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
