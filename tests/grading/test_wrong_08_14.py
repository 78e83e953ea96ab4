"""No wrong solution of chapters 8 to 15 hides where probes are comfortable."""

import pytest
from wrong_08_14 import WRONG, sources

from course_lib.grading import specs
from course_lib.grading.diagnosis import diagnose
from course_lib.grading.outcome import read_outcome
from course_lib.grading.sandbox.run import load_harness, run_probes
from course_lib.grading.sandbox.wire import pack
from course_lib.grading.spec import PUBLIC_SEED
from course_lib.grading.states import State

SEEDS = (PUBLIC_SEED, 7)


def state(spec, function, seed):
    """Return what the judge says about a function."""
    probes = [[pack(argument) for argument in probe.arguments] for probe in spec.calls(seed)]
    raw = run_probes(function, probes, harness=load_harness(spec.harness_source()))
    return diagnose(spec, [read_outcome(entry) for entry in raw], seed).state


@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize("task", WRONG)
def test_none_survives_and_the_solution_does(task, solution_sources, solution_names):
    spec = specs.SPECS[task]
    for seed in SEEDS:
        assert state(spec, solution_names[task][task], seed) is State.RIGHT
        for source in sources(task, solution_sources[task]):
            namespace = dict(solution_names[task])
            exec(source, namespace)
            assert state(spec, namespace[task], seed) not in (State.RIGHT, State.CRASHED), source


def test_they_are_many():
    assert sum(map(len, WRONG.values())) >= 200
    assert set(WRONG) == {spec.name for spec in specs.TASKS if spec.exercise[:2] >= "08"}
