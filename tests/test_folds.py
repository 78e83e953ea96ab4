"""Folded code says what it hides and stands below what it shows; hooks stand above; pages have heads."""

import re

import pytest

from tests.test_build import make_book

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupyter_book")

PICTURE = 'from IPython.display import HTML\nHTML(\'<img alt="{0}" src="data:,{0}">\')'


def code(source, *tags, label=None):
    """A cell, folded under a label."""
    metadata = {"tags": list(tags)} | ({"mystnb": {"code_prompt_show": label}} if label else {})
    return nbformat.v4.new_code_cell(source, metadata=metadata)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The built page of a chapter with two folds and a hook that is drawn further down."""
    from book.build import build

    root = make_book(tmp_path_factory.mktemp("folds"), {"03_last": []})
    text = nbformat.v4.new_markdown_cell
    cells = [
        text("# Chapter 3: A & B\n\nA puzzle that nobody in this town has solved for many years."),
        code("import math", "hide-input", label="Set-up <1>"),
        text("**You will be able to** solve it.\n\n## A section\n\nMore."),
        code(PICTURE.format("hooked"), "hide-input", "hook", label="Drawing"),
        text("## The end"),
        code("show_source = print\nprint('not a call')"),
        code("show_source('shown')"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel}, cells=cells)
    nbformat.write(notebook, root / "chapters" / "03_last.ipynb")
    build(root)
    return (root / "_build/html/chapters/03_last.html").read_text()


def test_a_fold_is_named_by_its_label_alone(page):
    labels = re.findall(r'<details class="fold">\s*<summary>(.*?)</summary>', page)
    assert labels == ["Set-up &lt;1&gt;", "Drawing"]
    assert "code cell source" not in page


def test_what_a_folded_cell_shows_stands_above_its_code(page):
    cell = re.search(r'<div class="cell tag_hide-input tag_hook.*?</details>', page, re.S)[0]
    assert cell.index("<img") < cell.index("<details")


def test_the_picture_of_the_hook_also_stands_in_the_opening(page):
    places = [m.start() for m in re.finditer('<img alt="hooked"', page)]
    assert len(places) == 2
    assert page.index("A puzzle that") < places[0] < page.index("You will be able to") < places[1]


def test_only_a_call_that_shows_source_is_a_caption(page):
    marked = re.findall(r'<div class="cell[^"]*shows-source[^"]*">(.*?)</pre>', page, re.S)
    assert len(marked) == 1
    assert "shown" in marked[0]


def test_the_number_of_a_chapter_stands_apart_and_the_title_reads_as_before(page):
    title = re.search(r'<h1>((?:(?!</h1>).)*)<a class="headerlink"', page, re.S)[1]
    assert '<span class="chapter-number">Chapter 3</span>' in title
    assert re.sub(r"<[^>]+>", "", title) == "Chapter 3: A &amp; B"


def test_a_page_says_what_it_is_and_names_no_address_while_there_is_none(page):
    tags = dict(re.findall(r'<meta property="(og:[\w:]+)" content="(.*?)"', page))
    assert tags["og:title"] == "Chapter 3: A &amp; B"
    assert tags["og:description"].startswith("A puzzle that nobody")
    assert "og:image" not in tags
    assert "og:url" not in tags
    assert 'rel="icon" href="../_static/favicon.svg"' in page
    assert (
        '<link rel="alternate icon" type="image/png" sizes="64x64" href="../_static/favicon.png"'
        in page
    )


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("https://github.com/Ada/trust-regions", "https://ada.github.io/trust-regions/"),
        ("https://gitlab.com/ada/trust-regions", ""),
        ("https://github.com/owner-not-set-run-make-repository-URL-first/trust-regions", ""),
    ],
)
def test_a_book_is_published_where_github_pages_puts_it(url, home):
    from book.page_head import published_at

    assert published_at(url) == home
