"""The judge of the book's exercises: the same one in the notebook and in ``pytest exercises/``.

This module holds only what a notebook needs: ``from course_lib.grading import check, progress``.
"""

from .inline import check
from .progress import progress

__all__ = ["check", "progress"]
