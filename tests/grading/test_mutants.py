"""One's own catalogue is a circle: mutants of the solutions must be noticed too."""

import numpy as np
import pytest
from mutants import mutants

from course_lib.grading import specs
from course_lib.grading.inline import judge_here
from course_lib.grading.states import State

TASKS = [spec.name for spec in specs.TASKS]
# Mutants that compute the same numbers: what was changed, and why it does not matter.
EQUIVALENT = {
    "n_step_advantages": [
        ("deltas[t] -> deltas[t - 1]", "only the shape of a row is used, in ones_like(deltas[t])"),
    ],
    "gae": [
        ("np.zeros_like -> np.ones_like", "every entry of the buffer is written later"),
        ("0 -> -1", "only the shape of a row is used, in zeros_like(deltas[0])"),
    ],
    "discounted_returns": [
        ("np.zeros_like -> np.ones_like", "every entry of the buffer is written later"),
        ("rewards -> next_values", "only the shape is used, in zeros_like(rewards)"),
        ("rewards -> next_values", "only the length is used, in range(len(rewards))"),
    ],
}


@pytest.mark.parametrize("task", TASKS)
def test_every_mutant_is_noticed_or_equivalent(task, solution_sources):
    names = {"np": np}
    exec(solution_sources["td_residuals"], names)
    known, seen, survivors = set(), 0, []
    for what, source in mutants(solution_sources[task]):
        seen += 1
        namespace = dict(names)
        exec(source, namespace)
        verdict = judge_here(namespace[task], seconds=2)
        if verdict.state is State.RIGHT:
            survivors.append(what)
        known |= set(verdict.mistakes)
    assert seen >= 20
    assert sorted(survivors) == sorted(what for what, _ in EQUIVALENT.get(task, []))
    assert len(known) >= 3  # the catalogue names what mutation finds


def test_the_unchanged_source_is_right(solution_sources):
    names = {"np": np}
    for source in solution_sources.values():
        exec(source, names)
    assert all(judge_here(names[task]).state is State.RIGHT for task in TASKS)
