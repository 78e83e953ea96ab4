"""Wrong solutions that are right on comfortable numbers: none of them passes."""

import textwrap

import numpy as np
import pytest
import torch
from wrong_solutions import WRONG

from course_lib.grading.inline import judge_here
from course_lib.grading.specs import SPECS
from course_lib.grading.states import State

DEFAULTS = {"epsilon": "1e-8", "weights": "None", "damping": "0.0"}
OPTIONAL = ("normalize", "fisher_from_scores", "fisher_vector_product")


def head(task: str) -> str:
    """Return the first line of a task's function."""
    names = [
        f"{name}={DEFAULTS[name]}" if task in OPTIONAL and name in DEFAULTS else name
        for name in SPECS[task].parameters
    ]
    return f"def {task}({', '.join(names)}):\n"


CASES = [
    (task, body.strip("\n").splitlines()[0][2:], head(task) + textwrap.indent(body, "    "))
    for task, text in WRONG.items()
    for body in text.strip("\n").split("\n\n")
]


def test_there_are_enough():
    assert len(CASES) >= 80
    assert {task for task, _, _ in CASES} == {
        name for name, spec in SPECS.items() if spec.exercise[:2] in WRITTEN_FOR
    }


WRITTEN_FOR = [f"{chapter:02}" for chapter in range(1, 8)]


@pytest.mark.parametrize(("task", "what", "source"), CASES, ids=[f"{t}: {w}" for t, w, _ in CASES])
def test_none_of_them_passes(task, what, source, solution_names):
    import math

    names = dict(solution_names[task]) | {"np": np, "torch": torch, "math": math}
    exec(source, names)
    verdict = judge_here(names[task], names, seconds=60)
    assert verdict.state in (State.WRONG, State.KNOWN_MISTAKE, State.RAISED), verdict.as_text()
    if verdict.state is State.RAISED:
        assert "RecursionError" in verdict.headline or "a stale gradient" in what
