"""What masks hide stays hidden, logs where ratios overflow, and precision where it is compared."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.distributions as td

from course_lib.advantages import (
    discounted_returns,
    gae,
    gae_scan,
    n_step_advantages,
    td_residuals,
)
from course_lib.algorithms.ppo import ppo_clip_loss
from course_lib.algorithms.ppo_penalty import adapt_beta
from course_lib.algorithms.trpo import trpo_policy_step
from course_lib.algorithms.updates import policy_change
from course_lib.conjugate_gradient import conjugate_gradient
from course_lib.distributions import Categorical, DiagonalGaussian
from course_lib.fisher import double_backprop_operator, fisher_operator
from course_lib.parameters import flatten
from course_lib.policies import CategoricalPolicy, GaussianPolicy
from course_lib.surrogate import effective_sample_size, kl_divergence

# --- values beyond an end ------------------------------------------------------------------------

T, END = 40, 17
rng = np.random.default_rng(0)
REWARDS, VALUES, NEXT_VALUES = rng.normal(size=(3, T, 2))
TERMINATED, TRUNCATED = np.zeros((2, T, 2), dtype=bool)
TERMINATED[END] = True

ESTIMATORS = {
    "td_residuals": lambda r, v, nv, te, tr: td_residuals(r, v, nv, te, 0.9),
    "n_step_advantages": lambda r, v, nv, te, tr: n_step_advantages(r, v, nv, te, tr, 0.9, 5),
    "gae": lambda r, v, nv, te, tr: gae(r, v, nv, te, tr, 0.9, 0.8),
    "gae_scan": lambda r, v, nv, te, tr: gae_scan(r, v, nv, te, tr, 0.9, 0.8),
    "discounted_returns": lambda r, v, nv, te, tr: discounted_returns(r, nv, te, tr, 0.9),
}
estimators = pytest.mark.parametrize("name", ESTIMATORS)
bad_numbers = pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])


@estimators
@bad_numbers
def test_the_value_beyond_a_termination_is_never_used(name, bad):
    spoilt = NEXT_VALUES.copy()
    spoilt[END] = bad
    right = ESTIMATORS[name](REWARDS, VALUES, NEXT_VALUES, TERMINATED, TRUNCATED)
    np.testing.assert_array_equal(
        ESTIMATORS[name](REWARDS, VALUES, spoilt, TERMINATED, TRUNCATED), right
    )


@estimators
@bad_numbers
@pytest.mark.parametrize("flag", [0, 1])
def test_what_is_wrong_in_one_episode_stays_in_it(name, bad, flag):
    flags = [np.zeros((T, 2), dtype=bool) for _ in range(2)]
    flags[flag][END] = True
    spoilt = REWARDS.copy()
    spoilt[END + 1] = bad
    right = ESTIMATORS[name](REWARDS, VALUES, NEXT_VALUES, *flags)
    wrong = ESTIMATORS[name](spoilt, VALUES, NEXT_VALUES, *flags)
    np.testing.assert_allclose(wrong[: END + 1], right[: END + 1], rtol=1e-12)
    assert not np.isfinite(wrong[END + 1]).any()


@bad_numbers
def test_returns_use_next_values_at_cuts_only(bad):
    spoilt = np.full_like(NEXT_VALUES, bad)
    spoilt[-1] = NEXT_VALUES[-1]
    right = discounted_returns(REWARDS, NEXT_VALUES, TERMINATED, TRUNCATED, 0.9)
    np.testing.assert_array_equal(
        discounted_returns(REWARDS, spoilt, TERMINATED, TRUNCATED, 0.9), right
    )


@pytest.mark.parametrize("function", [gae, gae_scan])
def test_lambda_zero_uses_no_later_step(function):
    spoilt = REWARDS.copy()
    spoilt[20] = np.nan
    found = function(spoilt, VALUES, NEXT_VALUES, TERMINATED, TRUNCATED, 0.9, 0.0)
    expected = td_residuals(spoilt, VALUES, NEXT_VALUES, TERMINATED, 0.9)
    np.testing.assert_array_equal(found, expected)


# --- masked actions ------------------------------------------------------------------------------

MASKED = torch.tensor([[0.0, 0.0, -torch.inf], [1.0, -torch.inf, -torch.inf]])


def test_masked_logits_have_the_entropy_and_kl_of_what_is_left():
    masked = Categorical(MASKED)
    np.testing.assert_allclose(masked.entropy(), [math.log(2), 0.0], atol=1e-7)
    assert masked.kl(masked).tolist() == [0.0, 0.0]
    other = Categorical(MASKED + torch.tensor([1.0, 0.0, 0.0]))
    expected = td.kl_divergence(
        td.Categorical(logits=MASKED[0]), td.Categorical(logits=other.logits[0])
    )
    assert masked.kl(other)[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_kl_is_infinite_only_where_the_new_policy_rules_out_what_the_old_one_does():
    free, masked = Categorical(torch.zeros(2, 3)), Categorical(MASKED)
    assert free.kl(masked).tolist() == [math.inf, math.inf]
    np.testing.assert_allclose(masked.kl(free), [math.log(1.5), math.log(3)], rtol=1e-6)


@pytest.mark.parametrize("function", ["entropy", "kl from", "kl to", "log_prob"])
def test_masked_logits_have_finite_gradients(function):
    logits = MASKED.clone().requires_grad_()
    policy, old = Categorical(logits), Categorical(MASKED + torch.tensor([1.0, 0.0, 0.0]))
    value = {
        "entropy": lambda: policy.entropy(),
        "kl from": lambda: policy.kl(old),
        "kl to": lambda: old.kl(policy),
        "log_prob": lambda: policy.log_prob(torch.tensor([1, 0])),
    }[function]()
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert torch.isfinite(gradient).all()
    assert gradient[torch.isinf(MASKED)].tolist() == [0.0, 0.0, 0.0]
    # The same as where the masked action does not exist.
    short, short_old = (x[:1, :2].detach().requires_grad_() for x in (logits, old.logits))
    policy, old = Categorical(short), Categorical(short_old)
    value = {
        "entropy": lambda: policy.entropy(),
        "kl from": lambda: policy.kl(old),
        "kl to": lambda: old.kl(policy),
        "log_prob": lambda: policy.log_prob(torch.tensor([1])),
    }[function]()
    torch.testing.assert_close(gradient[:1, :2], torch.autograd.grad(value.sum(), short)[0])


def test_fisher_products_with_masked_actions_are_finite_and_agree():
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(5, 3).index_fill(1, torch.tensor([2]), -torch.inf)
    new = Categorical(x @ weight + mask)
    v = torch.randn(12, generator=torch.Generator().manual_seed(2))
    twice = double_backprop_operator(kl_divergence(new.detach(), new), [weight])(v)
    closed = fisher_operator(new, [weight])(v)
    assert torch.isfinite(twice).all()
    torch.testing.assert_close(twice, closed)


# --- ratios that overflow ------------------------------------------------------------------------


@pytest.mark.parametrize("log_ratio", [100.0, 1e4])
@pytest.mark.parametrize("advantage", [1.0, 0.0])
def test_where_the_clip_holds_the_gradient_is_zero_however_large_the_ratio(log_ratio, advantage):
    log_probs = torch.tensor([log_ratio, 0.1], requires_grad=True)
    loss = ppo_clip_loss(log_probs, torch.zeros(2), torch.tensor([advantage, 1.0]), 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-(1.2 * advantage + math.exp(0.1)) / 2)
    np.testing.assert_allclose(log_probs.grad, [0.0, -math.exp(0.1) / 2], rtol=1e-6)


def test_a_ratio_of_zero_and_a_wide_clip_range():
    log_probs = torch.tensor([-1e4, -1e4], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0])
    loss = ppo_clip_loss(log_probs, torch.zeros(2), advantages, 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(0.4)
    assert log_probs.grad.tolist() == [0.0, 0.0]
    assert ppo_clip_loss(log_probs, torch.zeros(2), advantages, 1.5).item() == 0.0


@pytest.mark.parametrize("log_ratio", [-1000.0, 0.0, 60.0, 88.0, 1000.0])
def test_the_effective_sample_size_is_one_where_all_ratios_agree(log_ratio):
    assert effective_sample_size(torch.full((9,), log_ratio), torch.zeros(9)).item() == 1.0


def test_the_effective_sample_size_of_an_update_is_a_number_wherever_the_policy_went():
    old = DiagonalGaussian(torch.zeros(4, 1), torch.zeros(1))
    far = DiagonalGaussian(torch.full((4, 1), 50.0), torch.tensor([-3.0]))
    assert policy_change(old, far, torch.zeros(4, 1))["effective_sample_size"] == 1.0
    assert policy_change(far, old, torch.zeros(4, 1))["effective_sample_size"] == 1.0
    one = effective_sample_size(torch.tensor([1000.0, 0.0, 0.0, 0.0]), torch.zeros(4))
    assert one.item() == 0.25


@pytest.mark.parametrize(("kl", "factor"), [(0.0, 0.5), (math.inf, 2.0)])
def test_beta_at_the_ends_of_the_kl(kl, factor):
    assert adapt_beta(1.0, kl, 0.01) == factor


# --- precision where a threshold is compared -----------------------------------------------------


@pytest.mark.parametrize("size", [1e-3, 1e-4, 1e-5, 1e-6])
def test_float32_policies_that_hardly_differ_have_the_kl_of_their_numbers(size):
    g = torch.Generator().manual_seed(0)
    logits, change = torch.randn(100, 4, generator=g), torch.randn(100, 4, generator=g)
    mean, log_std = torch.randn(100, 2, generator=g), torch.randn(2, generator=g)
    shift, wider = torch.randn(100, 2, generator=g), torch.randn(2, generator=g)
    old, new = Categorical(logits), Categorical(logits + size * change)
    p, q = (td.Categorical(logits=d.logits.double()) for d in (old, new))
    assert kl_divergence(old, new).item() == pytest.approx(
        td.kl_divergence(p, q).mean().item(), rel=1e-4
    )
    old = DiagonalGaussian(mean, log_std)
    new = DiagonalGaussian(mean + size * shift, log_std + size * wider)
    p, q = (td.Normal(d.mean.double(), d.log_std.double().exp()) for d in (old, new))
    assert kl_divergence(old, new).item() == pytest.approx(
        td.kl_divergence(p, q).sum(-1).mean().item(), rel=1e-4
    )
    assert old.kl(new).dtype == torch.float32


def policy_and_samples(kind, size=512):
    g = torch.Generator().manual_seed(0)
    shape = dict(hidden=(16,), output_scale=1.0)
    policy = CategoricalPolicy(4, 3, g, **shape) if kind == 0 else GaussianPolicy(4, 2, g, **shape)
    observations = torch.randn(size, 4, generator=g)
    actions = torch.from_numpy(policy.sampler(np.random.default_rng(0))(observations.numpy()))
    return policy, observations, actions, torch.randn(size, generator=g)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("max_kl", [1e-4, 1e-8, 1e-10])
def test_the_trust_region_means_something_however_small(kind, max_kl):
    policy, *samples = policy_and_samples(kind)
    old = copy.deepcopy(policy).double()
    step = trpo_policy_step(policy, *samples, max_kl=max_kl)
    with torch.no_grad():
        p, q = (x(samples[0].double()) for x in (old, copy.deepcopy(policy).double()))
    true = kl_divergence(p, q).item()
    assert step.search.accepted
    assert step.search.kl == pytest.approx(true, rel=0.02)
    assert 0.2 * max_kl < true < 1.02 * max_kl
    gain = ((q.log_prob(samples[1]) - p.log_prob(samples[1])).expm1() * samples[2]).mean().item()
    assert step.search.improvement == pytest.approx(gain, rel=0.02)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("unit", [2.0**-100, 2.0**100])
def test_the_unit_of_advantages_does_not_change_the_step(kind, unit):
    policies = [policy_and_samples(kind)[0] for _ in range(2)]
    _, observations, actions, advantages = policy_and_samples(kind)
    for policy, scale in zip(policies, (1.0, unit), strict=True):
        assert trpo_policy_step(policy, observations, actions, scale * advantages).search.accepted
    first, second = (flatten(policy.parameters()) for policy in policies)
    torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-43, 1e-37, 1e-25, 1e25, 1e38])
def test_conjugate_gradients_of_any_length(scale):
    A, ones = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.ones(2)
    result = conjugate_gradient(lambda v: A @ v, scale * ones)
    expected = scale * torch.linalg.solve(A, ones)
    torch.testing.assert_close(result.x, expected, rtol=1e-6 if scale > 1e-38 else 0.02, atol=0.0)
    assert result.reason == "tolerance" or result.relative_residual < 1e-6
    assert result.residual_norms[0] == pytest.approx(scale * math.sqrt(2), rel=0.02)


def test_scaling_by_a_power_of_two_changes_no_bit():
    A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    b = torch.tensor([0.3, -0.7])
    one, other = (
        conjugate_gradient(lambda v: A @ v, scale * b, keep_iterates=True)
        for scale in (1.0, 2.0**90)
    )
    assert torch.equal(2.0**90 * one.x, other.x)
    assert all(
        torch.equal(2.0**90 * x, y) for x, y in zip(one.iterates, other.iterates, strict=True)
    )


def test_a_residual_beyond_all_digits_is_no_negative_curvature():
    A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    result = conjugate_gradient(lambda v: 1e-6 * (A @ v), torch.ones(2), 500, tolerance=0.0)
    assert result.reason == "tolerance"
    torch.testing.assert_close(1e-6 * (A @ result.x), torch.ones(2))


def test_nothing_to_solve_leaves_no_residual():
    result = conjugate_gradient(lambda v: v, torch.zeros(3))
    assert result.relative_residual == 0.0
    with pytest.raises(ValueError, match="floats"):
        conjugate_gradient(lambda v: v, torch.ones(3, dtype=torch.int64))
