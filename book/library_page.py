"""Sphinx extension: imports what reads annotations before autodoc rewrites them.

Autodoc puts the text of an annotation in the place of its value in each class it documents. Settings
are checked by the values, so whatever makes settings when it is imported must come first.
"""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension with Sphinx."""
    import course_lib.training.study  # noqa: F401 its import makes every preset

    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
