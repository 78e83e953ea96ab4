"""Sphinx extension: a chapter's number above its title, and what other programs see of a page.

That is: the title, the first sentence and a picture for those who share a link (Open Graph), and the
icon for browsers that take no SVG. The card's picture needs a whole address, which exists once
``_config.yml`` knows where the repository lives; until then a page names none.
"""

import re
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx

from book.repository import address, is_unset, slug

NUMBER = re.compile(r"(Chapter \d+)(: )")
CARD = "_static/card.png"
WORDS = 40


def number_apart(app: Sphinx, doctree: nodes.document, _: str) -> None:
    """Give the "Chapter 3:" of a page's title an element of its own; its text stays as it is."""
    title = next(iter(doctree.findall(nodes.title)), None)
    first = next(iter(title.findall(nodes.Text)), None) if title is not None else None
    if title is not None and first is not None and (found := NUMBER.match(first.astext())):
        number = nodes.inline("", found[1], classes=["chapter-number"])
        colon = nodes.inline("", found[2], classes=["chapter-colon"])
        title.replace(first, [number, colon, nodes.Text(first.astext()[found.end() :])])


def published_at(url: str) -> str:
    """The address at which GitHub Pages publishes a repository; empty if it has none yet."""
    if is_unset(url) or urlsplit(url).hostname != "github.com":
        return ""
    owner, name = slug(url).split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def first_words(doctree: nodes.document | None) -> str:
    """The beginning of a page's first paragraph."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        words = paragraph.astext().split()
        if len(words) > 8:
            return " ".join(words[:WORDS]) + (" …" if len(words) > WORDS else "")
    return ""


def describe(
    app: Sphinx, page: str, _: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the tags to the page's head."""
    home = published_at(address(Path(app.srcdir)))
    title = unescape(re.sub(r"<[^>]+>", "", context.get("title", "")))
    tags = {
        "og:type": "article",
        "og:site_name": app.config.html_title or app.config.project,
        "og:title": title,
        "og:description": first_words(doctree),
    }
    if home:
        tags["og:url"] = home + page + ".html"
        tags["og:image"] = home + CARD
        tags["og:image:alt"] = "A pole on a cart, swung up and balanced by a trained policy."
    lines = [
        f'<meta property="{name}" content="{escape(text)}">' for name, text in tags.items() if text
    ]
    icon = context["pathto"]("_static/favicon.png", resource=True)
    lines.append(f'<link rel="alternate icon" type="image/png" sizes="64x64" href="{icon}">')
    context["metatags"] = context.get("metatags", "") + "\n" + "\n".join(lines)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    app.connect("doctree-resolved", number_apart)
    app.connect("html-page-context", describe)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
