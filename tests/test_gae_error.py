"""The exact bias and variance of GAE, against sums over all paths, samples and special cases."""

import numpy as np
import pytest
import torch

from course_lib.advantages import gae_scan
from course_lib.experience.envs.random_walk import RandomWalk
from course_lib.experience.rollout import Collector
from course_lib.gae_error import gae_bias, gae_moments

GAMMA, LAMBDA = 0.9, 0.5


@pytest.fixture
def chain():
    """Three states, two actions, random transitions that terminate one time in five or more."""
    rng = np.random.default_rng(0)
    transitions = 0.8 * rng.dirichlet(np.ones(3), size=(3, 2))
    transitions[2, 1] = 0.0  # always the end
    policy = rng.dirichlet(np.ones(2), size=3)
    rewards, error = rng.normal(size=(3, 2)), np.array([0.3, -0.2, 0.5])
    mean_transitions = np.einsum("sa,sat->st", policy, transitions)
    exact = np.linalg.solve(np.eye(3) - GAMMA * mean_transitions, (policy * rewards).sum(1))
    advantages = rewards + GAMMA * transitions @ exact - exact[:, None]
    return transitions, policy, rewards, exact, advantages, error


def all_paths(transitions, policy, rewards, critic, state, action, steps, lam=LAMBDA):
    """(probability, sum of (gamma lambda)^k delta) of every path, cut after so many steps."""
    start = rewards[state, action] - critic[state]
    end = 1 - transitions[state, action].sum()
    if end > 1e-12:
        yield end, start
    for following in np.flatnonzero(transitions[state, action]):
        chance, delta = transitions[state, action, following], start + GAMMA * critic[following]
        if steps == 1:
            yield chance, delta
            continue
        for a in range(policy.shape[1]):
            rest = all_paths(transitions, policy, rewards, critic, following, a, steps - 1, lam)
            for p, total in rest:
                yield chance * policy[following, a] * p, delta + GAMMA * lam * total


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_cut_bias_is_the_mean_over_all_paths(chain, steps):
    transitions, policy, rewards, exact, advantages, error = chain
    bias = gae_bias(transitions, policy, error, GAMMA, LAMBDA, steps)
    for s, a in np.ndindex(3, 2):
        paths = all_paths(transitions, policy, rewards, exact + error, s, a, steps)
        p, total = np.array(list(paths)).T
        assert p.sum() == pytest.approx(1)
        assert bias[s, a] == pytest.approx(p @ total - advantages[s, a], abs=1e-12)


def test_without_a_cut_it_is_the_limit_of_late_cuts(chain):
    transitions, policy, *_, error = chain
    bias = gae_bias(transitions, policy, error, GAMMA, LAMBDA)
    late = gae_bias(transitions, policy, error, GAMMA, LAMBDA, 60)
    np.testing.assert_allclose(bias, late, atol=1e-12)
    assert np.abs(bias - gae_bias(transitions, policy, error, GAMMA, LAMBDA, 3)).max() > 1e-3


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.95, 1.0])
def test_exact_critic_has_no_bias_cut_or_not(chain, lam):
    transitions, policy = chain[:2]
    for steps in (None, 4):
        assert not gae_bias(transitions, policy, np.zeros(3), GAMMA, lam, steps).any()


def test_at_lambda_one_the_bias_is_a_baseline_unless_cut(chain):
    transitions, policy, *_, error = chain
    bias = gae_bias(transitions, policy, error, GAMMA, 1.0)
    np.testing.assert_allclose(bias, np.tile(-error[:, None], 2), atol=1e-12)
    after_two = GAMMA**2 * transitions @ np.einsum("sa,sat->st", policy, transitions) @ error
    cut = gae_bias(transitions, policy, error, GAMMA, 1.0, 2)
    np.testing.assert_allclose(cut, after_two - error[:, None])
    assert np.ptp(cut, axis=1).max() > 0.01


def test_moments_are_those_of_all_paths(chain):
    """With gamma lambda = 0.18 what lies beyond six steps is below 1e-4."""
    transitions, policy, rewards, exact, advantages, error = chain
    mean, variance = gae_moments(transitions, rewards, policy, exact + error, GAMMA, 0.2)
    bias = gae_bias(transitions, policy, error, GAMMA, 0.2)
    np.testing.assert_allclose(mean, advantages + bias, atol=1e-12)
    for s, a in np.ndindex(3, 2):
        paths = all_paths(transitions, policy, rewards, exact + error, s, a, 6, lam=0.2)
        p, total = np.array(list(paths)).T
        assert variance[s, a] == pytest.approx(p @ total**2 - (p @ total) ** 2, abs=2e-4)
    assert variance[2, 1] == pytest.approx(0, abs=1e-12)  # the end is certain there


def test_sampled_gae_has_the_predicted_moments():
    walk = RandomWalk(num_envs=256, sites=5)
    transitions, rewards = walk.transitions()
    half, error = np.full((5, 2), 0.5), np.array([0.4, -0.3, 0.2, 0.0, -0.4])
    exact, advantages = walk.exact_values(0.9)
    rng = np.random.default_rng(0)
    rollout = Collector(walk, seed=1).collect(lambda x: rng.integers(2, size=len(x)), 300)
    weight = torch.tensor(exact + error, dtype=torch.float32)
    values, next_values = rollout.values(lambda x: x @ weight)
    flags = rollout.terminated, rollout.truncated
    estimates = gae_scan(rollout.rewards, values, next_values, *flags, 0.9, 0.6)[:200]
    site, action = rollout.observations.argmax(-1)[:200], rollout.actions[:200]
    bias = gae_bias(transitions, half, error, 0.9, 0.6)
    _, variance = gae_moments(transitions, rewards, half, exact + error, 0.9, 0.6)
    for s, a in np.ndindex(5, 2):
        chosen = estimates[(site == s) & (action == a)]
        assert chosen.mean() - advantages[s, a] == pytest.approx(bias[s, a], abs=0.01)
        assert chosen.std() == pytest.approx(np.sqrt(variance[s, a]), abs=0.01)


def test_what_does_not_fit_is_named(chain):
    transitions, policy, rewards, *_, error = chain
    with pytest.raises(ValueError, match=r"transitions must have shape \(S, A, S\)"):
        gae_bias(transitions[0], policy, error, 0.9, 0.5)
    with pytest.raises(ValueError, match="one entry per state"):
        gae_bias(transitions, policy, error[:2], 0.9, 0.5)
    with pytest.raises(ValueError, match="a row of probabilities"):
        gae_bias(transitions, policy.T, error, 0.9, 0.5)
    with pytest.raises(ValueError, match="gae_lambda"):
        gae_bias(transitions, policy, error, 0.9, 1.5)
    for steps in (0, 2.5):
        with pytest.raises(ValueError, match="steps counts"):
            gae_bias(transitions, policy, error, 0.9, 0.5, steps)
    with pytest.raises(ValueError, match="gamma"):
        gae_moments(transitions, rewards, policy, error, -0.1, 0.5)
    with pytest.raises(ValueError, match="rewards"):
        gae_moments(transitions, rewards[:, 0], policy, error, 0.9, 0.5)


def test_a_sum_that_diverges_is_refused_and_not_rounded():
    rng = np.random.default_rng(0)
    for _ in range(20):
        chain, policy = rng.dirichlet(np.ones(3), size=(3, 2)), rng.dirichlet(np.ones(2), size=3)
        with pytest.raises(np.linalg.LinAlgError, match="diverges"):
            gae_bias(chain, policy, np.ones(3), 1.0, 1.0)
        with pytest.raises(np.linalg.LinAlgError, match="diverges"):
            gae_moments(chain, np.ones((3, 2)), policy, np.ones(3), 1.0, 1.0)
        assert np.isfinite(gae_bias(0.9 * chain, policy, np.ones(3), 1.0, 1.0)).all()
