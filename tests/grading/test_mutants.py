"""One's own catalogue is a circle: mutants of the solutions must be noticed too."""

import numpy as np
import pytest
from mutants import mutants
from tasks import EQUIVALENT

from course_lib.grading import specs
from course_lib.grading.inline import judge_here
from course_lib.grading.states import State

TASKS = [spec.name for spec in specs.TASKS]


def groups_of(spec):
    """Return the parameters that can be mistaken for each other: of one type and shape."""
    arguments = spec.draw()[0].arguments
    if len(spec.parameters) <= 3 or len(arguments) != len(spec.parameters):
        return [spec.parameters]
    kinds = {}
    for name, value in zip(spec.parameters, arguments, strict=True):
        key = (type(value), np.shape(value), getattr(value, "dtype", None))
        kinds.setdefault(str(key), []).append(name)
    return list(kinds.values())


@pytest.mark.parametrize("task", TASKS)
def test_every_mutant_is_noticed_or_equivalent(task, solution_sources, solution_names):
    known, seen, survivors = set(), 0, []
    for what, source in mutants(solution_sources[task], groups_of(specs.SPECS[task])):
        seen += 1
        namespace = dict(solution_names[task])
        exec(source, namespace)
        verdict = judge_here(namespace[task], seconds=2)
        if verdict.state is State.RIGHT:
            survivors.append(what)
        known |= set(verdict.mistakes)
    assert seen >= 20
    assert sorted(survivors) == sorted(what for what, _ in EQUIVALENT.get(task, []))
    assert len(known) >= 2  # the catalogue names what mutation finds


@pytest.mark.parametrize("task", TASKS)
def test_the_unchanged_source_is_right(task, solution_sources, solution_names):
    namespace = dict(solution_names[task])
    exec(solution_sources[task], namespace)
    assert judge_here(namespace[task]).state is State.RIGHT
