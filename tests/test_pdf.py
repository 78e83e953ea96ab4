"""The PDF of the book: two pages are joined, printed in Chromium, and read again."""

import base64
import io
from pathlib import Path

import pytest

from book import pdf
from book.browser import BrowserError
from book.notebooks import BuildError
from book.pdf import join, make_pdf, mend_outline
from tests.conftest import skip_or_fail

pypdf = pytest.importorskip("pypdf")
STATIC = Path(__file__).resolve().parent.parent / "book" / "static"

HEAD = (
    '<head><title>t</title><link rel="stylesheet" href="{up}_static/page.css">'
    '<link rel="next" href="x.html"><script src="{up}_static/menu.js"></script>'
    '<script>window.MathJax = {{startup: {{}}}}</script><script src="{up}_static/mathjax.js"></script></head>'
)
# What the printed pages wait for; the real one typesets equations.
MATHJAX = "window.MathJax = {startup: {promise: Promise.resolve()}};"
PAGES = {
    "intro": (
        '<nav>MENU</nav><article class="bd-article"><section id="same"><h1>Welcome'
        '<a class="headerlink" href="#same">#</a></h1>'
        '<a href="part/one.html#same">to chapter one</a> <a href="https://a.org/">out</a>'
        '<a href="table.csv">a file</a></section></article>'
    ),
    "part/one": (
        '<article class="bd-article"><section id="same"><h1>'
        '<span class="chapter-number">Chapter 1</span><span class="chapter-colon">: </span>One, whose title is long enough for two lines</h1>'
        '<details><summary>Answer</summary><p>ANSWERED</p></details>'
        '<img src="../images/a.png" alt="a" loading="lazy"><p aria-labelledby="same">{error}</p></section></article>'
    ),
}  # fmt: skip


def make_site(root, error=""):
    """A built book of two pages; returns the folder of its pages, and their sources."""
    (root / "_config.yml").write_text("title: Two & pages\n")
    html = root / "_build" / "html"
    for name, body in PAGES.items():
        file = html / f"{name}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        head = HEAD.format(up="../" * name.count("/"))
        body = body.replace("{error}", error)
        file.write_text(f"<!doctype html><html lang=en>{head}<body>{body}</body></html>")
    (html / "_static").mkdir()
    styles = [(STATIC / name).read_text("utf-8") for name in ("type.css", "print.css")]
    (html / "_static" / "page.css").write_text("\n".join([*styles, "@page { size: A5 }"]), "utf-8")
    (html / "_static" / "menu.js").write_text("document.title = 'MENU'")
    (html / "_static" / "mathjax.js").write_text(MATHJAX)
    return html, ["intro.md", "part/one.ipynb"]


def test_joined_pages_have_ids_of_their_own_and_links_to_each_other(tmp_path):
    html, pages = make_site(tmp_path)
    text = join(tmp_path, pages, html)
    assert 'id="intro--same"' in text
    assert 'id="part-one--same"' in text
    assert '<a href="#part-one--same">to chapter one</a>' in text
    assert '<a href="https://a.org/">out</a>' in text
    assert "<a>a file</a>" in text  # what lies outside the book is no link on paper
    assert 'src="html/images/a.png"' in text
    assert 'aria-labelledby="part-one--same"' in text
    assert "lazy" not in text  # the print waits for every picture, also for one far below
    assert "MENU" not in text
    assert "menu.js" not in text
    assert "html/_static/page.css" in text
    assert "<title>Two &amp; pages</title>" in text


@pytest.fixture
def printed(tmp_path):
    """The file of two printed pages, and what its outline holds."""
    html, pages = make_site(tmp_path)
    file = tmp_path / "book.pdf"
    try:
        return file, make_pdf(tmp_path, pages, html, file)
    except BrowserError as error:
        skip_or_fail(str(error))


def test_a_printed_book_has_every_chapter_in_its_outline_and_folds_open(printed):
    file, outline = printed
    assert outline == {"Welcome": 1, "Chapter 1: One, whose title is long enough for two lines": 2}
    reader = pypdf.PdfReader(file)
    first, second = (page.extract_text() for page in reader.pages)
    assert "to chapter one" in first
    assert first.rstrip().endswith("1")  # the number of the page
    assert "ANSWERED" in second
    assert reader.metadata.title == "Two & pages"
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert "/StructTreeRoot" in reader.trailer["/Root"]  # tagged, for screen readers
    assert round(float(reader.pages[0].mediabox.width)) == pytest.approx(420, abs=2)  # A5, as asked
    targets = [note.get_object() for note in first_page_links(reader)]
    assert any("/Dest" in t or t.get("/A", {}).get("/S") == "/GoTo" for t in targets)


def test_a_title_that_the_outline_lacks_is_an_error(tmp_path, monkeypatch):
    html, pages = make_site(tmp_path)
    monkeypatch.setattr(pdf, "print_page", lambda _: b"")
    monkeypatch.setattr(pdf, "mend_outline", lambda printed, titles: printed)
    monkeypatch.setattr(pdf, "chapters_of", lambda _: {"Welcome": 1})
    with pytest.raises(BuildError, match="not in the outline of the PDF"):
        make_pdf(tmp_path, pages, html, tmp_path / "book.pdf")


@pytest.mark.parametrize(
    "written",
    [
        "Chapter 1: One more",
        "Chapter 1: One moreChapter 1: One more",
        "Chapter 1Chapter 1: : One moreOne more",
        "Chapter 1Chapter 1: : OneOnemore",  # only what stood on the first line is there twice
    ],
)
def test_a_bookmark_is_known_by_its_heading(written):
    assert pdf.is_meant(written, "Chapter 1: One more")
    for other in ("Chapter 2: One more", "Chapter 1: One", "Chapter 1: One more more", ""):
        assert not pdf.is_meant(written, other)


def test_bookmarks_say_what_the_headings_say():
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    first = writer.add_outline_item(title="Chapter 1Chapter 1", page_number=0)
    writer.add_outline_item(title="A partA part", page_number=0, parent=first)
    writer.add_outline_item(title="An equation x", page_number=0, parent=first)
    writer.add_outline_item(title="Chapter 2", page_number=0)
    printed = io.BytesIO()
    writer.write(printed)
    titles = ["Chapter 1", "A part", "An equation y", "Chapter 2"]
    outline = pypdf.PdfReader(io.BytesIO(mend_outline(printed.getvalue(), titles))).outline
    assert [entry.title for entry in outline if not isinstance(entry, list)] == [
        "Chapter 1",
        "Chapter 2",
    ]
    assert [entry.title for entry in outline[1]] == ["A part", "An equation x"]


def first_page_links(reader):
    """The links on the first page of a PDF."""
    return [a for a in reader.pages[0]["/Annots"] if a.get_object()["/Subtype"] == "/Link"]


def test_an_equation_that_cannot_be_read_stops_the_print(tmp_path):
    html, pages = make_site(tmp_path, error="<mjx-merror>\\tag not allowed</mjx-merror>")
    with pytest.raises((BuildError, BrowserError)) as error:
        make_pdf(tmp_path, pages, html, tmp_path / "book.pdf")
    if isinstance(error.value, BrowserError):
        skip_or_fail(str(error.value))
    assert "tag not allowed" in str(error.value)
    assert not (tmp_path / "book.pdf").exists()


@pytest.mark.parametrize("asset", ["print.css", "access.js"])
def test_a_page_that_a_reader_prints_has_its_folds_open_and_no_menus(chromium, tmp_path, asset):
    """By the style sheet where the browser knows how, by the script in the others."""
    link = f'<link rel="stylesheet" href="{STATIC / "print.css"}">'
    script = f'<script src="{STATIC / "access.js"}"></script>'
    (tmp_path / "page.html").write_text(
        f'<!doctype html><meta charset="utf-8">{link if asset == "print.css" else script}'
        '<nav class="bd-sidebar-primary">MENU</nav><article>TEXT'
        "<details><summary>Answer</summary><p>ANSWERED</p></details></article>"
    )
    chromium.get((tmp_path / "page.html").as_uri())
    data = chromium.execute_cdp_cmd("Page.printToPDF", {})["data"]
    (page,) = pypdf.PdfReader(io.BytesIO(base64.b64decode(data))).pages
    text = page.extract_text()
    assert "TEXT" in text
    assert "ANSWERED" in text
    if asset == "print.css":
        assert "MENU" not in text
    assert not chromium.execute_script("return document.querySelector('details').open")


def test_a_reader_in_dark_mode_prints_the_light_colours(chromium, tmp_path):
    (tmp_path / "page.html").write_text(
        f'<!doctype html><html data-theme="dark"><script src="{STATIC / "access.js"}"></script>'
        "<script>addEventListener('beforeprint', () => {"
        " window.printed = document.documentElement.dataset.theme; });</script>TEXT"
    )
    chromium.get((tmp_path / "page.html").as_uri())
    chromium.execute_cdp_cmd("Page.printToPDF", {})
    assert chromium.execute_script("return window.printed") == "light"
    assert chromium.execute_script("return document.documentElement.dataset.theme") == "dark"
