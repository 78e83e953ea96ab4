"""The random walk: its exact values, and the exact bias of GAE, against independent sums."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from course_lib.advantages import gae_scan
from course_lib.experience.envs.random_walk import RandomWalk, gae_bias
from course_lib.experience.rollout import Collector


def test_undiscounted_values_are_the_chances_of_leaving_on_the_right():
    """Gambler's ruin: from site s of S the right end comes first with chance (s+1)/(S+1)."""
    values, advantages = RandomWalk(sites=9).exact_values(gamma=1.0)
    np.testing.assert_allclose(values, np.arange(1, 10) / 10)
    np.testing.assert_allclose(advantages, [[-0.1] * 9, [0.1] * 9])


def test_undiscounted_survival_times_are_products_of_the_distances():
    """The expected duration from site s is (s+1)(S-s)."""
    values, _ = RandomWalk(sites=9, step_reward=1, exit_reward=0).exact_values(gamma=1.0)
    sites = np.arange(9)
    np.testing.assert_allclose(values, (sites + 1) * (9 - sites))


def test_leaving_terminates_and_pays_only_on_the_right():
    walk = RandomWalk(num_envs=2, sites=3, step_reward=0.5, exit_reward=2.0)
    walk.reset(seed=0)
    walk.state = np.array([[0.0, 2.0]])
    observations, rewards, terminated, truncated, infos = walk.step(np.array([0, 1]))
    assert rewards.tolist() == [0.5, 2.5]
    assert terminated.all()
    assert not truncated.any()
    # Seen at the site they left; only the flag tells.
    assert infos["final_obs"].argmax(-1).tolist() == [0, 2]
    assert (observations.sum(-1) == 1).all()


def test_bias_is_the_expectation_over_all_paths():
    """Sum over every path of 12 steps, with the weights of GAE, from definition (2.6)."""
    walk, gamma, lam = RandomWalk(sites=3), 0.9, 0.5
    exact, advantages = walk.exact_values(gamma)
    critic = exact + np.array([0.3, -0.2, 0.5])

    def expected_gae(site, action, depth):
        """E[sum of (gamma lambda)^k delta] along all continuations; 0.45^25 is below 1e-8."""
        following = site + 2 * action - 1
        reward = float(following == 3)
        if following in (-1, 3):
            return reward - critic[site]
        delta = reward + gamma * critic[following] - critic[site]
        if depth == 0:
            return delta
        rest = np.mean([expected_gae(following, a, depth - 1) for a in (0, 1)])
        return delta + gamma * lam * rest

    bias = gae_bias(walk, critic, gamma, lam)
    for action, site in np.ndindex(2, 3):
        expected = expected_gae(site, action, depth=14) - advantages[action, site]
        assert bias[action, site] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.95, 1.0])
def test_exact_critic_has_no_bias(lam):
    walk = RandomWalk()
    bias = gae_bias(walk, walk.exact_values(0.95)[0], 0.95, lam)
    np.testing.assert_allclose(bias, 0, atol=1e-12)


def test_at_lambda_one_the_bias_is_a_baseline():
    walk = RandomWalk()
    error = np.linspace(-1, 1, 9)
    bias = gae_bias(walk, walk.exact_values(0.9)[0] + error, 0.9, 1.0)
    np.testing.assert_allclose(bias, [-error, -error], atol=1e-12)


def test_sampled_gae_has_the_predicted_bias():
    walk = RandomWalk(num_envs=256, sites=5)
    critic = walk.exact_values(0.9)[0] + np.array([0.4, -0.3, 0.2, 0.0, -0.4])
    rng = np.random.default_rng(0)
    rollout = Collector(walk, seed=1).collect(lambda x: rng.integers(2, size=len(x)), 300)
    weight = torch.tensor(critic, dtype=torch.float32)
    values, next_values = rollout.values(lambda x: x @ weight)
    flags = rollout.terminated, rollout.truncated
    estimates = gae_scan(rollout.rewards, values, next_values, *flags, 0.9, 0.6)[:200]
    site, action = rollout.observations.argmax(-1)[:200], rollout.actions[:200]
    _, advantages = walk.exact_values(0.9)
    predicted = gae_bias(walk, critic, 0.9, 0.6)
    for a, s in np.ndindex(2, 5):
        chosen = estimates[(site == s) & (action == a)]
        assert chosen.mean() - advantages[a, s] == pytest.approx(predicted[a, s], abs=0.01)


def test_errors():
    with pytest.raises(ValueError, match="2 sites"):
        RandomWalk(sites=1)
    with pytest.raises(ValueError, match="9 sites"):
        gae_bias(RandomWalk(), np.zeros(4), 0.9, 0.5)
    assert RandomWalk().autoreset_mode is AutoresetMode.SAME_STEP
