"""The page of the films in a browser, opened from disk: its films are there, move, and can be stopped."""

import re
import shutil
from pathlib import Path

import pytest

from book.build import run_jupyter_book
from book.films import FOLDER, PAGE, SERVED

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page, built by Jupyter Book as a book of its own; its links need other pages, so go."""
    pytest.importorskip("jupyter_book")
    root = tmp_path_factory.mktemp("films")
    shutil.copy(ROOT / "_config.yml", root)
    for folder in ("book", "results"):
        (root / folder).symlink_to(ROOT / folder)
    text = re.sub(r"\[([^]\n]+)\]\([^)\n]+\)", r"\1", (ROOT / PAGE).read_text())
    (root / PAGE).write_text(text)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: {PAGE.stem}\n")
    (root / "_build").mkdir()
    run_jupyter_book(root)
    return root / "_build" / "html" / f"{PAGE.stem}.html"


@pytest.fixture
def opened(file, chromium):
    """A function that opens the page for somebody who wants less motion, or does not mind."""

    def load(motion):
        features = [{"name": "prefers-reduced-motion", "value": motion}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        chromium.get(file.as_uri())
        return chromium

    yield load
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


LOADED = """
const done = arguments[0], images = [...document.querySelectorAll('.film img')];
images.forEach(image => image.loading = 'eager');
Promise.all(images.map(image => image.decode())).then(
  () => done(images.map(image => [image.currentSrc, image.naturalWidth / image.naturalHeight,
    image.width, image.height])),
  error => done(String(error)));
"""


@pytest.mark.parametrize(("motion", "kind"), [("no-preference", ".gif"), ("reduce", ".png")])
def test_every_film_is_there_and_who_wants_less_motion_sees_stills(opened, file, motion, kind):
    shown = opened(motion).execute_async_script(LOADED)
    films = sorted(path.name for path in (ROOT / FOLDER).glob(f"*{kind}"))
    assert sorted(Path(address).name for address, *_ in shown) == films != []
    assert all((file.parent / SERVED / name).is_file() for name in films)
    for _, proportion, width, height in shown:
        assert 200 < width <= 676
        assert width / height == pytest.approx(proportion, rel=0.02)


def test_a_film_beside_a_page_from_disk_is_stopped_and_played(opened):
    browser = opened("no-preference")
    browser.execute_async_script(LOADED)
    image, button = (browser.find_element("css selector", f".film {t}") for t in ("img", "button"))
    seen = []
    for _ in range(3):
        seen.append((image.get_property("currentSrc")[-4:], button.text))
        browser.execute_script("arguments[0].click()", button)
        browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 100))")
    playing, stopped = (".gif", "Pause the film"), (".png", "Play the film")
    assert seen == [playing, stopped, playing]
