"""Sphinx extension: folded code is one quiet line that says what it hides.

The label is the cell's own (``mystnb.code_prompt_show``): "Set-up", "Drawing". A cell that shows
something shows it first, and its code is folded below, as the source of a figure is named below it.
"""

from html import escape

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator


class CodeBelow(SphinxPostTransform):
    """Move the folded code of a cell below what the cell shows."""

    default_priority = 200  # right after myst-nb has folded it
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Change the order of a cell's two parts."""
        for fold in list(self.document.findall(HideCodeCellNode)):
            cell, after = fold.parent, fold.next_node(siblings=True, descend=False)
            if after is not None and after.get("nb_element") == "cell_code_output":
                cell.remove(fold)
                cell.append(fold)


class SourceShown(SphinxPostTransform):
    """Mark cells that only show code of the library: the call is then the code's caption."""

    default_priority = 202
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Add a class; style sheets cannot read the call."""
        for code in self.document.findall(nodes.literal_block):
            cell = code.parent.parent
            if code.astext().startswith("show_source(") and "cell" in cell.get("classes", []):
                cell["classes"].append("shows-source")


class HookAbove(SphinxPostTransform):
    """Show the picture of the cell tagged ``hook`` in the opening of the page as well."""

    default_priority = 201
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Copy the picture; it stays where it is drawn."""
        cells = [n for n in self.document.findall(nodes.container) if "tag_hook" in n["classes"]]
        promise = next(filter(is_promise, self.document.findall(nodes.paragraph)), None)
        for cell in cells:
            for shown in cell.children:
                if promise is not None and shown.get("nb_element") == "cell_code_output":
                    promise.parent.insert(promise.parent.index(promise), shown.deepcopy())


def is_promise(paragraph: nodes.paragraph) -> bool:
    """Whether a paragraph ends the opening of a chapter."""
    return paragraph.astext().startswith("You will be able to")


def open_fold(translator: HTML5Translator, node: nodes.Element) -> None:
    """Begin a fold; its label is what a screen reader says, too."""
    translator.body.append(
        f'<details class="fold">\n<summary>{escape(node["prompt_show"])}</summary>\n'
    )


def close_fold(translator: HTML5Translator, _: nodes.Element) -> None:
    """End a fold."""
    translator.body.append("</details>\n")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx, after myst-nb."""
    app.setup_extension("myst_nb")
    app.add_node(HideCodeCellNode, override=True, html=(open_fold, close_fold))
    app.add_post_transform(CodeBelow)
    app.add_post_transform(HookAbove)
    app.add_post_transform(SourceShown)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
