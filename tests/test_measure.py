"""What counts as the weight of a page, and when a site is too heavy, on pages of a few bytes."""

import pytest

from book import measure
from book.measure import first_paints, too_heavy, weights


@pytest.fixture
def html(tmp_path):
    """Two pages that share a picture; one has another of its own, and a style sheet in _static."""
    for folder in ("chapters", "_static", "images"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_static" / "a.css").write_bytes(b"x" * 1000)
    (tmp_path / "images" / "own.png").write_bytes(b"x" * 300)
    (tmp_path / "images" / "shared.png").write_bytes(b"x" * 2000)
    one = (
        '<link rel="stylesheet" href="../_static/a.css"><link rel="next" href="two.html">'
        '<img src="../images/own.png?v=1"><img src="../images/shared.png">text'
    )
    (tmp_path / "chapters" / "one.html").write_text(one)
    (tmp_path / "chapters" / "two.html").write_text(
        '<link rel="stylesheet" href="../_static/a.css"><img src="../images/shared.png">'
    )
    return tmp_path


def test_a_page_weighs_what_it_alone_loads(html):
    texts = {
        name: (html / name).stat().st_size for name in ("chapters/one.html", "chapters/two.html")
    }
    texts["chapters/one.html"] += 300
    assert weights(html) == texts


@pytest.mark.parametrize(
    ("limit", "what"),
    [("MEDIAN", "median chapter"), ("LARGEST", "one.html"), ("SITE", "whole site")],
)
def test_what_is_too_heavy_is_named(html, monkeypatch, limit, what):
    assert too_heavy(html) == []
    monkeypatch.setattr(measure, limit, {"MEDIAN": 200, "LARGEST": 400, "SITE": 3300}[limit])
    (fault,) = too_heavy(html)
    assert what in fault


def test_the_first_paint_is_seen(html, chromium):
    late = "<script>const t = performance.now(); while (performance.now() - t < 700);</script>text"
    (html / "late.html").write_text(late)
    seconds = first_paints(html, ["chapters/one.html", "late.html"], chromium)
    assert seconds["chapters/one.html"] > 0
    assert seconds["late.html"] >= 0.7


def test_the_best_of_some_tries_counts(html):
    class Busy:
        """A browser whose first page is slow."""

        def __init__(self):
            self.times = iter([3.0, 0.4, 0.5, 0.6, 0.7])

        def get(self, address):
            self.at = address

        def execute_async_script(self, script):
            return next(self.times)

    assert first_paints(html, ["chapters/one.html"], Busy()) == {"chapters/one.html": 0.4}
