"""The Sphinx extension that anchors hand-tagged equations and links to them."""

import io
import re

import pytest

from book.tagged_equations import anchor

pytest.importorskip("myst_parser")


def build(folder, pages, parallel=1, **settings):
    """Build Markdown pages with the extension; return their HTML by name, and the warnings."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    source, warnings = folder / "source", io.StringIO()
    for name, text in pages.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    with docutils_namespace():
        app = Sphinx(
            source, None, folder / "html", folder / "doctrees", "html",
            status=None, warning=warnings, parallel=parallel,
            confoverrides={
                "extensions": ["myst_parser", "sphinx.ext.mathjax", "book.tagged_equations"],
                "myst_enable_extensions": ["dollarmath"],
                "myst_dmath_double_inline": True,
                "suppress_warnings": ["toc.not_included"],
                **settings,
            },
        )  # fmt: skip
        app.build()
    html = {name: (folder / "html" / name).with_suffix(".html").read_text() for name in pages}
    return html, re.sub(r"\x1b\[[\d;]*m", "", warnings.getvalue())


EQUATION = "$$\n\\begin{aligned}\na &= b \\\\\n  &= c\n\\end{aligned}\n\\tag{2.7}\n$$\n"


def page(text):
    """A page that holds Eq. (2.7) and a text."""
    return f"# Title\n\n{EQUATION}\n{text}\n"


def links(html):
    """The targets of the links to equations, in order."""
    return re.findall(r'<a class="equation-link reference internal" href="([^"]*)">', html)


def test_a_tagged_equation_reaches_mathjax_unwrapped_with_its_anchor(tmp_path):
    html, warnings = build(tmp_path, {"index.md": page("")})
    block = re.search(r'<div class="math[^>]*id="eq-2-7">(.*?)</div>', html["index.md"], re.DOTALL)[
        1
    ]
    assert block.split() == [
        *(r"\begin{equation*}", r"\begin{aligned}", "a", "&amp;=", "b", r"\\", "&amp;=", "c"),
        *(r"\end{aligned}", r"\tag{2.7}", r"\end{equation*}"),
    ]
    assert r"\begin{split}" not in html["index.md"]
    assert warnings == ""


def test_an_equation_inside_a_block_quote_gets_its_anchor(tmp_path):
    text = "> **Theorem.** We have\n> $$x = y \\tag{2.8}$$\n> and so on.\n"
    html, _ = build(tmp_path, {"index.md": page(text)})
    assert 'id="eq-2-8"' in html["index.md"]


def test_an_equation_without_a_tag_is_left_alone(tmp_path):
    html, _ = build(tmp_path, {"index.md": "# Title\n\n$$a = b$$\n"})
    assert r"\[a = b\]" in html["index.md"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Alone (2.7) too.", 1),
        ("By Eq. (2.7) it holds.", 1),
        ("By Equation (2.7) it holds.", 1),
        ("Eqs. (2.7) and (2.7) agree.", 2),
        ("**Theorem (2.7).** In *(2.7)*.", 2),
        ("- a list (2.7)\n\n| a |\n|---|\n| (2.7) |", 2),
    ],
)
def test_known_tags_become_links(tmp_path, text, count):
    html, warnings = build(tmp_path, {"index.md": page(text)})
    assert links(html["index.md"]) == ["#eq-2-7"] * count
    assert warnings == ""


@pytest.mark.parametrize(
    "text",
    [
        "TRPO, Eq. 2.7, is another one.",  # the escape: another author's number has no parentheses
        "It took (2.7 s) or (about 2.7).",
        "TRPO Eq. (14) and a paper's Eq. (7).",
        "`(2.7)` is code.",
        "```\n(2.7)\n```",
        "$f(2.7)$ is mathematics.",
        "[a link (2.7)](https://example.org)",
        "## A heading (2.7)",
        "Version 3.(2.8) and (12.7) are unknown.",
    ],
)
def test_other_numbers_stay_text(tmp_path, text):
    html, warnings = build(tmp_path, {"index.md": page(text)})
    assert links(html["index.md"]) == []
    assert warnings == ""


def test_links_lead_from_page_to_page(tmp_path):
    pages = {"index.md": "# Title\n\nBy Eq. (2.7).\n", "chapters/02_a.md": page("")}
    html, _ = build(tmp_path, pages)
    assert links(html["index.md"]) == ["chapters/02_a.html#eq-2-7"]


def test_a_docstring_is_linked(tmp_path, monkeypatch):
    (tmp_path / "tagged_sample.py").write_text('"""Computes Eq. (2.7)."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    text = "```{eval-rst}\n.. automodule:: tagged_sample\n```"
    extensions = [
        "myst_parser",
        "sphinx.ext.mathjax",
        "sphinx.ext.autodoc",
        "book.tagged_equations",
    ]
    html, _ = build(tmp_path, {"index.md": page(text)}, extensions=extensions)
    assert links(html["index.md"]) == ["#eq-2-7"]


@pytest.mark.parametrize("text", ["Eq. (2.9)", "Eqs. (2.7) and (2.9)", "Equations (2.7), (2.9)"])
def test_a_reference_to_an_equation_that_is_missing_is_a_warning(tmp_path, text):
    _, warnings = build(tmp_path, {"index.md": page(text)})
    assert "there is no equation (2.9)" in warnings
    assert "index.md" in warnings


def test_a_chapter_without_equations_counts_as_part_of_the_book(tmp_path):
    pages = {"index.md": "# Title\n\nEq. (3.1)\n", "chapters/03_b.md": "# Three\n"}
    assert "there is no equation (3.1)" in build(tmp_path, pages)[1]


def test_a_reference_to_a_chapter_that_is_not_in_the_book_stays_text(tmp_path):
    html, warnings = build(
        tmp_path, {"index.md": page("Eq. (7.3), Eqs. (2.7) and (12.1), Eq. (A.1)")}
    )
    assert links(html["index.md"]) == ["#eq-2-7"]
    assert warnings == ""


def test_a_tag_given_twice_is_a_warning_that_names_both_pages(tmp_path):
    _, warnings = build(tmp_path, {"index.md": page(""), "other.md": page("")})
    assert "equation tag (2.7) is already used in index" in warnings
    assert "other.md" in warnings


def test_a_tag_given_twice_on_one_page_is_a_warning(tmp_path):
    _, warnings = build(tmp_path, {"index.md": page(EQUATION)})
    assert "equation tag (2.7) is already used in index" in warnings


def test_a_second_build_follows_an_equation_that_moved_or_went(tmp_path):
    def second_build(changes):
        build(tmp_path, changes)
        return links((tmp_path / "html" / "reader.html").read_text())

    pages = {"index.md": "# Title\n", "reader.md": "# Reader\n\nBy (2.7).\n"}
    first = build(tmp_path, {**pages, "one.md": page(""), "two.md": "# Two\n"})[0]
    assert links(first["reader.md"]) == ["one.html#eq-2-7"]
    assert second_build({"one.md": "# One\n", "two.md": page("")}) == ["two.html#eq-2-7"]
    (tmp_path / "source" / "two.md").unlink()
    assert second_build({}) == []


def test_parallel_reading_finds_the_same_equations(tmp_path):
    pages = {f"p{i}.md": f"# P\n\n$$a \\tag{{{i}.1}}$$\n" for i in range(1, 8)}
    pages["index.md"] = "# Title\n\n" + " ".join(f"({i}.1)" for i in range(1, 8)) + "\n"
    html, _ = build(tmp_path, pages, parallel=2)
    assert links(html["index.md"]) == [f"p{i}.html#eq-{i}-1" for i in range(1, 8)]


def test_anchors_are_plain_lower_case():
    assert [anchor("2.7"), anchor("A.12"), anchor("10.3b")] == ["eq-2-7", "eq-a-12", "eq-10-3b"]
