"""The slides' sources: each part has a deck, each figure is one of the book, each number is its own."""

import json
import re
from pathlib import Path

import pytest
import yaml

from book.notebooks import BuildError
from book.slides import CELL, DECKS, deck, outputs, title
from tests.pattern import DECIMAL

ROOT = Path(__file__).resolve().parent.parent
PARTS = [
    part
    for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    if part["caption"].startswith("Part ")
]
DECK = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / DECKS).glob("*.md"))}


def cells_of(part):
    """Id -> cell, for all chapters of a part."""
    notebooks = [
        json.loads((ROOT / f"{entry['file']}.ipynb").read_text()) for entry in part["chapters"]
    ]
    return {cell["id"]: cell for notebook in notebooks for cell in notebook["cells"]}


def test_every_part_has_a_deck():
    assert list(DECK) == [f"part_{number + 1}" for number in range(len(PARTS))]
    for part, text in zip(PARTS, DECK.values(), strict=True):
        number = part["caption"].split(" · ")[0]  # "Part IV"
        assert text.splitlines()[2].startswith(f"{number} of *Trust Regions*")
        assert title(text)


@pytest.mark.parametrize(
    ("part", "text"), list(zip(PARTS, DECK.values(), strict=True)), ids=list(DECK)
)
def test_figures_and_numbers_are_those_of_the_part(part, text):
    cells = cells_of(part)
    shown = CELL.findall(text)
    for name in shown:
        assert name in cells, f"no chapter of {part['caption']} has a cell {name}"
        source = "".join(cells[name]["source"])
        assert re.search(r"\b(picture|playable|film|quiz)\(", source), f"{name} shows no figure"
    assert len(set(shown)) == len(shown)
    chapters = {Path(entry["file"]).name[:2] for entry in part["chapters"]}
    assert {name[2:4] for name in shown} == chapters
    prose = "".join("".join(c["source"]) for c in cells.values() if c["cell_type"] == "markdown")
    known = set(DECIMAL.findall(prose))
    assert [number for number in DECIMAL.findall(text) if number not in known] == []


def test_a_deck_is_made_of_slides_with_figures_and_mathematics():
    text = (
        "# One\n\nwith $a < b$\n\n---\n\n## Two\n\n$$ x^2 $$\n\n![](ch01-001) ![](ch01-002)\n\nEnd"
    )
    page = deck(text, {"ch01-001": '<img alt="a">', "ch01-002": '<img alt="b">'})
    assert page.count("<section") == 2
    assert r"\(a &lt; b\)" in page
    assert re.search(r"\\\[\s*x\^2\s*\\\]", page)
    figures = page.split('<div class="figures">')[1]
    assert re.findall('<div class="figure"><img alt="(.)"></div>', figures) == ["a", "b"]
    assert page.index('alt="b"') < page.index("<p>End</p>")
    assert "<title>Trust Regions: One</title>" in page
    assert "http" not in page


def test_a_figure_that_no_chapter_shows_is_named(tmp_path):
    (tmp_path / "_build/.jupyter_cache").mkdir(parents=True)
    (tmp_path / "chapters").mkdir()
    with pytest.raises(BuildError, match="shows a figure in cell ch01-999"):
        outputs(tmp_path, {"ch01-999"})
