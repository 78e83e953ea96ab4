"""Block quotes that open with a bold key word become cards."""

import pytest
from docutils.utils import new_document

from book.cards import dress_quotes


def classes_of(markdown):
    """The classes that the block quotes of a text get, as the book's parser reads them."""
    pytest.importorskip("myst_parser")
    from docutils import nodes
    from myst_parser.config.main import MdParserConfig
    from myst_parser.mdit_to_docutils.base import DocutilsRenderer
    from myst_parser.parsers.mdit import create_md_parser

    document = new_document("page.md")
    parser = create_md_parser(MdParserConfig(enable_extensions={"dollarmath"}), DocutilsRenderer)
    parser.options["document"] = document
    parser.render(markdown)
    dress_quotes(None, document)
    return [quote["classes"] for quote in document.findall(nodes.block_quote)]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Theorem 4.2 (Pinsker).", "theorem"),
        ("Definition.", "definition"),
        ("Predict.", "predict"),
        ("Break it.", "break-it"),
        ("Algorithm 2.1 ($\\lambda$-returns)", "algorithm"),
        ("Warning", "warning"),
    ],
)
def test_a_bold_key_word_makes_a_card(title, name):
    assert classes_of(f"> **{title}** Text.\n>\n> More.") == [["book-card", f"book-card-{name}"]]


@pytest.mark.parametrize(
    "quote",
    [
        "> Theorem 4.2. Not bold.",
        "> **Notes** of a reader.",
        "> **note.** Not a title.",
        "> So **Note** this.",
        "> - **Note.** In a list.",
        ">",
    ],
)
def test_other_quotations_stay_plain(quote):
    assert classes_of(quote) == [[]]
