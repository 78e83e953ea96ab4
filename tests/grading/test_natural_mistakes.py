"""Mistakes as students write them, through `check`: the hint is about what they did."""

import numpy as np
import pytest
import torch
from tasks.chapter_12 import CHAN, SLIPS, spoilt

from course_lib.grading.inline import judge_here
from course_lib.grading.specs import SPECS
from course_lib.grading.states import State

SEARCH = """
def backtracking_line_search(surrogate_fn, kl_fn, theta, full_step, expected_improvement, max_kl,
                             backtrack_factor, max_steps, accept_ratio):
    if expected_improvement <= 0:
        return theta, 0.0
    old, fraction = surrogate_fn(theta).item(), 1.0
    for _ in range(max_steps):
        new = theta + fraction * full_step
        gain, kl = surrogate_fn(new).item() - old, kl_fn(new).item()
        if TEST:
            return new, fraction
        fraction *= backtrack_factor
    return theta, 0.0
"""
ENOUGH = "gain > accept_ratio * fraction * expected_improvement"
FINITE = "np.isfinite(gain) and np.isfinite(kl)"
GUARD = "    if expected_improvement <= 0:\n        return theta, 0.0\n"
RIGHT_SEARCH = SEARCH.replace("TEST", f"{FINITE} and {ENOUGH} and kl <= max_kl")
LOG_PROB = """
def gaussian_log_prob(mean, log_std, actions):
    z = (actions - mean) / log_std.exp()
    log_probs = -0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi)
    return log_probs.sum(-1)
"""
MIDDLE = """
def interquartile_mean(scores):
    n = len(scores)
    cut = n // 4
    return np.sort(scores, axis=0)[cut : n - cut].mean(axis=0)
"""
NORMALIZE = """
def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon)
"""


def checked(source):
    names = {"np": np, "torch": torch, "__name__": "__main__"}
    exec(source, names)
    (function,) = (names[name] for name in names if name in SPECS)
    return judge_here(function, names, seconds=60)


@pytest.mark.parametrize("source", [RIGHT_SEARCH, LOG_PROB, MIDDLE, NORMALIZE])
def test_what_is_spoilt_below_is_right(source):
    verdict = checked(source)
    assert verdict.state is State.RIGHT, verdict.as_text()


@pytest.mark.parametrize("guard", [GUARD, "", GUARD.replace("<=", "<")])
@pytest.mark.parametrize(
    ("test", "mistake"),
    [
        (ENOUGH, "kl_not_tested"),
        (f"np.isfinite(gain) and {ENOUGH}", "kl_not_tested"),
        (f"{FINITE} and {ENOUGH}", "kl_not_tested"),
        ("kl <= max_kl", "improvement_not_tested"),
        ("np.isfinite(kl) and kl <= max_kl", "improvement_not_tested"),
        (f"{FINITE} and kl <= max_kl", "improvement_not_tested"),
    ],
)
def test_a_line_search_without_one_of_its_tests(test, mistake, guard):
    verdict = checked(SEARCH.replace("TEST", test).replace(GUARD, guard))
    assert verdict.mistakes[:1] == (mistake,), verdict.as_text()
    other = {"kl_not_tested": "improvement_not_tested"}.get(mistake, "kl_not_tested")
    assert other not in verdict.mistakes


def test_a_fraction_that_is_always_one():
    verdict = checked(RIGHT_SEARCH.replace("return new, fraction", "return new, 1.0"))
    assert verdict.mistakes == ("fraction_is_one",), verdict.as_text()


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"new, fraction": "fraction, new", "theta, 0.0": "0.0, theta"}, ""),
        ({"new, fraction": "fraction, new"}, " on 21 of 25 probes"),
        ({"theta, 0.0\n    old": "0.0, theta\n    old"}, " on 2 of 25 probes"),
    ],
)
def test_a_pair_that_is_swapped_at_some_of_the_exits(changes, where):
    source = RIGHT_SEARCH
    for old, new in changes.items():
        source = source.replace(f"return {old}", f"return {new}")
    verdict = checked(source)
    assert verdict.headline == f"Its parts are right, but in another order{where}."
    assert verdict.hint == "The order is: new theta and fraction."


def test_one_thing_where_two_are_asked_for():
    source = RIGHT_SEARCH.replace("new, fraction\n", "new\n").replace("theta, 0.0", "theta")
    verdict = checked(source)
    assert verdict.state is State.WRONG
    assert verdict.headline == "It should return 2 things."
    assert verdict.hint == "It returned: tensor."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("log_probs", "Its entries are right, but their sum over axis 1 is asked for."),
        ("log_probs.squeeze()", "Its entries are right, but their sum over axis 1 is asked for."),
        ("log_probs.sum(-1, keepdim=True)", "look for a reshape or a lost axis"),
    ],
)
def test_a_log_probability_that_is_not_summed_over_its_dimensions(change, words):
    verdict = checked(LOG_PROB.replace("log_probs.sum(-1)", change))
    assert words in verdict.hint, verdict.as_text()


@pytest.mark.parametrize("cut", ["round(n / 4)", "int(np.round(0.25 * n))", "int(n / 4 + 0.5)"])
def test_a_quarter_that_is_rounded_to_the_nearest(cut):
    verdict = checked(MIDDLE.replace("n // 4", cut))
    assert verdict.mistakes[0].startswith("rounded_"), verdict.as_text()
    assert "round a quarter of the number of runs to the nearest" in verdict.hint


@pytest.mark.parametrize(
    ("divisor", "mistake"),
    [
        ("(x.var() + 1e-6)", "variance_and_an_epsilon_of_its_own"),
        ("(x.var() + epsilon)", "variance_instead_of_deviation"),
        ("np.sqrt(x.var() + 1e-6)", "epsilon_ignored"),
        ("(x.std() + 1e-6)", "epsilon_ignored"),
    ],
)
def test_an_epsilon_of_its_own(divisor, mistake):
    verdict = checked(NORMALIZE.replace("(x.std() + epsilon)", divisor))
    assert verdict.mistakes == (mistake,), verdict.as_text()


FIRST_BATCH = """    if count == 0:
        return batch.mean(axis=0), batch.var(axis=0), n
"""


@pytest.mark.parametrize("mistake", SLIPS)
def test_a_slip_in_running_moments_without_a_branch_for_the_first_batch(mistake):
    verdict = checked(spoilt(CHAN.replace(FIRST_BATCH, ""), SLIPS[mistake]))
    hints = {known.name: known.hint for known in SPECS["update_moments"].mistakes}
    assert hints[mistake] in verdict.hint.splitlines(), verdict.as_text()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("mean(axis=0)", "mean(axis=0), n", 1),
        ("return np", "return n, np", 2),
        ("mean(axis=0)", "mean(axis=0), scores.std(axis=0)", 1),  # two of one shape
    ],
)
def test_an_answer_with_something_beside_it(old, new, place):
    verdict = checked(MIDDLE.replace(old, new))
    assert verdict.headline == "It returns 2 things, and one is asked for."
    assert verdict.hint == f"Number {place} of them is the right answer."


ODD = "0 1.0 [] () (1,) (None,None) (1,None) 'text' ((1,2),3) {1:2} [None] [[1],[1,2]] print {1,2}"


@pytest.mark.parametrize("value", ODD.split())
@pytest.mark.parametrize("task", ["gae", "failure_rate", "backtracking_line_search"])
def test_whatever_comes_back_there_is_a_verdict(task, value):
    verdict = checked(f"def {task}(*arguments):\n    return {value}")
    assert verdict.state in (State.WRONG, State.UNFINISHED, State.KNOWN_MISTAKE), verdict.as_text()
