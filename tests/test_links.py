"""Links of built pages: broken ones are found, and external ones listed, on pages of a few lines."""

import pytest

from book.links import LIST, is_well_formed, list_links


@pytest.fixture
def html(tmp_path):
    """A site of two pages and a file."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "other.html").write_text('<p id="here">λ</p><a name="old"></a>')
    (tmp_path / "table.csv").write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    "link",
    ["part/other.html", "part/other.html#here", "part/other.html#old", "#top", "#", "table.csv",
     "part/../table.csv?v=1", "data:image/gif;base64,AAAA"],
)  # fmt: skip
def test_a_link_that_arrives(html, link):
    (html / "index.html").write_text(f'<h1 id="top">T</h1><a href="{link}">x</a>')
    assert list_links(html) == []


@pytest.mark.parametrize(
    "element",
    ['<a href="missing.html">', '<a href="part/other.html#gone">', '<a href="#gone">', '<a href="part">',
     '<img src="part/missing.png">', '<script src="missing.js"></script>', '<a href="other.html">'],
)  # fmt: skip
def test_a_broken_link_is_named(html, element):
    (html / "index.html").write_text(element)
    (problem,) = list_links(html)
    assert problem.startswith("index.html: ")
    assert problem.endswith(" leads nowhere")


def test_external_links_are_listed_once_with_their_pages(html):
    (html / "index.html").write_text(
        '<a href="https://b.org/x">1</a> <a href="https://a.org">2</a>'
    )
    (html / "part" / "b.html").write_text(
        '<a href="https://b.org/x">1</a><a href="https://b.org/x">'
    )
    assert list_links(html) == []
    assert (html / LIST).read_text() == (
        "https://a.org\n    index.html\nhttps://b.org/x\n    index.html\n    part/b.html\n"
    )


@pytest.mark.parametrize(
    "link",
    [
        "https://arxiv.org/abs/1502.05477",
        "http://a.b-c.org:8080/p?q=1#f",
        "https://en.org/wiki/A_(b)",
    ],
)
def test_well_formed_addresses(link):
    assert is_well_formed(link)


@pytest.mark.parametrize(
    "link",
    ["https://", "https://localhost/x", "ftp://a.org/x", "https://a.org/x.", "https://a.org/x)",
     "https://a.org/a b", "//a.org/x", "https:/a.org", "https://a.org/`x`", "https://a_b/x",
     "https://a.org/λ"],
)  # fmt: skip
def test_addresses_that_are_not_well_formed(html, link):
    assert not is_well_formed(link)
    (html / "index.html").write_text(f'<a href="{link}">x</a>')
    assert len(list_links(html)) == 1
