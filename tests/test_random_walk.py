"""The random walk: its exact values against closed forms."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from course_lib.experience.envs.random_walk import RandomWalk


def test_undiscounted_values_are_the_chances_of_leaving_on_the_right():
    """Gambler's ruin: from site s of S the right end comes first with chance (s+1)/(S+1)."""
    values, advantages = RandomWalk(sites=9).exact_values(gamma=1.0)
    np.testing.assert_allclose(values, np.arange(1, 10) / 10)
    np.testing.assert_allclose(advantages, [[-0.1, 0.1]] * 9)


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


def test_the_model_is_what_the_walk_does():
    walk = RandomWalk(num_envs=10, sites=5, step_reward=0.5, exit_reward=2.0)
    transitions, rewards = walk.transitions()
    site, action = np.divmod(np.arange(10), 2)
    walk.reset(seed=0)
    walk.state = site[None].astype(float)
    _, earned, terminated, _, _ = walk.step(action)
    np.testing.assert_allclose(earned, rewards[site, action])
    np.testing.assert_allclose(terminated, 1 - transitions[site, action].sum(-1))
    stays = ~terminated
    assert (transitions[site, action].argmax(-1)[stays] == walk.state[0][stays]).all()


def test_errors():
    with pytest.raises(ValueError, match="2 sites"):
        RandomWalk(sites=1)
    walk = RandomWalk(2)
    walk.reset(seed=0)
    for actions in ([5, 5], [0, -1], [0.5, 1]):
        with pytest.raises(ValueError, match="actions are 0 and 1"):
            walk.step(actions)
    assert RandomWalk().autoreset_mode is AutoresetMode.SAME_STEP
