"""Sphinx extension: puts the films of ``results/films`` beside the page that shows them."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

PAGE, FOLDER = Path("films.md"), Path("results/films")
#: Where the built book has them.
SERVED = "_static/films"


def write_films(app: Sphinx, exception: Exception | None) -> None:
    """Copy the films and their stills into the built book, if that has the page."""
    if exception is None and PAGE.stem in app.env.found_docs:
        target = Path(app.outdir) / SERVED
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted((Path(app.srcdir) / FOLDER).iterdir()):
            if file.suffix in (".gif", ".png"):
                shutil.copy(file, target)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    app.connect("build-finished", write_films)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
