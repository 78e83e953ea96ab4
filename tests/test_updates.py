"""The updates: each against what its formula says, computed another way."""

import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.autograd import grad

from course_lib.algorithms import ALGORITHMS, a2c, npg, ppo, ppo_penalty, reinforce, trpo
from course_lib.algorithms.adam import Adam
from course_lib.algorithms.agent import Batch, Settings, make_agent
from course_lib.algorithms.updates import fit_critic, gradient_step, policy_change, value_loss
from course_lib.network_fisher import network_fisher_operator
from course_lib.parameters import flatten

SPACES = {
    "discrete": gym.spaces.Discrete(3),
    "continuous": gym.spaces.Box(-1.0, 1.0, (2,), np.float32),
}
SMALL = dict(hidden=(8,), learning_rate=1e-2)


def agent_and_batch(settings, kind="discrete", seed=0, size=64):
    agent = make_agent(gym.spaces.Box(-1, 1, (4,)), SPACES[kind], settings, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(size, 4, generator=generator)
    act = agent.policy.sampler(np.random.default_rng(seed))
    batch = Batch(
        observations=observations,
        actions=torch.from_numpy(act(observations.numpy())),
        advantages=torch.randn(size, generator=generator),
        value_targets=torch.randn(size, generator=generator),
        explained_variance=0.0,
    )
    return agent, batch


def weights(network):
    return flatten(network.parameters()).detach().clone()


def update(name, agent, batch, settings):
    return ALGORITHMS[name][1](agent, batch, settings, np.random.default_rng(0))


# --- what every algorithm must do ---------------------------------------------------------------


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_update_makes_good_actions_likelier_and_the_critic_better(name, kind):
    settings = ALGORITHMS[name][0](**SMALL)
    agent, batch = agent_and_batch(settings, kind)
    before = agent.policy(batch.observations).log_prob(batch.actions).detach()
    error = value_loss(agent.value_network(batch.observations), batch.value_targets).item()
    report = update(name, agent, batch, settings)
    after = agent.policy(batch.observations).log_prob(batch.actions).detach()
    assert ((after - before) * batch.advantages).mean() > 0
    assert value_loss(agent.value_network(batch.observations), batch.value_targets) < error
    assert report["kl"] > 0


@pytest.mark.parametrize("name", ALGORITHMS)
def test_state_dependent_sigma_and_relu_work_everywhere(name):
    settings = ALGORITHMS[name][0](
        **SMALL, state_dependent_std=True, activation="relu", orthogonal=False
    )
    agent, batch = agent_and_batch(settings, "continuous")
    assert update(name, agent, batch, settings)["kl"] > 0


@pytest.mark.parametrize("name", ALGORITHMS)
def test_advantages_that_are_not_finite_are_an_error_and_change_nothing(name):
    settings = ALGORITHMS[name][0](**SMALL)
    agent, batch = agent_and_batch(settings)
    before = weights(agent)
    bad = batch.advantages.clone()
    bad[3] = float("nan")
    with pytest.raises(FloatingPointError, match=r"loss|advantages"):
        update(name, agent, replace(batch, advantages=bad), settings)
    torch.testing.assert_close(weights(agent), before, rtol=0, atol=0)


# --- REINFORCE and A2C: one Adam step along the policy gradient ---------------------------------


def plain_gradient(agent, batch, psi):
    """The policy gradient by torch.distributions, in a loop over samples."""
    total = 0.0
    for s, a, w in zip(batch.observations, batch.actions, psi, strict=True):
        logits = agent.policy.net(s[None])[0]
        total = total + torch.distributions.Categorical(logits=logits).log_prob(a) * w
    return flatten(grad(total / len(psi), list(agent.policy.parameters())))


@pytest.mark.parametrize(
    ("name", "change", "psi"),
    [
        ("reinforce", dict(baseline=True), lambda b: b.advantages),
        ("reinforce", dict(baseline=False), lambda b: b.value_targets),
        ("a2c", dict(normalize_advantages=False), lambda b: b.advantages),
    ],
)
def test_first_order_updates_follow_the_policy_gradient(name, change, psi):
    settings = ALGORITHMS[name][0](**SMALL, max_grad_norm=None, **change)
    agent, batch = agent_and_batch(settings)
    g = plain_gradient(agent, batch, psi(batch))
    update(name, agent, batch, settings)
    actual = flatten(p.grad for p in agent.policy.parameters())  # of the loss: minus g
    torch.testing.assert_close(actual, -g, rtol=1e-4, atol=1e-6)


def test_entropy_bonus_makes_the_policy_more_random():
    settings = a2c.A2CSettings(**SMALL)
    reports = []
    for coefficient in (0.0, 10.0):
        agent, batch = agent_and_batch(settings)
        with torch.no_grad():
            agent.policy.net.layers[-1].bias[0] = 2.0
        reports.append(update("a2c", agent, batch, replace(settings, entropy_coef=coefficient)))
    assert reports[1]["entropy"] > reports[0]["entropy"]


def test_policy_gradient_loss_refuses_to_broadcast():
    with pytest.raises(ValueError, match="shape"):
        reinforce.policy_gradient_loss(torch.zeros(3), torch.zeros(3, 1))


# --- natural gradient and TRPO ------------------------------------------------------------------


def dense_fisher(policy, observations):
    """E over states and actions of score score^T, from the definition."""
    probs = policy(observations).log_probs.exp().detach()
    parameters = list(policy.parameters())
    F = 0.0
    for s, p in zip(observations, probs, strict=True):
        for a in range(len(p)):
            score = flatten(grad(policy(s[None]).log_probs[0, a], parameters))
            F = F + p[a] * torch.outer(score, score) / len(observations)
    return F


def test_natural_gradient_step_is_the_dense_solve():
    settings = npg.NPGSettings(
        **SMALL, step_size=0.05, damping=0.3, cg_iterations=60, normalize_advantages=False
    )
    agent, batch = agent_and_batch(settings, size=20)
    start = weights(agent.policy)
    F = dense_fisher(agent.policy, batch.observations)
    g = plain_gradient(agent, batch, batch.advantages)
    expected = 0.05 * torch.linalg.solve(F + 0.3 * torch.eye(len(g)), g)
    update("npg", agent, batch, settings)
    torch.testing.assert_close(weights(agent.policy) - start, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_fisher_products_of_both_activations_are_the_definitions(activation):
    agent, batch = agent_and_batch(Settings(**SMALL, activation=activation), size=20)
    F = dense_fisher(agent.policy, batch.observations)
    v = torch.randn(len(F), generator=torch.Generator().manual_seed(0))
    product = network_fisher_operator(agent.policy, batch.observations)(v)
    torch.testing.assert_close(product, F @ v, rtol=1e-4, atol=1e-6)


def test_natural_gradient_reaches_max_kl_in_the_quadratic_model():
    settings = npg.NPGSettings(**SMALL, max_kl=1e-4, damping=0.3)
    agent, batch = agent_and_batch(settings, size=20)
    F = dense_fisher(agent.policy, batch.observations)
    start = weights(agent.policy)
    report = update("npg", agent, batch, settings)
    step = weights(agent.policy) - start
    assert 0.5 * (step @ F @ step).item() == pytest.approx(1e-4, rel=1e-2)
    assert report["kl"] == pytest.approx(1e-4, rel=0.1)
    assert report["expected_improvement"] > 0


@pytest.mark.parametrize("kind", SPACES)
def test_trpo_stays_within_the_region_and_reports_its_search(kind):
    settings = trpo.TRPOSettings(**SMALL, max_kl=0.01)
    agent, batch = agent_and_batch(settings, kind)
    report = update("trpo", agent, batch, settings)
    assert report["accepted"] == 1.0
    assert 0 < report["kl"] <= 0.01
    assert report["improvement"] > 0.1 * report["expected_improvement"] > 0
    assert report["step_fraction"] in [0.8**j for j in range(10)]
    assert 1 <= report["cg_iterations"] <= 10


def test_trpo_without_advantages_leaves_the_policy_and_fits_the_critic():
    settings = trpo.TRPOSettings(**SMALL)
    agent, batch = agent_and_batch(settings)
    before = weights(agent.policy)
    report = update("trpo", agent, replace(batch, advantages=torch.zeros(64)), settings)
    assert report["accepted"] == 0.0
    torch.testing.assert_close(weights(agent.policy), before, rtol=0, atol=0)
    assert report["value_loss"] > 0


def test_adam_holds_the_critic_alone_where_the_policy_moves_by_another_rule():
    for name, (kind, _) in ALGORITHMS.items():
        agent, _ = agent_and_batch(kind(**SMALL))
        held = sum(p.numel() for group in agent.optimizer.param_groups for p in group["params"])
        critic = sum(p.numel() for p in agent.value_network.parameters())
        everything = sum(p.numel() for p in agent.parameters())
        assert held == (critic if name in ("npg", "trpo") else everything), name


# --- PPO with a penalty -------------------------------------------------------------------------


def test_penalty_loss_is_the_papers():
    settings = ppo_penalty.PPOPenaltySettings(**SMALL)
    agent, batch = agent_and_batch(settings)
    other, _ = agent_and_batch(settings, seed=1)
    old, new = (a.policy(batch.observations).detach() for a in (agent, other))
    p, q = (torch.distributions.Categorical(logits=d.logits) for d in (old, new))
    ratio = (q.log_prob(batch.actions) - p.log_prob(batch.actions)).exp()
    kl = torch.distributions.kl_divergence(p, q).mean()
    expected = 3.0 * kl - (ratio * batch.advantages).mean()
    loss = ppo_penalty.ppo_penalty_loss(old, new, batch.actions, batch.advantages, 3.0)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(
    ("kl", "factor"),
    [(0.0, 0.5), (0.0066, 0.5), (0.0067, 1.0), (0.01, 1.0), (0.0149, 1.0), (0.0151, 2.0)],
)
def test_beta_doubles_and_halves_outside_a_factor_of_one_and_a_half(kl, factor):
    assert ppo_penalty.adapt_beta(3.0, kl, 0.01) == 3.0 * factor


def test_beta_stays_within_bounds_and_refuses_nonsense():
    assert ppo_penalty.adapt_beta(1e6, 1.0, 0.01) == 1e6
    assert ppo_penalty.adapt_beta(1e-6, 0.0, 0.01) == 1e-6
    for wrong in ((0.0, 0.1, 0.1), (1.0, 0.1, 0.0), (1.0, float("nan"), 0.1)):
        with pytest.raises(ValueError, match="beta"):
            ppo_penalty.adapt_beta(*wrong)


def test_the_agent_carries_beta_from_update_to_update():
    settings = ppo_penalty.PPOPenaltySettings(**SMALL, target_kl=1e-6, initial_beta=0.5)
    agent, batch = agent_and_batch(settings)
    assert [update("ppo_penalty", agent, batch, settings)["beta"] for _ in range(3)] == [0.5, 1, 2]


def test_a_large_beta_keeps_the_policy_closer():
    kls = []
    for beta in (1e-3, 1e3):
        settings = ppo_penalty.PPOPenaltySettings(**SMALL, initial_beta=beta)
        agent, batch = agent_and_batch(settings)
        kls.append(update("ppo_penalty", agent, batch, settings)["kl"])
    assert kls[1] < 0.1 * kls[0]


# --- the shared parts ---------------------------------------------------------------------------


def test_value_clipping_is_the_larger_of_two_errors():
    rng = np.random.default_rng(0)
    values, targets, old = rng.normal(size=(3, 500))
    expected = 0.0
    for v, y, u in zip(values, targets, old, strict=True):
        clipped = min(max(v, u - 0.2), u + 0.2)
        expected += 0.5 * max((v - y) ** 2, (clipped - y) ** 2) / 500
    loss = value_loss(*map(torch.from_numpy, (values, targets, old)), 0.2)
    assert loss.item() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(
    ("value", "target", "flows"),
    [
        (0.5, 1.0, False), (0.5, -1.0, True), (0.1, 1.0, True),
        (0.5, 0.36, False), (0.5, 0.34, True), (-0.5, -0.36, False), (-0.5, -0.34, True),
    ],
)  # fmt: skip
def test_value_clipping_stops_a_value_that_has_moved_far_towards_its_target(value, target, flows):
    v = torch.tensor([value], requires_grad=True)
    value_loss(v, torch.tensor([target]), torch.zeros(1), 0.2).backward()
    assert (v.grad.item() != 0) == flows


def test_value_loss_refuses_what_would_broadcast():
    with pytest.raises(ValueError, match="shape"):
        value_loss(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ValueError, match="old_values"):
        value_loss(torch.zeros(3), torch.zeros(3), None, 0.2)
    with pytest.raises(ValueError, match="positive"):
        value_loss(torch.zeros(3), torch.zeros(3), torch.zeros(3), 0.0)


def test_value_clipping_is_used_by_ppo_and_by_the_critics_fit():
    for name in ("ppo", "ppo_penalty", "trpo", "npg"):
        moved = []
        for clip_range in (None, 1e-3):
            settings = ALGORITHMS[name][0](**SMALL, value_clip_range=clip_range)
            agent, batch = agent_and_batch(settings)
            update(name, agent, batch, settings)
            now = agent.value_network(batch.observations)
            moved.append((now - batch.values).abs().mean().item())
        assert moved[0] != moved[1], name


def test_critic_fit_reaches_the_least_squares_solution():
    """A critic without hidden layers is linear regression, which has a closed form."""
    settings = trpo.TRPOSettings(
        hidden=(), learning_rate=0.03, critic_epochs=300, minibatch_size=64, max_grad_norm=None
    )
    agent, batch = agent_and_batch(settings)
    X = torch.cat([batch.observations, torch.ones(64, 1)], dim=1)
    best = torch.linalg.lstsq(X, batch.value_targets[:, None]).solution
    floor = 0.5 * (X @ best - batch.value_targets[:, None]).square().mean().item()
    fit_critic(agent, batch, settings, np.random.default_rng(0))
    reached = value_loss(agent.value_network(batch.observations), batch.value_targets).item()
    assert reached == pytest.approx(floor, rel=1e-3)


@pytest.mark.parametrize(("bound", "expected"), [(None, 5.0), (1.0, 1.0), (100.0, 5.0)])
def test_gradient_step_scales_the_global_norm(bound, expected):
    agent, _ = agent_and_batch(Settings(**SMALL))
    first, second = list(agent.parameters())[:2]
    loss = 3.0 * first.reshape(-1)[0] + 4.0 * second.reshape(-1)[0]
    norm = gradient_step(agent, loss, bound)
    assert norm == pytest.approx(5.0)
    gradients = flatten(p.grad for p in agent.parameters() if p.grad is not None)
    assert gradients.norm().item() == pytest.approx(expected, rel=1e-6)


def test_a_gradient_whose_square_overflows_is_scaled_and_not_given_to_adam_unscaled():
    agent, _ = agent_and_batch(Settings(**SMALL))
    start = weights(agent)

    def loss():
        first, second = list(agent.parameters())[:2]
        return 3e22 * first.reshape(-1)[0] + 4e22 * second.reshape(-1)[0]

    with pytest.raises(FloatingPointError, match=r"norm is 5\.0e\+22"):
        gradient_step(agent, loss(), None)
    assert torch.equal(weights(agent), start)
    assert gradient_step(agent, loss(), 0.5) == pytest.approx(5e22)
    gradients = [p.grad for p in agent.parameters() if p.grad is not None]
    assert flatten(gradients).norm().item() == pytest.approx(0.5)
    assert not torch.equal(weights(agent), start)
    with pytest.raises(FloatingPointError, match="gradient is not finite"):
        gradient_step(agent, loss() * math.inf, 0.5)


def test_adam_leaves_parameters_without_gradients_alone():
    x = torch.ones(2, requires_grad=True)
    optimizer = Adam([x], lr=0.1)
    optimizer.step()
    assert x.tolist() == [1, 1]
    assert optimizer.state[0]["step"] == 0


def test_policy_change_agrees_with_torch_distributions():
    agent, batch = agent_and_batch(Settings(**SMALL), "continuous")
    other, _ = agent_and_batch(Settings(**SMALL, initial_log_std=-0.4), "continuous", seed=1)
    old, new = (a.policy(batch.observations).detach() for a in (agent, other))
    p, q = (
        torch.distributions.Independent(torch.distributions.Normal(d.mean, d.log_std.exp()), 1)
        for d in (old, new)
    )
    change = policy_change(old, new, batch.actions)
    assert change["kl"] == pytest.approx(
        torch.distributions.kl_divergence(p, q).mean().item(), rel=1e-4
    )
    assert change["entropy"] == pytest.approx(q.entropy().mean().item(), rel=1e-5)
    ratio = (q.log_prob(batch.actions) - p.log_prob(batch.actions)).exp()
    share = ratio / ratio.sum()
    assert change["effective_sample_size"] == pytest.approx(
        1.0 / share.square().sum().item() / 64, rel=1e-4
    )


# --- the switches -------------------------------------------------------------------------------


def test_torch_default_initialisation_is_torchs():
    agent, _ = agent_and_batch(Settings(hidden=(400,), orthogonal=False))
    first = agent.policy.net.layers[0]
    torch.manual_seed(0)
    reference = torch.nn.Linear(4, 400)
    for ours, theirs in ((first.weight, reference.weight), (first.bias, reference.bias)):
        assert ours.abs().max() <= 0.5  # 1 / sqrt(4), and uniform within
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)
        assert ours.std().item() == pytest.approx(0.5 / 3**0.5, rel=0.1)


def test_relu_networks_agree_between_torch_and_numpy():
    agent, batch = agent_and_batch(Settings(**SMALL, activation="relu"))
    net = agent.policy.net
    x = batch.observations
    linear = torch.nn.functional.linear
    expected = linear(torch.relu(linear(x, *net.layers[0])), *net.layers[1])
    torch.testing.assert_close(net(x), expected)
    np.testing.assert_allclose(net.numpy_forward()(x.numpy()), expected.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_grad_norm": 0.0},
        {"value_clip_range": -1.0},
        {"reward_clip": 0.0},
        {"observation_clip": 0.0},
        {"activation": "gelu"},
        {"reward_factor": 0.0},
    ],
)
def test_switches_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_settings_print_only_the_switches_that_were_moved():
    text = repr(ppo.PPOSettings(epochs=3, normalize_observations=True))
    assert text.startswith("PPOSettings(n_envs=8, horizon=256, ")
    assert "epochs=3" in text
    assert "normalize_observations=True" in text
    assert "orthogonal" not in text
    assert eval(text, {"PPOSettings": ppo.PPOSettings}).epochs == 3
