"""Print the whole book: ``python -m book.pdf`` (what ``make pdf`` runs) writes one PDF.

The pages of the table of contents are joined into one, so that links between chapters stay links and
pages are counted through. Chromium prints it, with an outline of its headings, and tagged for screen
readers. What was printed is read again: a chapter that is not in the outline is an error.
"""

import base64
import html as markup
import io
import posixpath
import re
import sys
import tempfile
from itertools import chain
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

from book.browser import BrowserError, open_browser
from book.build import build, table_of_contents
from book.notebooks import BuildError

NAMING = ("for", "aria-labelledby", "aria-describedby", "aria-controls")
# Every equation is typeset and every picture decoded; what MathJax cannot read is returned.
READY = """
const done = arguments[0];
const pictures = [...document.images].map(image => image.decode().catch(() => null));
Promise.all([MathJax.startup.promise, document.fonts.ready, ...pictures]).then(
  () => done([...document.querySelectorAll('mjx-merror')].map(e => e.textContent)));
"""
PAGES_APART = "<style>.printed + .printed { break-before: page }</style>"
FOOTER = '<div style="width: 100%; text-align: center; font-size: 8pt"><span class="pageNumber"></span></div>'


def join(root: Path, pages: list[str], html: Path) -> str:
    """One HTML text with the articles of all pages, for a file in the folder of ``html``."""
    names = [PurePosixPath(page).with_suffix(".html").as_posix() for page in pages]
    title = yaml.safe_load((root / "_config.yml").read_text("utf-8"))["title"]
    head = BeautifulSoup((html / names[0]).read_text("utf-8"), "html.parser").head
    kept = [tag for tag in head.find_all(["link", "script"]) if _is_needed(tag)]
    for tag in kept:
        for key in ("href", "src"):
            if key in tag.attrs:
                tag[key] = f"{html.name}/{posixpath.normpath(_folder(names[0]) + tag[key])}"
    articles = [_article(html, name, names) for name in names]
    assets = "\n".join(map(str, kept))
    return (
        f'<!doctype html>\n<html lang="en" data-theme="light" data-mode="light">\n<head>\n'
        f'<meta charset="utf-8">\n<title>{markup.escape(title)}</title>\n{assets}\n{PAGES_APART}\n</head>\n<body>\n<main>\n'
        + "\n".join(articles)
        + "\n</main>\n</body>\n</html>\n"
    )


def _is_needed(tag: Tag) -> bool:
    """Whether paper needs a style sheet or script: all styles, and MathJax with its settings."""
    if tag.name == "link":
        return "stylesheet" in tag.get("rel", [])
    return "mathjax" in tag.get("src", "") or "window.MathJax" in tag.text


def _folder(name: str) -> str:
    """The folder of a page, with a slash if it is not the top."""
    parent = posixpath.dirname(name)
    return f"{parent}/" if parent else ""


def _anchor(name: str, fragment: str = "") -> str:
    """An id that no other page has."""
    page = re.sub(r"\W+", "-", name.removesuffix(".html"))
    return f"{page}--{fragment}" if fragment else page


def _article(html: Path, name: str, names: list[str]) -> str:
    """The article of a page, with its ids made its own and its links led to the joined text."""
    article = BeautifulSoup((html / name).read_text("utf-8"), "html.parser").select_one("article")
    for mark in article.select(".headerlink"):
        mark.decompose()
    for tag in article.find_all(True):
        if "id" in tag.attrs:
            tag["id"] = _anchor(name, tag["id"])
        tag.attrs.pop("loading", None)  # a lazy picture below the window would never be decoded
        for key in NAMING:
            if key in tag.attrs:
                tag[key] = " ".join(_anchor(name, part) for part in tag[key].split())
        if tag.name == "details":
            tag["open"] = ""
        if not urlsplit(tag.get("src", "data:")).scheme:
            tag["src"] = f"{html.name}/{posixpath.normpath(_folder(name) + tag['src'])}"
        if tag.name == "a" and "href" in tag.attrs:
            _lead(tag, name, names)
    article["id"] = _anchor(name)
    article["class"] = [*article.get("class", []), "printed"]
    return str(article)


def _lead(link: Tag, name: str, names: list[str]) -> None:
    """Lead a link to its place in the joined text; what lies outside the book is no link on paper."""
    parts = urlsplit(link["href"])
    if parts.scheme:
        return
    target = posixpath.normpath(_folder(name) + unquote(parts.path)) if parts.path else name
    if target in names:
        link["href"] = "#" + _anchor(target, parts.fragment)
    else:
        del link["href"]


def print_page(file: Path) -> bytes:
    """The PDF of a file, printed when its equations are typeset.

    Raises
    ------
    BuildError
        If MathJax could not read an equation.
    """
    with tempfile.TemporaryDirectory() as profile, open_browser(Path(profile)) as browser:
        media = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)  # films stand still
        browser.get(file.as_uri())
        if errors := browser.execute_async_script(READY):
            raise BuildError(f"MathJax cannot read these equations: {errors}")
        options = {
            "preferCSSPageSize": True,
            "printBackground": True,
            "displayHeaderFooter": True,
            "headerTemplate": "<span></span>",
            "footerTemplate": FOOTER,
            "generateTaggedPDF": True,
            "generateDocumentOutline": True,
        }
        return base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", options)["data"])


def mend_outline(pdf: bytes, titles: list[str]) -> bytes:
    """The PDF whose bookmarks say what the headings say; ``titles`` are those in their order.

    A bookmark that is none of them, such as a heading with an equation, stays as it is.
    """
    from pypdf import PdfWriter
    from pypdf.generic import NameObject, TextStringObject

    writer = PdfWriter(clone_from=io.BytesIO(pdf))
    entries, done = [writer.get_outline_root().get("/First")], 0
    while entries:
        if (entry := entries.pop()) is None:
            continue
        item = entry.get_object()
        written = str(item["/Title"])
        found = (n for n in range(done, len(titles)) if is_meant(written, titles[n]))
        if (number := next(found, None)) is not None:
            item[NameObject("/Title")] = TextStringObject(titles[number])
            done = number + 1
        entries += [item.get("/Next"), item.get("/First")]  # what lies below comes first
    mended = io.BytesIO()
    writer.write(mended)
    return mended.getvalue()


def is_meant(written: str, title: str) -> bool:
    """Whether a bookmark is this title, but for spaces and for pieces that are written twice.

    Chromium writes a heading twice where it moved it to the next page: as a whole, or since version
    156 its pieces, as in ``Chapter 1Chapter 1: : OneOne``. Where a line ends it leaves out a space.
    """
    written, title = ("".join(text.split()) for text in (written, title))
    places, seen = [(0, 0)], set()  # how much of each has been read
    while places:
        if (place := places.pop()) in seen:
            continue
        seen.add(place)
        w, t = place
        if place == (len(written), len(title)):
            return True
        if w < len(written) and written[w : w + 1] == title[t : t + 1]:
            places.append((w + 1, t + 1))
        places += [(w + k, t) for k in range(1, t + 1) if written.startswith(title[t - k : t], w)]
    return False


def chapters_of(file: Path) -> dict[str, int]:
    """The first level of a PDF's outline: each title, and the page it leads to, counted from 1."""
    from pypdf import PdfReader

    reader = PdfReader(file)
    level = [entry for entry in reader.outline if not isinstance(entry, list)]
    return {entry.title: reader.get_destination_page_number(entry) + 1 for entry in level}


def headings(html: Path, pages: list[str]) -> list[list[str]]:
    """The headings of every page in their order; the first is its title."""
    found = []
    for page in pages:
        text = (html / PurePosixPath(page).with_suffix(".html")).read_text("utf-8")
        tags = BeautifulSoup(text, "html.parser").select("article :is(h1, h2, h3, h4, h5, h6)")
        for mark in (mark for tag in tags for mark in tag.select(".headerlink")):
            mark.decompose()
        found.append([" ".join(tag.text.split()) for tag in tags])
    return found


def make_pdf(root: Path, pages: list[str], html: Path, file: Path) -> dict[str, int]:
    """Print these pages of a built book to a file, and return the chapters of its outline.

    Raises
    ------
    BuildError
        If an equation cannot be read, or a page's title is not in the outline.
    """
    said = headings(html, pages)
    whole = html.parent / "whole.html"
    whole.write_text(join(root, pages, html), "utf-8")
    try:
        file.write_bytes(mend_outline(print_page(whole), [*chain.from_iterable(said)]))
    finally:
        whole.unlink()
    outline = chapters_of(file)
    if missing := [title for title, *_ in said if title not in outline]:
        raise BuildError(f"these pages are not in the outline of the PDF: {missing}")
    return outline


def main() -> int:
    """Build the book if it is not fresh, print it, and say where it is."""
    root = Path(__file__).resolve().parent.parent
    file = root / "_build" / "trust-regions.pdf"
    try:
        html = build(root).parent
        outline = make_pdf(root, table_of_contents(root), html, file)
    except (BuildError, BrowserError) as error:
        print(f"\nThe book was not printed.\n{error}", file=sys.stderr)
        return 1
    for title, page in outline.items():
        print(f"{page:5}  {title}")
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
