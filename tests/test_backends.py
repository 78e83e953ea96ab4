"""Which environments `make_envs` picks, and EnvPool's: with a stand-in, and for real if it is there."""

import importlib.util
import sys
import types

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from course_lib.algorithms.ppo import PPOSettings
from course_lib.experience.envs import BatchedCartPole, ReplayableVectorEnv, make_envs, pool
from course_lib.experience.rollout import Collector
from course_lib.training.train import train

LANDER = "LunarLanderContinuous-v3"


class StandInPool:
    """Behaves as an EnvPool of LunarLanders would: episodes of 3 steps, reset by the next one."""

    made = []

    def __init__(self, env_id, env_type, num_envs, num_threads, seed):
        assert env_type == "gymnasium"
        self.rng, self.num_envs = np.random.default_rng(seed), num_envs
        StandInPool.made.append((env_id, num_envs, seed))

    def observe(self):
        return self.rng.normal(size=(self.num_envs, 8)).astype(np.float32)

    def reset(self):
        self.t = np.zeros(self.num_envs, dtype=int)
        return self.observe(), {}

    def step(self, actions):
        assert actions.shape == (self.num_envs, 2)
        resetting = self.t == 3
        self.t = np.where(resetting, 0, self.t + 1)
        rewards = np.where(resetting, 0.0, 1.0).astype(np.float32)
        return self.observe(), rewards, self.t == 3, np.zeros(self.num_envs, dtype=bool), {}

    def close(self):
        pass


@pytest.fixture
def stand_in(monkeypatch):
    module = types.ModuleType("envpool")
    module.make = StandInPool
    monkeypatch.setitem(sys.modules, "envpool", module)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        pool.importlib.util, "find_spec", lambda name: name == "envpool" or find(name)
    )
    StandInPool.made.clear()


@pytest.fixture
def no_envpool(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        pool.importlib.util, "find_spec", lambda name: None if name == "envpool" else find(name)
    )


def kind(*arguments, **keywords):
    envs = make_envs(*arguments, **keywords)
    envs.close()
    return type(envs)


def test_auto_takes_the_fastest_there_is(stand_in):
    assert kind("CartPole-v1", 2) is BatchedCartPole
    assert kind(LANDER, 2) is pool.EnvPoolVectorEnv
    assert kind("Pendulum-v1", 2) is ReplayableVectorEnv


def test_without_envpool_gymnasium_stands_in(no_envpool):
    assert kind(LANDER, 2) is ReplayableVectorEnv
    with pytest.raises(ValueError, match="envpool"):
        make_envs(LANDER, 2, backend="envpool")


def test_a_backend_can_be_chosen(stand_in):
    assert kind("CartPole-v1", 2, backend="gymnasium") is ReplayableVectorEnv
    assert kind(LANDER, 2, backend="gymnasium") is ReplayableVectorEnv
    for env_id, backend in ((LANDER, "numpy"), ("CartPole-v1", "envpool"), (LANDER, "gpu")):
        with pytest.raises(ValueError, match="backend"):
            make_envs(env_id, 2, backend=backend)


def test_nothing_is_ever_rendered():
    envs = make_envs(LANDER, 2, backend="gymnasium")
    assert all(env.render_mode is None for env in envs.envs)
    envs.close()


def test_pool_is_seeded_by_reset_and_its_reset_steps_are_invalid(stand_in):
    envs = make_envs(LANDER, 2)
    assert envs.single_observation_space == gym.make(LANDER).observation_space
    act = lambda x: np.zeros((2, 2), dtype=np.float32)  # noqa: E731
    first = Collector(envs, seed=5).collect(act, 9)
    second = Collector(envs, seed=5).collect(act, 9)
    other = Collector(envs, seed=6).collect(act, 9)
    assert [seed for *_, seed in StandInPool.made] == [0, 5, 5, 6]
    np.testing.assert_array_equal(first.observations, second.observations)
    assert (first.observations != other.observations).any()
    assert (~first.valid).sum(0).tolist() == [2, 2]
    assert first.episode_returns.tolist() == [3.0] * 4


def test_checkpoints_do_without_envpool(stand_in, tmp_path):
    settings = PPOSettings(n_envs=2, horizon=8, hidden=(8,))
    train(LANDER, settings, 16, progress=False)
    assert StandInPool.made
    StandInPool.made.clear()
    train(LANDER, settings, 16, progress=False, checkpoint_dir=tmp_path)
    assert not StandInPool.made
    with pytest.raises(ValueError, match="cannot be saved"):
        train(
            LANDER, settings, 16, progress=False, checkpoint_dir=tmp_path / "b", backend="envpool"
        )


def test_envpool_has_gymnasiums_statistics():
    """Random actions: returns, lengths and observations agree within their standard errors."""
    pytest.importorskip("envpool", reason="EnvPool, the extra [fast], is not installed")
    samples = {}
    for backend in ("envpool", "gymnasium"):
        rng = np.random.default_rng(0)
        envs = make_envs(LANDER, 16, backend=backend)
        expected = AutoresetMode.NEXT_STEP if backend == "envpool" else AutoresetMode.SAME_STEP
        assert envs.metadata["autoreset_mode"] is expected
        act = lambda x, rng=rng: rng.uniform(-1, 1, (16, 2)).astype(np.float32)  # noqa: E731
        rollout = Collector(envs, seed=1).collect(act, 1500)
        envs.close()
        seen = rollout.observations[rollout.valid]
        samples[backend] = rollout.episode_returns, rollout.episode_lengths, seen
    for ours, theirs in zip(samples["envpool"][:2], samples["gymnasium"][:2], strict=True):
        error = np.hypot(ours.std() / len(ours) ** 0.5, theirs.std() / len(theirs) ** 0.5)
        assert abs(ours.mean() - theirs.mean()) < 4 * error
    deviation = samples["gymnasium"][2].std(0)
    shift = np.abs(samples["envpool"][2].mean(0) - samples["gymnasium"][2].mean(0))
    assert (shift < 0.15 * deviation).all()


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_replay_goes_on_where_it_was(mode):
    """Also in NEXT_STEP mode, where an ended copy waits for its reset."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (260, 3, 2)).astype(np.float32)
    envs = make_envs(LANDER, 3, mode, backend="gymnasium")
    envs.reset(seed=1)
    ended = np.zeros(3, dtype=bool)
    for t, action in enumerate(actions):
        _, _, terminated, truncated, _ = envs.step(action)
        ended = terminated | truncated
        if t > 120 and ended.any():
            break
    assert ended.any()
    saved = envs.get_state()
    ahead = [envs.step(action)[:4] for action in actions[:100]]
    other = make_envs(LANDER, 3, mode, backend="gymnasium")
    other.reset(seed=99)
    np.testing.assert_array_equal(other.set_state(saved), saved["observations"])
    for action, expected in zip(actions[:100], ahead, strict=True):
        for x, y in zip(other.step(action)[:4], expected, strict=True):
            np.testing.assert_array_equal(x, y)
    envs.close()
    other.close()
