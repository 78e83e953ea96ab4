"""The graded tasks of the book, one module per task.

This package holds answers: the sandbox never imports it.
"""

from itertools import chain

from ..spec import Spec
from . import (
    chapter_01,
    chapter_02,
    chapter_03,
    chapter_04,
    chapter_05,
    chapter_06,
    chapter_07,
    chapter_08,
    chapter_09,
    chapter_10,
    chapter_11,
    chapter_12,
    chapter_13,
    chapter_14,
    chapter_15,
)

CHAPTERS = (
    chapter_01,
    chapter_02,
    chapter_03,
    chapter_04,
    chapter_05,
    chapter_06,
    chapter_07,
    chapter_08,
    chapter_09,
    chapter_10,
    chapter_11,
    chapter_12,
    chapter_13,
    chapter_14,
    chapter_15,
)
TASKS: tuple[Spec, ...] = tuple(chain.from_iterable(chapter.TASKS for chapter in CHAPTERS))
SPECS: dict[str, Spec] = {spec.name: spec for spec in TASKS}


def of_exercise(stem: str) -> list[Spec]:
    """Return the tasks of one exercise, such as ``02_advantage_estimation``, in order."""
    return [spec for spec in TASKS if spec.exercise == stem]
