"""The graded tasks of the book, one module per task.

This package holds answers: the sandbox never imports it.
"""

from ..spec import Spec
from . import chapter_02

TASKS: tuple[Spec, ...] = (*chapter_02.TASKS,)
SPECS: dict[str, Spec] = {spec.name: spec for spec in TASKS}


def of_exercise(stem: str) -> list[Spec]:
    """Return the tasks of one exercise notebook, such as ``02_advantage_estimation``, in order."""
    return [spec for spec in TASKS if spec.exercise == stem]
