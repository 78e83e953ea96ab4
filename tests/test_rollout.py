"""Rollouts: what is stored, and which values stand behind the ends of episodes."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import TransformReward

from course_lib.advantages import gae_scan
from course_lib.algorithms.agent import Settings, explained_variance, make_batch
from course_lib.experience.envs import BatchedCartPole, make_envs
from course_lib.experience.normalization import ObservationNormalizer, RewardScaler
from course_lib.experience.rollout import Collector, Rollout


class Counter(gym.Env):
    """Observes [episode, step]. Terminates after ``length`` steps; reward is the step number."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length):
        self.length, self.episode, self.step_number = length, -1, 0

    def observe(self):
        return np.array([self.episode, self.step_number], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.step_number = self.episode + 1, 0
        return self.observe(), {}

    def step(self, action):
        self.step_number += 1
        return self.observe(), float(self.step_number), self.step_number == self.length, False, {}


def counters(mode, lengths=(3, 5), limit=4):
    """Copy 0 terminates after 3 steps, copy 1 is truncated after 4."""

    def make(length):
        return lambda: gym.wrappers.TimeLimit(Counter(length), limit)

    return SyncVectorEnv([make(n) for n in lengths], autoreset_mode=mode)


def always_left(observations):
    return np.zeros(len(observations), dtype=np.int64)


def code_of(observations):
    """A value that identifies the observation: 100 episode + step."""
    return 100 * observations[:, 0] + observations[:, 1]


def test_same_step_rollout_is_what_happened():
    rollout = Collector(counters("SameStep")).collect(always_left, 6)
    assert rollout.observations[:, 0].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert rollout.observations[:, 1].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [1, 1]]
    assert rollout.rewards.T.tolist() == [[1, 2, 3, 1, 2, 3], [1, 2, 3, 4, 1, 2]]
    assert np.argwhere(rollout.terminated).tolist() == [[2, 0], [5, 0]]
    assert np.argwhere(rollout.truncated).tolist() == [[3, 1]]
    assert rollout.final_observations.tolist() == [[0, 3], [0, 4], [1, 3]]
    assert rollout.last_observations.tolist() == [[2, 0], [1, 2]]
    assert rollout.valid.all()
    assert rollout.episode_returns.tolist() == [6, 10, 6]
    assert rollout.episode_lengths.tolist() == [3, 4, 3]


def test_next_values_are_those_of_the_state_actually_reached():
    rollout = Collector(counters("SameStep")).collect(always_left, 6)
    values, next_values = rollout.values(code_of)
    assert values[:, 1].tolist() == [0, 1, 2, 3, 100, 101]
    assert next_values[:, 0].tolist() == [1, 2, 3, 101, 102, 103]
    assert next_values[:, 1].tolist() == [1, 2, 3, 4, 101, 102]


def test_next_step_autoreset_gives_the_same_decisions_and_advantages():
    """The extra reset steps are invalid; without them both modes hold the same samples."""
    same = Collector(counters("SameStep")).collect(always_left, 30)
    following = Collector(counters("NextStep")).collect(always_left, 40)
    assert (~following.valid).sum() == len(following.final_observations) - following.ended[-1].sum()
    for copy in (0, 1):
        columns = []
        for rollout in (same, following):
            values, next_values = rollout.values(code_of)
            flags = rollout.terminated, rollout.truncated
            advantages = gae_scan(rollout.rewards, values, next_values, *flags, 0.9, 0.8)
            kept = rollout.valid[:, copy]
            columns.append(
                np.column_stack(
                    [
                        rollout.observations[kept, copy],
                        rollout.rewards[kept, copy],
                        rollout.ended[kept, copy],
                        next_values[kept, copy],
                        advantages[kept, copy],
                    ]
                )[:20]  # whole episodes only: later advantages see where the data end
            )
        np.testing.assert_allclose(columns[0], columns[1], rtol=1e-6)


def test_a_reset_step_right_after_the_rollouts_end_is_still_invalid():
    collector = Collector(counters("NextStep"))
    first = collector.collect(always_left, 3)
    second = collector.collect(always_left, 3)
    assert first.ended[-1].tolist() == [True, False]
    assert second.valid[0].tolist() == [False, True]


def test_collecting_in_two_halves_changes_nothing():
    whole = Collector(counters("SameStep")).collect(always_left, 10)
    collector = Collector(counters("SameStep"))
    halves = [collector.collect(always_left, 5) for _ in range(2)]
    for name in ("observations", "rewards", "terminated", "truncated", "episode_returns"):
        joined = np.concatenate([getattr(half, name) for half in halves])
        np.testing.assert_array_equal(joined, getattr(whole, name))


def test_continuous_actions_are_stored_as_drawn_and_sent_clipped():
    class Echo(gym.Env):
        observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(1, dtype=np.float32), {}

        def step(self, action):
            return np.asarray(action, dtype=np.float32), 0.0, False, False, {}

    envs = SyncVectorEnv([Echo, Echo], autoreset_mode="SameStep")
    rollout = Collector(envs).collect(lambda x: np.array([[3.0], [-0.5]], dtype=np.float32), 2)
    assert rollout.actions[0].tolist() == [[3.0], [-0.5]]
    assert rollout.observations[1].tolist() == [[1.0], [-0.5]]


@pytest.mark.parametrize(
    ("env_id", "chosen"),
    [
        ("CartPole-v1", np.array([0.9, 1.0])),  # would be 0 and 1
        ("CartPole-v1", np.array([1])),  # would be both copies'
        ("CartPole-v1", 1),
        ("CartPole-v1", np.array([[0], [1]])),
        ("LunarLanderContinuous-v3", np.zeros(2)),
        ("LunarLanderContinuous-v3", np.zeros((1, 2))),
        ("LunarLanderContinuous-v3", np.zeros((2, 1))),
        ("LunarLanderContinuous-v3", np.full((2, 2), "0.5")),
    ],
)
def test_actions_that_numpy_would_bend_are_refused(env_id, chosen):
    envs = make_envs(env_id, 2)
    collector = Collector(envs, seed=0)
    with pytest.raises(ValueError, match=r"act returned .* needed: (integers|numbers) of shape"):
        collector.collect(lambda observations: chosen, 1)
    envs.close()


def test_batch_leaves_out_invalid_steps_and_keeps_samples_together():
    rollout = Collector(counters("NextStep")).collect(always_left, 12)
    batch = make_batch(rollout, code_of, Settings(gamma=0.9, gae_lambda=0.8))
    assert len(batch.observations) == rollout.valid.sum() < rollout.valid.size
    values = code_of(batch.observations)
    torch.testing.assert_close(batch.value_targets - batch.advantages, values, rtol=0, atol=1e-4)


def test_rewards_that_are_not_finite_are_named():
    class Broken(Counter):
        def step(self, action):
            observation, _, *flags = super().step(action)
            return observation, float("nan"), *flags

    envs = SyncVectorEnv([lambda: Broken(3)], autoreset_mode="SameStep")
    with pytest.raises(FloatingPointError, match="rewards"):
        Collector(envs).collect(always_left, 2)


def test_errors():
    with pytest.raises(ValueError, match="SAME_STEP or NEXT_STEP"):
        Collector(counters(AutoresetMode.DISABLED))
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        Collector(counters("SameStep")).collect(always_left, 0)


def test_rollout_without_an_end_has_empty_final_observations():
    rollout = Collector(counters("SameStep")).collect(always_left, 2)
    assert isinstance(rollout, Rollout)
    assert rollout.final_observations.shape == (0, 2)
    assert rollout.episode_returns.shape == rollout.episode_lengths.shape == (0,)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2, 3], 1.0), ([2, 2, 2], 0.0), ([3, 2, 1], -3.0), ([6, 7, 8], 1.0)],
)
def test_explained_variance(values, expected):
    assert explained_variance(np.array(values), np.array([1, 2, 3])) == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_explained_variance_of_short_numbers_does_not_wrap_round(dtype):
    values, targets = np.array([[1, 0, 1, 1], [0, 0, 1, 1]])
    if dtype is not bool:
        values, targets = 120 * values, 127 * targets
    plain = explained_variance(values.astype(float), targets.astype(float))
    assert explained_variance(values.astype(dtype), targets.astype(dtype)) == plain


def test_explained_variance_of_constant_targets_is_nan():
    assert np.isnan(explained_variance(np.array([1.0, 2.0]), np.array([5.0, 5.0])))


def test_a_rollout_without_a_single_decision_is_refused():
    """With NEXT_STEP autoreset and copies in step, one step in four only resets."""
    collector = Collector(counters("NextStep", lengths=(3, 3)))
    for _ in range(3):
        collector.collect(always_left, 1)
    empty = collector.collect(always_left, 1)
    assert not empty.valid.any()
    with pytest.raises(ValueError, match=r"empty.*horizon"):
        make_batch(empty, code_of, Settings())


class Far(gym.Env):
    """Float64 observations 5e8 +- 1: one number in float32. Episodes of 8 steps."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def look(self):
        return 5e8 + self.np_random.uniform(-1, 1, size=1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}

    def step(self, action):
        self.steps += 1
        return self.look(), 1e9 + 0.25, self.steps == 8, False, {}


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_statistics_are_kept_in_the_precision_that_came_and_cast_after(mode):
    envs = SyncVectorEnv([Far] * 4, autoreset_mode=mode)
    rollout = Collector(envs, 0, ObservationNormalizer(1)).collect(always_left, 50)
    assert rollout.observations.dtype == rollout.final_observations.dtype == np.float32
    assert len(np.unique(rollout.observations)) == 200
    assert len(np.unique(rollout.final_observations)) == len(rollout.final_observations) >= 20
    assert rollout.observations.std() == pytest.approx(1.0, abs=0.1)
    assert set(rollout.episode_returns) == {8 * (1e9 + 0.25)}  # float64 as well


@pytest.mark.parametrize("shift", [-0.5, 100.0, float("nan")])
def test_reset_rows_carry_no_reward(shift):
    """A wrapper round a NEXT_STEP vector environment pays for the step that only resets, too."""
    returns, rewards = {}, {}
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        envs = BatchedCartPole(2, autoreset_mode=mode)

        def pay(reward, mode=mode):
            if mode is AutoresetMode.NEXT_STEP and np.isnan(shift):
                return np.where(reward == 0, np.nan, reward)
            return reward + (0.0 if np.isnan(shift) else shift)

        scaler = RewardScaler(2, 0.9)
        collector = Collector(TransformReward(envs, pay), 0, None, scaler)
        rollout = collector.collect(lambda o: np.array([0, 1]), 60)
        returns[mode] = rollout.episode_returns[:6].tolist()
        assert (rollout.rewards[~rollout.valid] == 0).all()
        rewards[mode] = [rollout.rewards[rollout.valid[:, i], i][:40] for i in range(2)]
    same, following = returns.values()
    assert same == following
    # the scaler takes copies in another order once their episodes have shifted
    for a, b in zip(*rewards.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.2)
