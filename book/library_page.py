"""Sphinx extension: imports what reads annotations before autodoc rewrites them.

Autodoc puts the text of an annotation in the place of its value in each class it documents. Settings
are checked by the values, so whatever makes settings when it is imported must come first.
"""

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PAGE = "appendices/f_api"


def make_settings(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    """Import what makes every preset, if the page of the library is going to be read."""
    if PAGE in pages:
        import course_lib.training.study  # noqa: F401 for what its import does


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    app.connect("env-before-read-docs", make_settings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
