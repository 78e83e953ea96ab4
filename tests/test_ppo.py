"""PPO-clip: the loss against a reference written from the paper, the update by what it must do."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from course_lib.algorithms import ppo
from course_lib.algorithms.agent import Batch, make_agent
from course_lib.algorithms.ppo import PPOSettings, ppo_clip_loss
from course_lib.surrogate import surrogate

SETTINGS = PPOSettings(epochs=3, minibatch_size=16, learning_rate=1e-2)


def samples(seed, size=200):
    """Log-probabilities and advantages with both signs on both sides of the clip range."""
    rng = np.random.default_rng(seed)
    old, advantages = rng.normal(size=(2, size))
    return old + rng.normal(scale=0.4, size=size), old, advantages


def reference_loss(log_probs, old_log_probs, advantages, clip_range):
    """PPO Eq. 7 case by case: the gain stops growing at the edge of the clip range."""
    total = 0.0
    for new, old, advantage in zip(log_probs, old_log_probs, advantages, strict=True):
        ratio = np.exp(new - old)
        if advantage >= 0:
            total += min(ratio, 1 + clip_range) * advantage
        else:
            total += max(ratio, 1 - clip_range) * advantage
    return -total / len(advantages)


@pytest.mark.parametrize("seed", range(5))
def test_loss_is_the_papers(seed):
    log_probs, old, advantages = samples(seed)
    loss = ppo_clip_loss(*map(torch.from_numpy, (log_probs, old, advantages)), 0.2)
    assert loss.item() == pytest.approx(reference_loss(log_probs, old, advantages, 0.2), abs=1e-13)


def test_gradient_is_the_finite_difference_of_the_reference():
    log_probs, old, advantages = samples(7, size=40)
    x = torch.tensor(log_probs, requires_grad=True)
    ppo_clip_loss(x, torch.from_numpy(old), torch.from_numpy(advantages), 0.2).backward()
    for i in range(len(log_probs)):
        shift = np.zeros_like(log_probs)
        shift[i] = 1e-6
        slope = (
            reference_loss(log_probs + shift, old, advantages, 0.2)
            - reference_loss(log_probs - shift, old, advantages, 0.2)
        ) / 2e-6
        assert x.grad[i].item() == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize(
    ("ratio", "advantage", "flows"),
    [(1.5, 1.0, False), (1.5, -1.0, True), (0.5, 1.0, True), (0.5, -1.0, False), (1.0, 1.0, True)],
)
def test_gradient_dies_only_where_the_gain_is_exhausted(ratio, advantage, flows):
    x = torch.tensor([np.log(ratio)], requires_grad=True)
    ppo_clip_loss(x, torch.zeros(1), torch.tensor([advantage]), 0.2).backward()
    assert (x.grad.item() != 0) == flows


@pytest.mark.parametrize("seed", range(5))
def test_the_clipped_objective_is_a_lower_bound_of_the_surrogate(seed):
    log_probs, old, advantages = map(torch.from_numpy, samples(seed))
    for clip_range in (0.05, 0.2, 0.8):
        for scale in (0.1, 1.0, 5.0):  # from few ratios outside to nearly all
            near = old + scale * (log_probs - old)
            clipped = -ppo_clip_loss(near, old, advantages, clip_range)
            assert clipped <= surrogate(near, old, advantages) + 1e-12
    at_old = ppo_clip_loss(old, old, advantages, 0.2)
    assert -at_old.item() == pytest.approx(surrogate(old, old, advantages).item(), abs=1e-14)


def test_loss_refuses_what_would_broadcast_to_nonsense():
    with pytest.raises(ValueError, match="shape"):
        ppo_clip_loss(torch.zeros(3), torch.zeros(3), torch.zeros(3, 1), 0.2)
    with pytest.raises(ValueError, match="shape"):
        ppo_clip_loss(torch.zeros(3), torch.zeros(3, 1), torch.zeros(3), 0.2)
    with pytest.raises(ValueError, match="clip_range"):
        ppo_clip_loss(torch.zeros(3), torch.zeros(3), torch.zeros(3), 0.0)


def agent_and_batch(seed=0, size=64):
    agent = make_agent(gym.spaces.Box(-1, 1, (4,)), gym.spaces.Discrete(2), SETTINGS, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    batch = Batch(
        observations=torch.randn(size, 4, generator=generator),
        actions=torch.randint(2, (size,), generator=generator),
        advantages=torch.randn(size, generator=generator),
        value_targets=torch.randn(size, generator=generator),
        explained_variance=0.0,
    )
    return agent, batch


def test_first_full_batch_gradient_is_a2cs():
    """At the old policy all ratios are 1, and the gradient is that of -mean(log pi * A)."""
    agent, batch = agent_and_batch()
    log_probs = agent.policy(batch.observations).log_prob(batch.actions)
    loss = ppo_clip_loss(log_probs, log_probs.detach(), batch.advantages, 0.2)
    clipped = torch.autograd.grad(loss, list(agent.policy.parameters()), retain_graph=True)
    plain = torch.autograd.grad(
        -(log_probs * batch.advantages).mean(), list(agent.policy.parameters())
    )
    for a, b in zip(clipped, plain, strict=True):
        torch.testing.assert_close(a, b)


def test_update_makes_good_actions_likelier_and_the_critic_better():
    agent, batch = agent_and_batch()
    before = agent.policy(batch.observations).log_prob(batch.actions)
    error = (agent.value_network(batch.observations) - batch.value_targets).square().mean()
    ppo.update(agent, batch, SETTINGS, np.random.default_rng(0))
    after = agent.policy(batch.observations).log_prob(batch.actions)
    assert ((after - before) * batch.advantages).mean() > 0
    assert (agent.value_network(batch.observations) - batch.value_targets).square().mean() < error


def test_update_is_its_loss_in_plain_words():
    """Eqs. (11.1) and (11.2) by torch's distributions, minibatch by minibatch, on a twin."""
    settings = replace(SETTINGS, entropy_coef=0.3, value_coef=0.7, max_grad_norm=0.4)
    (agent, batch), (twin, _) = agent_and_batch(), agent_and_batch()
    ppo.update(agent, batch, settings, np.random.default_rng(0))

    def distribution(index):
        return torch.distributions.Categorical(logits=twin.policy(batch.observations[index]).logits)

    rng = np.random.default_rng(0)
    old = distribution(slice(None)).log_prob(batch.actions).detach()
    A = (batch.advantages - batch.advantages.mean()) / batch.advantages.std(correction=0)
    for _ in range(settings.epochs):
        for index in torch.from_numpy(rng.permutation(len(A))).split(settings.minibatch_size):
            new = distribution(index)
            ratio = (new.log_prob(batch.actions[index]) - old[index]).exp()
            gain = torch.minimum(ratio * A[index], ratio.clamp(0.8, 1.2) * A[index]).mean()
            errors = twin.value_network(batch.observations[index]) - batch.value_targets[index]
            loss = -gain + 0.7 * errors.square().mean() / 2 - 0.3 * new.entropy().mean()
            twin.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.4)
            twin.optimizer.step()
    for ours, plain in zip(agent.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-5)


def test_diagnostics_agree_with_torch_distributions():
    agent, batch = agent_and_batch()
    old = torch.distributions.Categorical(logits=agent.policy(batch.observations).logits.detach())
    report = ppo.update(agent, batch, SETTINGS, np.random.default_rng(0))
    new = torch.distributions.Categorical(logits=agent.policy(batch.observations).logits.detach())
    ratio = (new.log_prob(batch.actions) - old.log_prob(batch.actions)).exp()
    assert report["kl"] == pytest.approx(
        torch.distributions.kl_divergence(old, new).mean().item(), rel=1e-4
    )
    assert report["entropy"] == pytest.approx(new.entropy().mean().item(), rel=1e-5)
    assert report["clip_fraction"] == ((ratio - 1).abs() > 0.2).float().mean().item()
    weight = ratio / ratio.sum()
    assert report["effective_sample_size"] == pytest.approx(
        1 / weight.square().sum().item() / len(ratio), rel=1e-5
    )


def test_early_stop_looks_at_the_kl_after_every_epoch():
    agent, batch = agent_and_batch()
    patient = ppo.update(agent, batch, SETTINGS, np.random.default_rng(0))
    assert patient["epochs"] == SETTINGS.epochs
    agent, batch = agent_and_batch()
    cautious = replace(SETTINGS, max_kl=1e-9)
    stopped = ppo.update(agent, batch, cautious, np.random.default_rng(0))
    assert stopped["epochs"] == 1
    assert stopped["kl"] > 1e-9


def test_a_loss_that_is_not_finite_is_named_and_changes_nothing():
    agent, batch = agent_and_batch()
    before = [p.clone() for p in agent.parameters()]
    targets = batch.value_targets.clone()
    targets[3] = float("nan")
    with pytest.raises(FloatingPointError, match="value_loss"):
        ppo.update(
            agent,
            replace(batch, value_targets=targets),
            replace(SETTINGS, minibatch_size=64),
            np.random.default_rng(0),
        )
    for p, q in zip(agent.parameters(), before, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip_range": 0},
        {"epochs": 0},
        {"minibatch_size": -1},
        {"gamma": 1.5},
        {"gae_lambda": -0.1},
        {"learning_rate": 0.0},
        {"max_kl": 0.0},
        {"horizon": 0},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PPOSettings(**wrong)
