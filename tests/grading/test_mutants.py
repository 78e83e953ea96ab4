"""One's own catalogue is a circle: mutants of the solutions must be noticed too."""

import contextlib
import functools

import numpy as np
import pytest
from mutants import mutants
from tasks import EQUIVALENT

from course_lib.grading import specs
from course_lib.grading.answers import comparable
from course_lib.grading.inline import TimeIsUp, judge_here, run_with_limit
from course_lib.grading.outcome import read_outcome
from course_lib.grading.sandbox.run import Printed, run_probes
from course_lib.grading.sandbox.wire import pack
from course_lib.grading.states import State

LIMIT = 8  # seconds; a busy machine must not turn an equivalent mutant into a noticed one
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


@functools.cache
def probes_and_answers(task):
    """Return every probe, its packed arguments and the right answer to it."""
    spec = specs.SPECS[task]
    return [
        (probe, [pack(argument) for argument in probe.arguments], spec.oracle(*probe.arguments))
        for probe in spec.draw()
    ]


def agrees_on_all_probes(spec, function):
    """Tell whether a mutant may be right; most differ on the first probe, and that is enough."""
    for probe, arguments, right in probes_and_answers(spec.name):
        call = functools.partial(run_probes, function, [arguments], (TimeIsUp,), spec.harness)
        try:
            with contextlib.redirect_stdout(Printed()):
                outcome = read_outcome(run_with_limit(call, LIMIT)[0])
        except TimeIsUp:
            return False
        if outcome.answer is None or outcome.changed or outcome.gradients:
            return False
        if not spec.agree(probe, right, comparable(outcome.answer, right)):
            return False
    return True


@pytest.mark.parametrize("task", TASKS)
def test_every_mutant_is_noticed_or_equivalent(task, solution_sources, solution_names):
    known, seen, survivors = set(), 0, []
    for what, source in mutants(solution_sources[task], groups_of(specs.SPECS[task])):
        seen += 1
        namespace = dict(solution_names[task])
        exec(source, namespace)
        if len(known) >= 3 and not agrees_on_all_probes(specs.SPECS[task], namespace[task]):
            continue
        verdict = judge_here(namespace[task], seconds=30)
        if verdict.state is State.RIGHT:
            survivors.append(what)
        known |= set(verdict.mistakes)
    assert seen >= 20
    assert sorted(survivors) == sorted(what for what, _ in EQUIVALENT.get(task, []))
    wanted = 3 if specs.SPECS[task].exercise.startswith("02") else 2
    assert len(known) >= wanted  # the catalogue names what mutation finds


@pytest.mark.parametrize("task", TASKS)
def test_the_unchanged_source_is_right(task, solution_sources, solution_names):
    namespace = dict(solution_names[task])
    exec(solution_sources[task], namespace)
    assert judge_here(namespace[task]).state is State.RIGHT
