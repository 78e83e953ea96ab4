"""Sphinx extension: block quotes that open with a bold key word become cards.

A theorem is written ``> **Theorem 4.2 (Pinsker).** ...``: a block quote that every notebook viewer
shows well. Style sheets cannot look at text, so this extension adds the classes
``book-card book-card-theorem``, and ``book.css`` does the rest.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

KINDS = {
    "Algorithm",
    "Assumption",
    "Break it",
    "Corollary",
    "Definition",
    "Exercise",
    "Lemma",
    "Note",
    "Predict",
    "Proposition",
    "Theorem",
    "Warning",
}
KIND = re.compile(rf"({'|'.join(sorted(KINDS))})\b")


def title_of(quote: nodes.block_quote) -> nodes.strong | None:
    """The bold words that a block quote opens with, or None."""
    if not quote.children or not isinstance(quote[0], nodes.paragraph):
        return None
    # The parser may leave an empty text before the first real node.
    first = next((node for node in quote[0] if node.astext()), None)
    return first if isinstance(first, nodes.strong) else None


def dress_quotes(app: Sphinx, doctree: nodes.document) -> None:
    """Give every block quote that opens with a key word its classes."""
    for quote in doctree.findall(nodes.block_quote):
        title = title_of(quote)
        if title and (kind := KIND.match(title.astext())):
            quote["classes"] += ["book-card", "book-card-" + kind[1].lower().replace(" ", "-")]
            title["classes"].append("book-card-title")
            for paragraph in quote.findall(nodes.paragraph):
                if paragraph.astext().startswith("Assumes:"):
                    paragraph["classes"].append("assumes")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    app.connect("doctree-read", dress_quotes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
