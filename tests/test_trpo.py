"""The TRPO policy step against references worked out in float64 by other means."""

import copy
import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, Normal, kl_divergence

from course_lib.algorithms.trpo import trpo_policy_step
from course_lib.parameters import flatten
from course_lib.policies import CategoricalPolicy, GaussianPolicy

KINDS = ("categorical", "gaussian", "gaussian with state-dependent sigma")
B = 200


def make(kind, seed=0):
    """A policy in float32, and observations, actions and advantages to learn from."""
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(B, 3, generator=generator)
    advantages = torch.randn(B, generator=generator)
    if kind == "categorical":
        policy = CategoricalPolicy(3, 4, generator, (5,), output_scale=1.0)
        return policy, observations, torch.randint(4, (B,), generator=generator), advantages
    policy = GaussianPolicy(
        3, 2, generator, (5,), output_scale=1.0, state_dependent_std="state" in kind
    )
    with torch.no_grad():
        d = policy(observations)
        noise = torch.randn(B, 2, generator=generator)
        actions = d.mean + d.log_std.exp() * noise
    return policy, observations, actions, advantages


def reference_distribution(policy, observations):
    """The policy's distribution by torch.distributions, from a forward pass written again."""
    first, last = policy.net.layers
    outputs = torch.tanh(observations @ first.weight.T + first.bias) @ last.weight.T + last.bias
    if isinstance(policy, CategoricalPolicy):
        return Categorical(logits=outputs)
    mean = outputs[:, :2]
    log_std = outputs[:, 2:] if policy.state_dependent_std else policy.log_std.expand_as(mean)
    return Independent(Normal(mean, log_std.exp()), 1)


def reference(policy, observations, actions, advantages, damping):
    """Gradient, dense Fisher matrix and natural direction in float64."""
    twin = copy.deepcopy(policy).double()
    observations, advantages = observations.double(), advantages.double()
    actions = actions if actions.dtype == torch.int64 else actions.double()
    parameters = list(twin.parameters())
    d = reference_distribution(twin, observations)
    # At theta_old the surrogate's gradient is that of mean(log pi * A).
    objective = (d.log_prob(actions) * advantages).mean()
    g = flatten(torch.autograd.grad(objective, parameters, retain_graph=True))
    # Fisher matrix as mean of Hessians of KL, row by row.
    with torch.no_grad():
        old = reference_distribution(twin, observations)
    kl = kl_divergence(old, d).mean()
    gradient = flatten(torch.autograd.grad(kl, parameters, create_graph=True))
    F = torch.stack(
        [flatten(torch.autograd.grad(x, parameters, retain_graph=True)) for x in gradient]
    )
    x = torch.linalg.solve(F + damping * torch.eye(len(g), dtype=torch.float64), g)
    return g, F, x


def exact_kl(old, new, observations):
    old, new = copy.deepcopy(old).double(), copy.deepcopy(new).double()
    observations = observations.double()
    p, q = (reference_distribution(x, observations) for x in (old, new))
    return kl_divergence(p, q).mean().item()


def cosine(a, b):
    return (a.double() @ b.double() / (a.double().norm() * b.double().norm())).item()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_direction_and_length_agree_with_a_dense_float64_solve(kind):
    policy, *data = make(kind)
    g, F, x = reference(policy, *data, damping=0.05)
    step = trpo_policy_step(policy, *data, max_kl=0.01, damping=0.05, cg_iterations=60)
    torch.testing.assert_close(step.gradient.double(), g, rtol=1e-4, atol=1e-6)
    assert cosine(step.full_step, x) > 1 - 1e-6
    quadratic = 0.5 * step.full_step.double() @ F @ step.full_step.double()
    assert quadratic.item() == pytest.approx(0.01, rel=1e-3)  # F undamped: the radius is met
    assert step.curvature == pytest.approx((x @ F @ x).item(), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_reported_kl_and_improvement_are_those_of_the_new_policy(kind):
    policy, observations, actions, advantages = make(kind)
    old = copy.deepcopy(policy)
    step = trpo_policy_step(policy, observations, actions, advantages, max_kl=0.01, damping=0.01)
    search = step.search
    assert search.accepted
    assert search.kl == pytest.approx(exact_kl(old, policy, observations), rel=1e-3, abs=1e-6)
    assert search.kl <= 0.01
    p, q = (reference_distribution(x, observations) for x in (old, policy))
    ratio = (q.log_prob(actions) - p.log_prob(actions)).exp()
    improvement = ((ratio - 1.0) * advantages).mean().item()
    assert search.improvement == pytest.approx(improvement, rel=1e-3, abs=1e-6)
    assert search.improvement > 0.1 * search.expected
    linear = search.fraction * (step.gradient @ step.full_step).item()
    assert search.expected == pytest.approx(linear, rel=1e-6)


def test_new_parameters_are_the_old_ones_plus_the_accepted_fraction():
    policy, *data = make("gaussian")
    before = flatten(policy.parameters()).detach()
    step = trpo_policy_step(policy, *data, max_kl=0.5)  # far beyond the quadratic model
    assert step.search.accepted
    assert step.search.fraction < 1.0
    moved = flatten(policy.parameters()).detach() - before
    torch.testing.assert_close(moved, step.search.fraction * step.full_step, rtol=0, atol=1e-6)


def test_a_small_step_has_the_kl_and_the_gain_that_the_models_predict():
    policy, *data = make("gaussian")
    policy = policy.double()
    data = [x.double() for x in data]
    step = trpo_policy_step(policy, *data, max_kl=1e-8, damping=1e-3, cg_iterations=50)
    full = step.full_step
    assert step.search.fraction in (1.0, 0.8)
    f = step.search.fraction
    assert step.search.kl == pytest.approx(f**2 * 1e-8, rel=1e-3)
    assert step.search.improvement == pytest.approx(f * (step.gradient @ full).item(), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_undamped_solve_gains_most_of_all_steps_of_the_same_model_kl(kind):
    """No other direction promises more per KL than F^-1 g: the plain gradient least of all."""
    policy, *data = make(kind)
    g, F, _ = reference(policy, *data, damping=0.0)
    step = trpo_policy_step(policy, *data, max_kl=0.01, damping=1e-6, cg_iterations=100)
    promised = (g @ step.full_step.double()).item()
    generator = torch.Generator().manual_seed(1)
    for other in (g, *torch.randn(20, len(g), generator=generator, dtype=torch.float64)):
        scaled = other * math.sqrt(0.02 / (other @ F @ other).item())
        assert (g @ scaled).abs().item() < promised * (1 + 1e-3)


def test_scaling_the_advantages_leaves_the_step_and_shifting_them_does_not():
    steps = []
    for change in (lambda a: a, lambda a: 64.0 * a, lambda a: a + 1.0):
        policy, observations, actions, advantages = make("categorical")
        steps.append(trpo_policy_step(policy, observations, actions, change(advantages)).full_step)
    torch.testing.assert_close(steps[1], steps[0], rtol=1e-5, atol=1e-7)
    assert (steps[2] - steps[0]).norm() > 0.01 * steps[0].norm()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shift_of_the_advantages_adds_the_mean_score(kind):
    gradients, searches = [], []
    for b in (0.0, 2.0):
        policy, observations, actions, advantages = make(kind)
        old = copy.deepcopy(policy)
        taken = trpo_policy_step(policy, observations, actions, advantages + b, max_kl=1e-3)
        gradients.append(taken.gradient)
        searches.append((taken.search, policy))
    log_probs = reference_distribution(old, observations).log_prob(actions)
    mean_score = flatten(torch.autograd.grad(log_probs.mean(), list(old.parameters())))
    torch.testing.assert_close(gradients[1] - gradients[0], 2.0 * mean_score, atol=1e-5, rtol=1e-4)
    assert mean_score.norm() > 0.01
    # The improvement gains b times what the mean ratio is beyond 1.
    search, new = searches[1]
    with torch.no_grad():
        ratio = (reference_distribution(new, observations).log_prob(actions) - log_probs).exp()
    expected = ((ratio - 1) * (advantages + 2.0)).mean().item()
    assert search.improvement == pytest.approx(expected, rel=1e-2)
    without = ((ratio - 1) * advantages).mean().item()
    assert search.improvement - without == pytest.approx(2.0 * (ratio.mean().item() - 1), rel=1e-2)


def test_a_hopeless_search_leaves_every_bit_of_the_policy():
    policy, *data = make("categorical")
    before = flatten(policy.parameters()).detach()
    view = policy.net.layers[0].weight.detach().numpy()
    # One try at a radius where the quadratic model is far off, with a demand no step can meet.
    step = trpo_policy_step(policy, *data, max_kl=50.0, backtrack_steps=1, accept_ratio=0.99)
    assert not step.search.accepted
    assert step.search.reason in ("kl", "improvement", "not finite")
    assert torch.equal(flatten(policy.parameters()), before)
    assert np.shares_memory(view, policy.net.layers[0].weight.detach().numpy())


def test_without_a_gradient_nothing_moves_and_the_reason_is_told():
    policy, observations, actions, advantages = make("gaussian")
    before = flatten(policy.parameters()).detach()
    step = trpo_policy_step(policy, observations, actions, torch.zeros_like(advantages))
    assert step.search.reason == "not an ascent direction"
    assert step.curvature == 0.0
    assert torch.equal(flatten(policy.parameters()), before)


def test_step_keeps_numpy_views_alive_and_leaves_no_gradient():
    policy, *data = make("gaussian")
    act = policy.greedy()
    observations = data[0].numpy()
    before = act(observations)
    assert trpo_policy_step(policy, *data).search.accepted
    after = act(observations)
    assert not np.allclose(after, before)
    np.testing.assert_allclose(after, policy(data[0]).mean.detach().numpy(), atol=1e-5)
    assert all(p.grad is None for p in policy.parameters())


def test_inputs_stay_as_they_were():
    policy, *data = make("gaussian")
    copies = [x.clone() for x in data]
    trpo_policy_step(policy, *data)
    for x, old in zip(data, copies, strict=True):
        assert torch.equal(x, old)


def test_same_input_gives_the_same_step_bit_for_bit():
    results = []
    for _ in range(2):
        policy, *data = make("categorical")
        trpo_policy_step(policy, *data)
        results.append(flatten(policy.parameters()).detach())
    assert torch.equal(*results)


def test_many_steps_climb_to_the_best_action():
    """A bandit seen through a network: action 2 pays, so its probability goes to 1 step by step."""
    policy = CategoricalPolicy(1, 3, torch.Generator().manual_seed(0), (4,))
    observations = torch.ones(300, 1)
    generator = torch.Generator().manual_seed(1)
    probabilities = []
    for _ in range(25):
        with torch.no_grad():
            p = policy(observations).log_probs.exp()
        actions = torch.multinomial(p, 1, generator=generator).squeeze(-1)
        advantages = (actions == 2).float() - p[:, 2]
        step = trpo_policy_step(policy, observations, actions, advantages, max_kl=0.05)
        assert step.search.kl <= 0.05 or not step.search.accepted
        probabilities.append(p[0, 2].item())
    assert probabilities[0] == pytest.approx(1 / 3, abs=0.01)
    assert probabilities[-1] > 0.95


def test_errors_name_what_was_wrong():
    policy, observations, actions, advantages = make("gaussian")
    with pytest.raises(ValueError, match="advantages has"):
        trpo_policy_step(policy, observations, actions, advantages[:, None])
    with pytest.raises(ValueError, match="advantages are not finite"):
        trpo_policy_step(policy, observations, actions, advantages * math.nan)
    with pytest.raises(ValueError, match="observations are not finite"):
        trpo_policy_step(policy, observations * math.inf, actions, advantages)
    with pytest.raises(ValueError, match="damping must not be negative"):
        trpo_policy_step(policy, observations, actions, advantages, damping=-1.0)
    with pytest.raises(ValueError, match="max_kl"):
        trpo_policy_step(policy, observations, actions, advantages, max_kl=0.0)
