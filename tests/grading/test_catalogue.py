"""The specs: the oracle is right, every mistake has its own hint, no two look alike."""

import dataclasses
import inspect
import re
from itertools import combinations

import numpy as np
import pytest
from tasks import LIBRARY

from course_lib.grading import specs
from course_lib.grading.answers import as_arrays, distance
from course_lib.grading.diagnosis import diagnose
from course_lib.grading.outcome import Outcome, read_outcome
from course_lib.grading.sandbox.run import load_harness, run_probes
from course_lib.grading.sandbox.wire import pack
from course_lib.grading.spec import PUBLIC_SEED
from course_lib.grading.specs.rollouts import SCENES
from course_lib.grading.states import State

SEEDS = (PUBLIC_SEED, 0, 1)
HARD = (  # where students err more
    "gae",
    "gaussian_kl",
    "fisher_vector_product",
    "gauss_newton_product",
    "conjugate_gradient",
    "backtracking_line_search",
    "ppo_clip_loss",
    "reference_kl",
    "grpo_loss",
)
CANCEL = {  # two mistakes that undo each other: the pair is right
    "finite_action_surrogate": {("mean_over_actions", "ratio_to_uniform")},
    "early_stopping": {("last_epoch_not_counted", "stale")},
}
MISTAKES = [(spec, mistake) for spec in specs.TASKS for mistake in spec.mistakes]


def judged(spec, function, seed=PUBLIC_SEED):
    probes = [[pack(argument) for argument in probe.arguments] for probe in spec.calls(seed)]
    raw = run_probes(function, probes, harness=load_harness(spec.harness_source()))
    return diagnose(spec, [read_outcome(entry) for entry in raw], seed)


def answers(spec, function, seed):
    return [spec.answer(function, probe) for probe in spec.draw(seed)]


def right_answers(spec, seed):
    return [as_arrays(right) for right in spec.expected(seed)]


@pytest.mark.parametrize("spec", specs.TASKS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_oracle_variant_and_library_agree(spec, seed):
    limit = 1e-12 if spec.exercise.startswith("02") else spec.tolerance / 100
    # To the norm that it divides by, torch's clip_grad_norm_ adds 1e-6. The library does not.
    library_limit = 2e-6 if spec.name == "ppo_update" else limit
    library = LIBRARY.get(spec.name, spec.variant)
    for function, most in ((spec.variant, limit), (library, library_limit)):
        units = [probe.unit for probe in spec.draw(seed)]
        gaps = map(distance, right_answers(spec, seed), answers(spec, function, seed), units)
        assert max(gaps) < most


@pytest.mark.parametrize("spec", specs.TASKS, ids=lambda spec: spec.name)
def test_the_stub_has_the_parameters_of_the_spec(spec, solution_names):
    function = solution_names[spec.name][spec.name]
    assert tuple(inspect.signature(function).parameters) == spec.parameters


@pytest.mark.parametrize(("spec", "mistake"), MISTAKES, ids=lambda value: value.name)
def test_every_mistake_gets_its_own_hint(spec, mistake):
    for seed in SEEDS:
        verdict = judged(spec, spec.mistaken(mistake), seed)
        assert verdict.state is State.KNOWN_MISTAKE
        assert verdict.mistakes == (mistake.name,)
        assert verdict.hint == mistake.hint
        assert verdict.evidence.startswith("Probe ")


def test_what_random_weights_answer_is_not_left_to_chance():
    spec = next(spec for spec in specs.TASKS if spec.name == "orthogonal_init")
    drawn = [mistake for mistake in spec.mistakes if "own_random" in mistake.name]
    assert len(drawn) == 3
    for mistake in drawn:
        function = spec.mistaken(mistake)
        for probe in spec.draw(PUBLIC_SEED):
            first, *others = (spec.answer(function, probe) for _ in range(20))
            assert all(spec.agree(probe, first, other) for other in others), mistake.name


@pytest.mark.parametrize("spec", specs.TASKS, ids=lambda spec: spec.name)
def test_fingerprints_are_far_apart(spec):
    for seed in SEEDS:
        prints = {
            mistake.name: [
                spec.fingerprint((mistake,), seed, number, probe)
                for number, probe in enumerate(spec.draw(seed))
            ]
            for mistake in spec.mistakes
        }
        prints["right"] = right_answers(spec, seed)
        units = [probe.unit for probe in spec.draw(seed)]
        for one, other in combinations(prints, 2):
            gaps = map(distance, prints[one], prints[other], units)
            assert any(gap >= 100 * spec.tolerance for gap in gaps), f"{one} looks like {other}"


@pytest.mark.parametrize("spec", specs.TASKS, ids=lambda spec: spec.name)
def test_two_mistakes_at_once_are_right_only_where_they_cancel(spec):
    right = right_answers(spec, PUBLIC_SEED)
    probes = spec.draw()
    cancelled = set()
    for pair in spec.pairs():
        fits = (
            spec.agree(probe, r, spec.fingerprint(pair, PUBLIC_SEED, n, probe))
            for n, (r, probe) in enumerate(zip(right, probes, strict=True))
        )
        if all(fits):  # most pairs are wrong on the first probe already
            cancelled.add(tuple(mistake.name for mistake in pair))
    assert cancelled <= CANCEL.get(spec.name, set())
    for pair in spec.pairs()[:: max(1, len(spec.pairs()) // 4)]:
        if tuple(mistake.name for mistake in pair) not in cancelled:
            verdict = judged(spec, spec.mistaken(*pair))
            assert verdict.state in (State.KNOWN_MISTAKE, State.WRONG)


def test_two_mistakes_at_once_are_both_named():
    spec = specs.SPECS["gae"]
    by_name = {mistake.name: mistake for mistake in spec.mistakes}
    pair = by_name["trace_not_cut"], by_name["bootstrap_at_terminated"]
    verdict = judged(spec, spec.mistaken(*pair))
    assert set(verdict.mistakes) == {"trace_not_cut", "bootstrap_at_terminated"}
    assert all(mistake.hint in verdict.hint for mistake in pair)


@pytest.mark.parametrize("spec", specs.TASKS, ids=lambda spec: spec.name)
def test_catalogues_are_long_and_hints_speak_to_students(spec):
    assert len(spec.mistakes) >= (8 if spec.name in HARD else 4)
    assert len({mistake.name for mistake in spec.mistakes}) == len(spec.mistakes)
    for mistake in spec.mistakes:
        assert 60 < len(mistake.hint) < 400, mistake.name
        assert "!" not in mistake.hint
        assert "def " not in mistake.hint
        assert " = " not in mistake.hint.replace("= 1", "").replace("= 0", "")


def test_probes_hide_nothing():
    for seed in SEEDS:
        for name in ("n_step_advantages", "gae"):
            probes = specs.SPECS[name].draw(seed)
            for probe in probes:
                rewards, _, reached, terminated, truncated, gamma, last = probe.arguments
                assert rewards.shape[0] != rewards.shape[1]
                assert (np.abs(reached[-1]) > 0).all()
                assert not (terminated[:, 0] | truncated[:, 0]).any() or rewards.shape[1] < 3
                assert gamma != last
            ends = [(p.arguments[3], p.arguments[4]) for p in probes]
            assert any(terminated[:-1].any() for terminated, _ in ends)
            assert any(truncated[:-1].any() for _, truncated in ends)
            assert any(t[-1].any() and not (t | c)[-1].all() for t, c in ends)


def test_the_same_seed_draws_the_same_probes_and_another_seed_others():
    spec = specs.SPECS["gae"]
    first, again, other = (spec.draw(seed)[0].arguments[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_probe_with_a_weak_flag_would_be_noticed():
    """The separation test itself must fail where two mistakes coincide."""
    spec = specs.SPECS["gae"]
    blind = dataclasses.replace(spec, probes=lambda generator: spec.probes(generator)[:1])
    with pytest.raises(AssertionError, match="looks like"):
        test_fingerprints_are_far_apart(blind)


def test_outcomes_of_another_length_are_no_right_answer():
    spec = specs.SPECS["gae"]
    assert diagnose(spec, []).state is State.CRASHED
    first = read_outcome({"value": pack(spec.oracle(*spec.draw()[0].arguments))})
    assert diagnose(spec, [first]).state is State.CRASHED
    assert isinstance(first, Outcome)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.title)
def test_titles_of_rollouts_tell_the_truth(scene):
    places = {*scene.terminated, *scene.truncated}
    assert ("terminate" in scene.title) <= bool(scene.terminated)
    assert ("truncated" in scene.title) <= bool(scene.truncated)
    assert all(t < scene.shape[0] and i < scene.shape[1] for t, i in places)
    for step in re.findall(r"t = (\d+)", scene.title):
        assert {t for t, _ in places} == {int(step)}
