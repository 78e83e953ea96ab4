"""Running statistics against NumPy on the whole data, and what is normalised where."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv

from course_lib.algorithms.agent import Settings, make_agent
from course_lib.experience.normalization import (
    ObservationNormalizer,
    RewardScaler,
    RunningMeanVariance,
)
from course_lib.experience.rollout import Collector
from course_lib.training.evaluation import evaluate


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 1, 50), (2, 0, 5)])
def test_running_statistics_are_those_of_all_data_at_once(sizes, ddof):
    rng = np.random.default_rng(0)
    batches = [rng.normal(1e4, [1.0, 20.0], size=(n, 2)) for n in sizes]
    statistics = RunningMeanVariance((2,), ddof)
    for batch in batches:
        statistics.update(batch)
    everything = np.concatenate(batches)
    assert statistics.count == len(everything)
    np.testing.assert_allclose(statistics.mean, everything.mean(0), rtol=1e-13)
    np.testing.assert_allclose(statistics.variance, everything.var(0, ddof=ddof), rtol=1e-9)


def test_running_variance_keeps_its_digits_far_from_zero():
    """Mean of squares minus square of mean would lose all of them here."""
    x = np.random.default_rng(0).normal(1e8, 1.0, size=1000)
    statistics = RunningMeanVariance()
    for part in np.split(x, 10):
        statistics.update(part)
    assert statistics.variance == pytest.approx(x.var(), rel=1e-6)


def test_running_statistics_before_the_first_sample_change_nothing():
    assert RunningMeanVariance((3,)).variance.tolist() == [1, 1, 1]
    one = RunningMeanVariance(ddof=1)
    one.update([5.0])
    assert one.variance == 1.0


def test_running_statistics_refuse_other_shapes():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        RunningMeanVariance((3,)).update(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="ddof"):
        RunningMeanVariance(ddof=-1)


def test_normalizer_clips_after_it_normalises_and_does_not_learn_by_itself():
    normalizer = ObservationNormalizer(1, clip=1.5, epsilon=0.0)
    normalizer.update(np.array([[8.0], [12.0]]))  # mean 10, standard deviation 2
    assert normalizer(np.array([[8.0], [11.0], [30.0]])).tolist() == [[-1.0], [0.5], [1.5]]
    assert normalizer.statistics.count == 2
    only_clips = ObservationNormalizer(1, normalize=False, clip=3.0)
    only_clips.update(np.array([[8.0], [12.0]]))
    assert only_clips(np.array([[8.0], [-1.0]])).tolist() == [[3.0], [-1.0]]


def test_reward_scaler_divides_by_the_deviation_of_discounted_sums():
    rng = np.random.default_rng(0)
    rewards, ended = rng.normal(size=(50, 3)), rng.random((50, 3)) < 0.1
    scaler = RewardScaler(3, gamma=0.9)
    sums, running = [], np.zeros(3)
    for t in range(50):
        running = 0.9 * running + rewards[t]
        sums.append(running.copy())
        scaled = scaler(rewards[t], ended[t], np.ones(3, dtype=bool))
        np.testing.assert_allclose(scaled, rewards[t] / np.sqrt(np.var(sums) + 1e-8))
        running[ended[t]] = 0.0


def test_reward_scaler_leaves_out_invalid_steps_and_clips_last():
    scaler = RewardScaler(2, gamma=0.5)
    scaler(np.array([1.0, 0.0]), np.zeros(2, dtype=bool), np.array([True, False]))
    assert scaler.statistics.count == 1
    clipped = RewardScaler(2, gamma=0.5, scale=False, clip=1.0, factor=0.1)
    flags = np.zeros(2, dtype=bool), np.ones(2, dtype=bool)
    assert clipped(np.array([30.0, 5.0]), *flags).tolist() == [1.0, 0.5]


class Ramp(gym.Env):
    """Observes 10 + step; pays 100 a step; 4 steps long. Going left ends it a step early."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def observe(self):
        return np.array([10.0 + self.steps], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        return self.observe(), 100.0, self.steps == 4, False, {}


def test_rollout_stores_what_the_policy_saw_and_raw_returns():
    normalizer, scaler = ObservationNormalizer(1), RewardScaler(1, 0.9, scale=False, clip=7.0)
    envs = SyncVectorEnv([Ramp], autoreset_mode="SameStep")
    collector = Collector(envs, 0, normalizer, scaler)
    seen = []

    def act(observations):
        seen.append(observations.copy())
        return np.zeros(1, dtype=np.int64)

    rollout = collector.collect(act, 6)
    np.testing.assert_array_equal(rollout.observations, seen)
    raw = [10, 11, 12, 13, 10, 11, 12]  # acted on, and the last one reached
    assert normalizer.statistics.count == len(raw)
    np.testing.assert_allclose(normalizer.statistics.mean, np.mean(raw))
    # the second observation was normalised with the statistics of the first two
    assert rollout.observations[1].item() == pytest.approx((11 - 10.5) / 0.5, rel=1e-4)
    expected = (14 - np.mean(raw[:4])) / np.std(raw[:4])  # the final state is no part of them
    assert rollout.final_observations.item() == pytest.approx(expected, rel=1e-4)
    assert set(rollout.rewards.ravel()) == {7.0}
    assert rollout.episode_returns.tolist() == [400.0]


def test_infinite_rewards_are_not_hidden_by_clipping():
    class Infinite(Ramp):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, np.inf, *rest

    envs = SyncVectorEnv([Infinite], autoreset_mode="SameStep")
    collector = Collector(envs, 0, None, RewardScaler(1, 0.9, scale=False, clip=1.0))
    with pytest.raises(FloatingPointError, match="rewards"):
        collector.collect(lambda x: np.zeros(1, dtype=np.int64), 2)


def test_agent_takes_raw_observations_and_evaluation_freezes_its_statistics():
    settings = Settings(normalize_observations=True, observation_clip=10.0)
    space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    agent = make_agent(space, gym.spaces.Discrete(2), settings, seed=0)
    rng = np.random.default_rng(0)
    agent.normalizer.update(rng.normal(3.0, 0.1, size=(100, 4)))
    x = rng.normal(3.0, 1.0, size=(50, 4)).astype(np.float32)
    normalised = (x - agent.normalizer.statistics.mean) / np.sqrt(
        agent.normalizer.statistics.variance + 1e-8
    )
    expected = agent.policy.greedy()(np.clip(normalised, -10, 10).astype(np.float32))
    assert agent.greedy()(x).tolist() == expected.tolist()
    assert agent.greedy()(x).tolist() != agent.policy.greedy()(x).tolist()
    evaluate(agent, "CartPole-v1", episodes=2)
    assert agent.normalizer.statistics.count == 100


def test_an_agents_actor_follows_the_agent_and_changes_nothing():
    space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    settings = Settings(normalize_observations=True)
    agent = make_agent(space, gym.spaces.Box(-1, 1, (1,), np.float32), settings, seed=0)
    act, x = agent.greedy(), np.ones((3, 2), dtype=np.float32)
    agent.normalizer.update(np.array([[1.0, 5.0], [2.0, -3.0]]))
    assert act(x).tolist() == agent.policy.greedy()(agent.normalizer(x)).tolist()
    assert agent.normalizer.statistics.count == 2
    with torch.no_grad():
        agent.policy.net.layers[-1].bias.fill_(3.0)
    assert (act(x) > 2.0).all()


@pytest.mark.parametrize("shape", [(5, 1), (5,), (), (5, 4)])
@pytest.mark.parametrize("normalize", [True, False])
def test_observations_of_another_width_are_refused(shape, normalize):
    with pytest.raises(ValueError, match=r"must have shape \(\.\.\., 3\)"):
        ObservationNormalizer(3, normalize)(np.zeros(shape))


def test_a_deviation_of_roundings_size_is_none():
    """The first reward of all would be divided by the root of epsilon: 1 would become 10,000."""
    scaler = RewardScaler(3, gamma=0.9)
    flags = np.zeros(3, dtype=bool), np.ones(3, dtype=bool)
    assert scaler(np.full(3, 0.1), *flags).tolist() == [0.1] * 3
    for epsilon in (1e-8, 0.0):
        normalizer = ObservationNormalizer(1, epsilon=epsilon)
        for _ in range(50):
            normalizer.update(np.full((7, 1), 1e12 / 3))
        assert normalizer(np.full((7, 1), 1e12 / 3)).max() < 1e-3
    varied = RunningMeanVariance()
    varied.update([1e12, 1e12 + 1])  # a small deviation, but beyond rounding
    assert varied.divisor(0.0) == pytest.approx(0.5)


def test_reward_scaler_takes_reset_rows_for_nothing():
    scaler = RewardScaler(2, gamma=0.9)
    scaler(np.array([1.0, 2.0]), np.array([True, False]), np.ones(2, dtype=bool))
    scaled = scaler(np.array([np.nan, 1.0]), np.zeros(2, dtype=bool), np.array([False, True]))
    assert scaled[0] == 0
    assert scaler.running.tolist() == [0.0, 2.8]


def test_a_frozen_normaliser_learns_no_more_and_leaves_the_other_alone():
    normalizer = ObservationNormalizer(1)
    normalizer.update(np.array([[1.0], [3.0]]))
    frozen = normalizer.frozen()
    frozen.update(np.array([[9.0]]))
    normalizer.update(np.array([[5.0]]))
    assert (frozen.statistics.count, normalizer.statistics.count) == (2, 3)
    assert frozen(np.array([[3.0]])).item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ObservationNormalizer(2.5),
        lambda: ObservationNormalizer(2, normalize="no"),
        lambda: ObservationNormalizer(2, clip=-1.0),
        lambda: RewardScaler(2, gamma=1.5),
        lambda: RewardScaler(2, gamma=0.9, scale="False"),
        lambda: RewardScaler(2, gamma=0.9, clip=float("nan")),
        lambda: RunningMeanVariance(ddof=0.5),
    ],
)
def test_arguments_are_checked_where_they_are_given(make):
    with pytest.raises(ValueError, match=" must "):
        make()
