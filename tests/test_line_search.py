"""The backtracking line search: both tests, the fractions it tries, and what it leaves behind."""

import math

import pytest
import torch

from course_lib.line_search import backtracking_line_search

NAN, INF = math.nan, math.inf


def make():
    """Two parameters whose bits would show a restore by subtraction: 0.1 + 0.7 - 0.7 != 0.1."""
    return [torch.tensor([0.1, 0.2], requires_grad=True), torch.tensor([[0.3]])]


STEP = torch.tensor([0.7, 0.7, 0.7])


class Script:
    """Answers the trials in turn and remembers the parameters of each."""

    def __init__(self, parameters, *answers):
        self.parameters, self.answers, self.seen = parameters, list(answers), []

    def __call__(self):
        self.seen.append(torch.cat([p.detach().reshape(-1).clone() for p in self.parameters]))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def search(parameters, *answers, expected=1.0, **options):
    script = Script(parameters, *answers)
    settings = dict(max_kl=0.01, backtrack_factor=0.5, max_steps=len(answers), accept_ratio=0.1)
    result = backtracking_line_search(script, parameters, STEP, expected, **settings | options)
    return result, script


def test_full_step_is_tried_first_and_taken_if_it_passes():
    parameters = make()
    result, script = search(parameters, (0.5, 0.01))  # the KL may be exactly max_kl
    assert (result.accepted, result.fraction, result.steps) == (True, 1.0, 1)
    assert (result.improvement, result.expected, result.kl) == (0.5, 1.0, 0.01)
    assert result.reason == "accepted"
    torch.testing.assert_close(script.seen[0], torch.tensor([0.8, 0.9, 1.0]))
    assert torch.equal(parameters[1].detach(), script.seen[0][2:].view(1, 1))
    assert parameters[0].requires_grad


def test_fractions_are_powers_of_the_factor_measured_from_the_start():
    parameters = make()
    start = torch.tensor([0.1, 0.2, 0.3])
    result, script = search(parameters, (1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 0.001))
    for seen, fraction in zip(script.seen, (1.0, 0.5, 0.25, 0.125), strict=True):
        torch.testing.assert_close(seen, start + fraction * STEP)
    assert (result.fraction, result.steps) == (0.125, 4)
    assert torch.equal(parameters[0].detach(), script.seen[-1][:2])


def test_expected_improvement_is_linear_in_the_fraction_and_never_compounds():
    """At the fourth trial it is 1/8. Shrinking it cumulatively would ask for 1/64 only."""
    bad = (-1.0, 0.0)
    asked = 0.1 * 0.125
    result, _ = search(make(), bad, bad, bad, (asked * 0.99, 0.0))
    assert (result.accepted, result.reason, result.expected) == (False, "improvement", 0.125)
    result, _ = search(make(), bad, bad, bad, (asked * 1.01, 0.0))
    assert result.accepted


def test_an_improvement_has_to_exceed_its_share_of_the_expectation():
    assert not search(make(), (0.1, 0.0))[0].accepted
    assert search(make(), (math.nextafter(0.1, 1.0), 0.0))[0].accepted


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((0.5, 0.0100001), "kl"),
        ((0.02, 0.001), "improvement"),
        ((-0.5, 0.001), "improvement"),
        ((NAN, 0.001), "not finite"),
        ((0.5, NAN), "not finite"),
        ((INF, 0.001), "not finite"),
        ((0.5, INF), "not finite"),
    ],
)
def test_rejection_restores_bit_for_bit_and_says_why(answer, reason):
    parameters = make()
    before = [p.detach().clone() for p in parameters]
    result, script = search(parameters, answer, answer, answer)
    assert (result.accepted, result.fraction, result.steps) == (False, 0.0, 3)
    assert result.reason == reason
    assert len(script.seen) == 3
    for p, old in zip(parameters, before, strict=True):
        assert torch.equal(p.detach(), old)


def test_restore_keeps_the_memory_that_rollouts_read():
    parameters = make()
    view = parameters[0].detach().numpy()
    bits = view.tobytes()
    search(parameters, (NAN, NAN))
    assert view.tobytes() == bits
    search(parameters, (1.0, 0.0))
    assert view.tobytes() != bits


def test_a_trial_after_a_rejected_nan_is_still_made():
    result, _ = search(make(), (NAN, NAN), (1.0, 0.001))
    assert (result.accepted, result.fraction) == (True, 0.5)


def test_an_exception_in_a_trial_restores_and_passes_on():
    parameters = make()
    before = [p.detach().clone() for p in parameters]
    with pytest.raises(KeyboardInterrupt):
        search(parameters, (0.0, 1.0), KeyboardInterrupt())
    for p, old in zip(parameters, before, strict=True):
        assert torch.equal(p.detach(), old)


@pytest.mark.parametrize("expected", [0.0, -1.0, NAN])
def test_no_trial_is_made_along_a_direction_that_does_not_ascend(expected):
    parameters = make()
    result, script = search(parameters, (1.0, 0.0), expected=expected)
    assert (result.accepted, result.steps, script.seen) == (False, 0, [])
    assert result.reason == "not an ascent direction"


def test_a_real_objective_lands_inside_the_ball():
    """Maximise -(x - 1)^2 from 0 with KL = x^2: the step overshoots both, backtracking finds it."""
    x = torch.zeros(1, dtype=torch.float64)

    def evaluate():
        return (1.0 - (x - 1.0).square()).item(), x.square().item()

    result = backtracking_line_search(
        evaluate, [x], torch.tensor([4.0], dtype=torch.float64), 8.0, max_kl=0.5
    )
    fractions = [0.8**j for j in range(10)]
    passing = [f for f in fractions if (4 * f) ** 2 <= 0.5 and 1 - (4 * f - 1) ** 2 > 0.1 * 8 * f]
    assert result.fraction == passing[0]
    assert x.item() == 4.0 * passing[0]


@pytest.mark.parametrize(
    "setting",
    [
        dict(max_kl=0.0),
        dict(max_kl=NAN),
        dict(backtrack_factor=1.0),
        dict(backtrack_factor=0.0),
        dict(max_steps=0),
        dict(accept_ratio=1.0),
        dict(accept_ratio=-0.1),
    ],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="needed: max_kl > 0"):
        search(make(), (1.0, 0.0), **setting)


def test_a_step_that_is_not_finite_or_too_short_is_refused_before_anything_moves():
    parameters = make()
    for step, message in ((STEP * NAN, "not finite"), (STEP[:2], "another network")):
        for expected in (1.0, 0.0):
            with pytest.raises(ValueError, match=message):
                backtracking_line_search(lambda: (1.0, 0.0), parameters, step, expected, 0.01)
        assert torch.equal(parameters[0].detach(), torch.tensor([0.1, 0.2]))


@pytest.mark.parametrize("M", [0.01, 1.0, 50.0])
@pytest.mark.parametrize("K", [0.001, 0.02, 3.0])
def test_the_search_ends_within_its_bound_where_both_functions_are_quadratic(M, K):
    """Proposition 8.1, with the gain f - M f^2 / 2 and the KL K f^2 / 2."""
    kappa, share, max_kl = 0.8, 0.1, 0.01
    bound = min(2 * (1 - share) / M, math.sqrt(2 * max_kl / K))
    place = [torch.zeros(1, dtype=torch.float64)]

    def evaluate():
        f = place[0].item()
        return f - M * f**2 / 2, K * f**2 / 2

    unit = torch.ones(1, dtype=torch.float64)
    result = backtracking_line_search(evaluate, place, unit, 1.0, max_kl, kappa, 100, share)
    assert result.accepted
    assert result.fraction >= kappa * min(1.0, bound)
    # For quadratics nothing beyond the bound passes, so the bound is met within one factor.
    assert result.fraction <= bound
    if bound <= 1:
        assert result.steps <= 2 + math.log(bound) / math.log(kappa)
