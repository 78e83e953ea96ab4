"""The book's looks that a machine can hold: colours, folds, the moving picture, the page's head."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from course_lib.show.plots import COLOURS
from tests.test_pattern import EARLIER

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "book" / "static"


def luminance(rgb):
    """Relative luminance of a colour with parts in [0, 1], as WCAG defines it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    """WCAG's ratio of two colours, at least 1."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def parsed(colour):
    """``#rrggbb`` as three numbers in [0, 1]."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def variables(selector):
    """The colours that book.css gives names to, under a selector."""
    block = re.search(
        rf"^{re.escape(selector)} \{{(.*?)\}}", (STATIC / "book.css").read_text(), re.M | re.S
    )
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block[1]))


def turned_over(rgb):
    """CSS ``invert(1) hue-rotate(180deg)``, by the matrix of the Filter Effects specification."""
    luma = np.array([0.213, 0.715, 0.072])
    matrix = 2 * np.outer(np.ones(3), luma) - np.eye(3)  # cos is -1 and sin is 0
    return np.clip(matrix @ (1 - rgb), 0, 1)


def on_screen(rgb, ground):
    """Blend mode ``screen``: black becomes the ground."""
    return 1 - (1 - rgb) * (1 - ground)


LIGHT, DARK = variables("html"), variables('html[data-theme="dark"]')


def test_both_modes_name_the_same_colours():
    assert LIGHT.keys() == DARK.keys()
    assert {"paper", "ink", "quiet", "result"} <= LIGHT.keys()


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_words_stand_out_from_every_ground(colours):
    grounds = [colours[name] for name in colours if name == "paper" or name.endswith("-ground")]
    for ground in grounds:
        for name in ("ink", "quiet"):
            assert contrast(parsed(colours[name]), parsed(ground)) >= 4.5, (name, ground)
    for name in colours:
        if f"{name}-ground" in colours:
            for ground in (colours["paper"], colours[f"{name}-ground"]):
                assert contrast(parsed(colours[name]), parsed(ground)) >= 4.5, name


def test_figures_are_turned_over_in_dark_mode_as_computed_here():
    rules = (STATIC / "figures.css").read_text()
    assert "filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen" in rules
    assert "mix-blend-mode: multiply" in rules


def test_lines_of_figures_keep_their_contrast_with_the_page_in_dark_mode():
    light, dark = parsed(LIGHT["paper"]), parsed(DARK["paper"])
    for colour in map(parsed, COLOURS):
        turned = on_screen(turned_over(colour), dark)
        assert contrast(turned, dark) >= 0.8 * contrast(colour * light, light)
    ink = parsed("#262626")  # Matplotlib's words in the book's style
    assert contrast(on_screen(turned_over(ink), dark), dark) >= 7


def test_a_hue_stays_that_hue_when_turned_over():
    import colorsys

    for colour in COLOURS[:6]:
        before = colorsys.rgb_to_hsv(*parsed(colour))[0]
        after = colorsys.rgb_to_hsv(*turned_over(parsed(colour)))[0]
        assert min(abs(before - after), 1 - abs(before - after)) < 0.09, colour


def test_style_sheets_ask_for_no_font_and_no_address():
    for sheet in STATIC.glob("*.css"):
        assert not re.search(
            r"@import|@font-face|url\(\s*['\"]?(?:https?:)?//", sheet.read_text()
        ), sheet


def test_all_style_sheets_are_on_the_pages():
    listed = re.search(r"html_css_files: \[(.*?)\]", (ROOT / "_config.yml").read_text())[1]
    own = {"sandbox.css"}  # of one page, which links it
    assert set(listed.split(", ")) | own == {p.name for p in STATIC.glob("*.css")}


# The moving picture ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swing():
    """A pole that rises for a second and stands for one."""
    theta = np.concatenate([np.linspace(np.pi, 0, 100), np.zeros(101)])
    x = 0.5 * np.sin(theta)
    return np.stack([x, 0 * x, theta, 0 * x], axis=1)


def test_the_moving_picture_ends_in_the_last_state_and_starts_in_the_first(swing):
    from book.moving_picture import METRE, WIDE, moving_picture

    drawn = moving_picture(swing, "a pole")
    turns = re.search(r"@keyframes swing-pole\{(.*?)\}\}", drawn)[1]
    assert turns.startswith("0.00%{transform:rotate(-180.0deg)}")
    assert turns.endswith("to{transform:rotate(-0.0deg)")
    places = [float(x) for x in re.findall(r"translateX\(([\d.]+)px\)", drawn)]
    assert len(places) == 1 + 50 + 1  # at rest, every fourth of 200 steps, the end
    assert np.allclose(places[1:-1], WIDE / 2 + METRE * swing[:-1:4, 0], atol=0.06)


def test_the_moving_picture_stands_still_for_those_who_ask_for_it(swing):
    from book.moving_picture import moving_picture

    drawn = moving_picture(swing, "a pole")
    assert "@media (prefers-reduced-motion: reduce) { .swing-moves { animation: none" in drawn
    still = re.search(r"\.swing-pole-moves \{ transform: (\S+);", drawn)[1]
    assert still == "rotate(-0.0deg)"
    assert drawn.count("swing-ghost") > 10  # the way up is in the picture itself


def test_the_landing_page_says_what_the_picture_shows():
    drawn = (STATIC / "swingup.svg").read_text()
    seconds = re.search(r"after ([\d.]+) seconds", drawn)[1]
    intro = (ROOT / "intro.md").read_text()
    assert f"after {seconds} seconds" in intro
    assert ":file: book/static/swingup.svg" in intro
    assert len(drawn) < 100_000


def test_an_episode_is_upright_from_the_moment_on_after_which_it_never_falls():
    from book.front import risen_after

    theta = np.array([np.pi, 0.1, 2.0, 0.2, 0.0])
    assert risen_after(theta[:, None] * [0, 0, 1, 0]) == pytest.approx(0.03)
    assert risen_after(np.zeros((5, 4))) == 0


# Hooks and folds ---------------------------------------------------------------------------------


CHAPTERS = [p for p in sorted((ROOT / "chapters").glob("*.ipynb")) if p.stem not in EARLIER]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_opens_with_its_picture(path):
    """Before the second heading, or further down and tagged, so that the page shows it above."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    shows = re.compile(r"^(picture|playable|film)\(", re.M)
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and shows.search(source):
            break
        if cell["cell_type"] == "markdown" and re.search(r"^## ", source, re.M):
            tagged = [c for c in cells if "hook" in c["metadata"].get("tags", [])]
            assert len(tagged) == 1, "no picture above the first section, and no cell tagged hook"
            assert shows.search("".join(tagged[0]["source"]))
            break
