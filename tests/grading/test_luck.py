"""What decides is fixed by the scene, not by the seed: nothing wrong is right at any of 40 seeds."""

import dataclasses

import numpy as np
import pytest
import torch
from test_wrong_solutions import CASES
from wrong_08_14 import IN_PLACE_POPULAR, IN_PLACE_SEARCH, sources

from course_lib.grading.answers import as_arrays, comparable
from course_lib.grading.diagnosis import diagnose
from course_lib.grading.outcome import read_outcome
from course_lib.grading.sandbox.run import load_harness, run_probes
from course_lib.grading.specs import SPECS, TASKS
from course_lib.grading.states import State

SEEDS = range(40)
FEW = range(3, 6)  # where a harness makes calls slow; all 40 were tried once, without a find
BACK = ("theta.copy_(old)", "theta.sub_(full_step, alpha=f)")


def at_every_seed(spec, seeds=SEEDS):
    """Yield every seed with a spec that keeps nothing of the others'."""
    for seed in seeds:
        yield seed, dataclasses.replace(spec)


def right_at(spec, function) -> list[int]:
    """Return the seeds at which the judge calls a function right."""
    harness = load_harness(spec.harness_source())
    return [seed for seed, fresh in at_every_seed(spec) if is_right(fresh, function, seed, harness)]


def is_right(spec, function, seed, harness=None) -> bool:
    """Tell whether a function is right; no call is made after the first that decides."""
    probes, expected, outcomes = spec.draw(seed), spec.expected(seed), []
    for packed in spec.packed(seed):
        outcomes += map(read_outcome, run_probes(function, [packed], harness=harness))
        answer, number = outcomes[-1].answer, len(outcomes) - 1
        if answer is None or outcomes[-1].changed or outcomes[-1].gradients:
            return False
        if number < len(probes):
            given = comparable(answer, expected[number])
            if not spec.agree(probes[number], expected[number], given):
                return False
    return diagnose(spec, outcomes, seed).state is State.RIGHT


@pytest.mark.parametrize("spec", TASKS, ids=lambda spec: spec.name)
def test_no_catalogued_mistake_is_right_at_any_seed(spec):
    telling: dict[str, int] = {}
    for seed, fresh in at_every_seed(spec, FEW if spec.harness else SEEDS):
        probes, right = fresh.draw(seed), list(map(as_arrays, fresh.expected(seed)))
        for mistake in spec.mistakes:
            function = spec.mistaken(mistake)
            # The probe that told at the last seed comes first: one call is enough, nearly always.
            numbers = dict.fromkeys([telling.get(mistake.name, 0), *range(len(probes))])
            for n in numbers:
                if not spec.agree(probes[n], right[n], spec.answer(function, probes[n])):
                    telling[mistake.name] = n
                    break
            else:
                pytest.fail(f"{mistake.name} is right at seed {seed}")


@pytest.mark.parametrize("nan", ["0.0", "-1e3", "1e3", "np.nanmin(returns)", "np.nanmax(returns)"])
def test_a_number_in_the_place_of_nan_is_never_right(nan, solution_sources, solution_names):
    spec = SPECS["failure_rate"]
    change = (
        f"def failure_rate(returns, threshold):\n    returns = np.nan_to_num(returns, nan={nan})"
    )
    source = solution_sources[spec.name].replace("def failure_rate(returns, threshold):", change)
    assert change in source
    namespace = dict(solution_names[spec.name]) | {"np": np}
    exec(source, namespace)
    assert right_at(spec, namespace[spec.name]) == []
    assert right_at(spec, solution_names[spec.name][spec.name]) == list(SEEDS)


@pytest.mark.parametrize("back", ["pass", *BACK])
def test_a_line_search_in_place_is_never_right(back, solution_names):
    for name, source in (
        ("backtracking_line_search", IN_PLACE_SEARCH),
        ("popular_line_search", IN_PLACE_POPULAR),
    ):
        if name == "popular_line_search":  # of arrays
            back = {BACK[0]: "theta[:] = old", BACK[1]: "theta -= fraction * full_step"}.get(
                back, back
            )
        namespace = dict(solution_names[name]) | {"np": np}
        exec("import math\n" + source.replace("RESTORE", back), namespace)
        assert right_at(SPECS[name], namespace[name]) == []


def test_eight_iterations_are_never_enough(solution_names):
    """Of 40 matrices with nine rows, seven let them through."""
    (source,) = (s for _, what, s in CASES if what.startswith("at most 8 iterations of conj"))
    namespace = dict(solution_names["natural_step"]) | {"torch": torch}
    exec(source, namespace)
    assert right_at(SPECS["natural_step"], namespace["natural_step"]) == []


def test_a_rounded_mean_is_never_right(solution_sources, solution_names):
    """Three tiny log-ratios cancelled at two of 40 seeds."""
    made = sources("approx_kl", solution_sources["approx_kl"])
    (source,) = (source for source in made if "round(decimals=6)" in source)
    namespace = dict(solution_names["approx_kl"])
    exec(source, namespace)
    assert right_at(SPECS["approx_kl"], namespace["approx_kl"]) == []


@pytest.mark.parametrize("beyond", ["the first again", "the last", "the first"])
def test_the_number_of_the_call_is_no_answer(beyond):
    """Not even where the answers are known: the probes come again, in an order of their own."""
    for seed, fresh in at_every_seed(SPECS["normalize"]):
        known, calls = fresh.expected(seed), []

        def by_number(x, epsilon=1e-8, known=known, calls=calls):
            calls.append(x)
            number = len(calls) - 1
            if number >= len(known):
                rule = {"the first again": number % len(known), "the last": -1, "the first": 0}
                number = rule[beyond]
            return known[number]

        assert not is_right(fresh, by_number, seed)
        assert len(calls) == len(fresh.calls(seed))
