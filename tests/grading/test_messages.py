"""The words and numbers of a verdict: which fact comes first, and how it is printed."""

import numpy as np
import pytest

from course_lib.grading.diagnosis import PAIR, diagnose
from course_lib.grading.evidence import MAX_ROWS, show
from course_lib.grading.outcome import read_outcome
from course_lib.grading.sandbox.run import run_probes
from course_lib.grading.sandbox.wire import pack
from course_lib.grading.spec import Mistake, Probe, Spec
from course_lib.grading.states import State


def variant(x, y=0.0, *, plus=0.0, minus=0.0, scale=1.0, shift=0.0):
    return scale * (np.asarray(x) + plus - minus + shift)


def task(*inputs, mistakes=(), parts=(), oracle=variant):
    """Return a task whose right answer is its argument, with these inputs."""
    probes = [Probe(f"number {n}", (np.asarray(x),)) for n, x in enumerate(inputs, start=1)]
    return Spec(
        name="copy",
        exercise="00_none",
        parameters=("x",),
        probes=lambda generator: probes,
        oracle=oracle,
        variant=variant,
        mistakes=mistakes,
        parts=parts,
        rows="entry",
    )


def judged(spec, function):
    probes = [[pack(argument) for argument in probe.arguments] for probe in spec.draw()]
    return diagnose(spec, [read_outcome(entry) for entry in run_probes(function, probes)])


ONE, TWO, THREE = [1.5, -0.5], [2.5, 0.25, -3.0], [-1.25, 4.0]


def spoilt(x, where, wrong):
    """Return x, wrong numbers on some inputs and NaN in the last entry on others."""
    answer = np.array(x)
    for inputs in wrong:
        if len(x) == len(inputs) and (x == inputs).all():
            answer[0] += 0.75
    if len(x) == len(where) and (x == where).all():
        answer[-1] = np.nan
    return answer


def test_nan_is_named_after_a_smaller_probe_with_wrong_numbers():
    verdict = judged(task(ONE, TWO, THREE), lambda x: spoilt(x, TWO, [ONE]))
    assert verdict.headline == "It differs on 2 of 3 probes."
    later = "Later, on probe 2, its answer holds 1 entry that is NaN or infinite."
    assert verdict.hint.splitlines()[-1] == later
    assert verdict.evidence.startswith("Probe 1 of 3")


def test_without_another_hint_the_nan_stands_alone():
    spec = task(ONE, TWO, parts=("policy", "minorants"), oracle=pair_of)
    verdict = judged(spec, lambda x: (x + (np.inf if len(x) == 3 else 1.0), x))
    assert verdict.hint == "Later, on probe 2, its answer holds 3 entries that are NaN or infinite."


def test_nan_is_named_first_where_the_smaller_probes_are_right():
    verdict = judged(task(ONE, TWO, THREE), lambda x: spoilt(x, TWO, [THREE]))
    assert verdict.headline == "Its answer holds 1 entry that is NaN or infinite."
    assert verdict.evidence.startswith("Probe 2 of 3")
    verdict = judged(task(ONE, TWO), lambda x: x / 0.0)
    assert verdict.headline == "Its answer holds 2 entries that are NaN or infinite."


PLUS = Mistake("plus", "You add a half.", {"plus": 0.5})
MINUS = Mistake("minus", "You subtract three.", {"minus": 3.0})
TWICE = Mistake("twice", "You take everything twice.", {"scale": 2.0})


def test_two_mistakes_are_told_as_a_reading_of_the_numbers():
    spec = task(ONE, TWO, mistakes=(PLUS, MINUS, TWICE))
    verdict = judged(spec, lambda x: 2 * (x + 0.5))
    assert verdict.mistakes == ("plus", "twice")
    assert verdict.headline == PAIR
    assert verdict.hint.splitlines() == [PLUS.hint, TWICE.hint]
    assert judged(spec, lambda x: 2 * x).headline == ""


def test_where_several_pairs_fit_none_is_named():
    also = Mistake("also", "You add a half, differently.", {"shift": 0.5})
    spec = task(ONE, TWO, mistakes=(PLUS, MINUS, TWICE, also))
    verdict = judged(spec, lambda x: 2 * (x + 0.5))
    assert (verdict.state, verdict.mistakes) == (State.WRONG, ())


def test_a_second_mistake_must_change_the_numbers_of_the_first():
    slight = Mistake("slight", "You add next to nothing.", {"plus": 2e-4})
    spec = task(ONE, TWO, mistakes=(slight, TWICE))
    assert judged(spec, lambda x: 2 * (x + 2e-4)).mistakes == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.7976931348623157e308, "1.79769e+308"),
        (-0.0, "0"),
        (0.0, "0"),
        (-1e-7, "-1e-07"),
        (1 / 3, "0.3333"),
        (12.0, "12"),
        (1234.56789, "1234.57"),
        (0.000123456, "0.0001235"),
        (np.float32(0.1), "0.1"),
        (np.nan, "nan"),
        (-np.inf, "-inf"),
        (np.True_, "1"),
        (7, "7"),
    ],
)
def test_numbers_are_short(value, text):
    assert show(value) == text


def test_huge_numbers_do_not_fill_the_page():
    spec = task(ONE, oracle=lambda x: 0.0)
    assert len(judged(spec, lambda x: 1.7e308).as_text()) < 300


def test_numbers_that_differ_do_not_look_alike():
    verdict = judged(task([0.42331, 0.5]), lambda x: x + np.array([3e-5, 0.0]))
    assert verdict.evidence.splitlines()[1:] == [
        "  entry       x  expected   yours  off by",
        "      0  0.4233    0.4233  0.4233   3e-05 <-",
        "      1     0.5       0.5     0.5",
    ]


def test_a_row_that_is_wrong_is_always_shown():
    x = np.linspace(0.0, 3.0, 40)
    verdict = judged(task(x), lambda x: x + (np.arange(len(x)) == 30))
    rows = verdict.evidence.splitlines()
    assert len(rows) <= MAX_ROWS + 4
    assert [row.split()[0] for row in rows if row.endswith("<-")] == ["30"]


def pair_of(x):
    return np.asarray(x), np.asarray(x) * 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: (x, x), "What differs: the minorants."),
        (lambda x: (x, x[:-1]), "The shape of the minorants is (1,); it should be (2,)."),
        (lambda x: (x, "none"), "For the minorants it returns no array of numbers."),
    ],
)
def test_names_in_the_plural_stay_grammatical(answer, words):
    spec = task(ONE, parts=("policy", "minorants"), oracle=pair_of)
    assert words in judged(spec, answer).as_text()


def test_parts_in_another_order_are_told_before_their_shapes():
    spec = task(ONE, TWO, parts=("policy", "minorant"), oracle=lambda x: (x, x.sum()))
    verdict = judged(spec, lambda x: (x.sum(), x))
    assert verdict.headline == "Its parts are right, but in another order."
    assert verdict.hint == "The order is: policy and minorant."


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x, "their sum over axis 1 is asked for"),
        (lambda x: x * x.shape[1], "their mean over axis 1 is asked for"),
        (lambda x: x[:, 1:], "Is there a row"),
    ],
)
def test_a_missing_sum_is_seen_where_the_first_probe_has_one_column(answer, words):
    spec = task([[1.0], [2.0]], [[1.0, 2.0], [3.0, 5.0]], oracle=lambda x: x.sum(axis=1))
    verdict = judged(spec, answer)
    if words.startswith("their"):
        assert words in verdict.hint
        assert verdict.headline == "Its answer has shape (2, 2); it should be (2,)."
    else:
        assert "asked for" not in verdict.hint


@pytest.mark.parametrize(
    ("answer", "headline"),
    [
        (lambda x: 1.0, "It answers 1 on every probe, whatever the arguments are."),
        (lambda x: np.trunc(x.sum()), "Its numbers have lost their decimals."),
        (lambda x: x.sum() * 1.0005, "Its numbers are close, but off by up to 0.011."),
        (lambda x: x.sum() * 3, "All its numbers are 3 times the right ones."),
    ],
)
def test_the_pattern_that_is_named_is_the_one_that_is_there(answer, headline):
    spec = task([1.5], [10.25, 2.5], [20.5, 1.25], [2.75], oracle=lambda x: x.sum())
    assert judged(spec, answer).headline == headline


@pytest.mark.parametrize(
    ("answer", "headline"),
    [
        (lambda x: x.T, "Its rows and columns have changed places."),
        (lambda x: x[::-1, ::-1].T.copy(), "Its numbers are right but at other places."),
    ],
)
def test_numbers_at_other_places(answer, headline):
    spec = task([[1.0, 2.0], [3.0, 5.0]], [[7.0, -1.0], [0.5, 4.0]])
    assert judged(spec, answer).headline == headline


def test_a_tiny_probe_is_measured_by_its_own_unit():
    spec = task(ONE)
    tiny = Probe("tiny", (1e-9 * np.array(TWO),), 1e-9)
    object.__setattr__(spec, "probes", lambda generator: [Probe("one", (np.array(ONE),)), tiny])
    assert judged(spec, lambda x: x).state is State.RIGHT
    verdict = judged(spec, lambda x: np.where(np.isclose(x, 0), 0.0, x))
    assert verdict.evidence.startswith("Probe 2 of 2: tiny.")


def test_an_answer_that_depends_on_the_calls_before_is_told():
    spec = task(ONE, TWO, THREE)
    probes = [[pack(argument) for argument in probe.arguments] for probe in spec.calls()]
    assert [p.title for p in spec.calls()[:3]] == [p.title for p in spec.draw()]
    assert sorted(spec.again()) == [0, 1, 2] != spec.again()
    for memory, right in (({}, True), ({"calls": 0}, False)):

        def function(x, memory=memory):
            if "calls" in memory:
                memory["calls"] += 1
            return x + (memory.get("calls", 0) > 3)

        outcomes = [read_outcome(entry) for entry in run_probes(function, probes)]
        verdict = diagnose(spec, outcomes)
        assert (verdict.state is State.RIGHT) == right
        assert right or verdict.headline.startswith("Called once more with the same arguments")


def test_a_known_mistake_with_another_weakness_is_known_by_the_plain_probes():
    spec = task(ONE, TWO, mistakes=(PLUS, TWICE))
    far = Probe("far", (1e6 * np.array(THREE),), extreme=True)
    plain = spec.draw()
    object.__setattr__(spec, "probes", lambda generator: [*plain, far])
    spec._kept.clear()
    verdict = judged(spec, lambda x: 2 * np.clip(x, -100, 100))
    assert verdict.mistakes == ("twice",)
    assert judged(spec, lambda x: np.clip(x, -100, 100)).mistakes == ()
