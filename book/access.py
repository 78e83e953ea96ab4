"""Sphinx extension: mends, in every finished page, what keeps the theme's HTML from some readers.

A screen reader, a keyboard and a voice all go by what the markup says. The tests hold every page to
axe-core's rules; each repair below names the fault it mends.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

REPAIRS = [
    # A button's name must hold the words that are seen on it, else "click ..." does not work by voice.
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    # The icons' titles become text of the button for the colours, which has a name of its own.
    (r'(<i class="theme-switch [^>]*?) +title="[^"]*"', r"\1"),
    # Everything on a page belongs to a landmark; the book's title stands in none.
    (
        r'<div id="pst-primary-sidebar" class=',
        '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class=',
    ),
    # The empty corner of a table is no header of anything.
    (r"<th([^>]*)>\s*(?:<p>\s*</p>)?\s*</th>", r"<td\1></td>"),
]


def mend(page: str) -> str:
    """The HTML of a page with every repair made; each of them may find nothing to do."""
    for fault, better in REPAIRS:
        page = re.sub(fault, better, page)
    return page


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Mend every page of a build that went well."""
    if exception or app.builder.format != "html":
        return
    for file in Path(app.outdir).rglob("*.html"):
        if "_static" not in file.relative_to(app.outdir).parts:
            file.write_text(mend(file.read_text("utf-8")), "utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    app.connect("build-finished", mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
