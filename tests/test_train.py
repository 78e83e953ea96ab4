"""Training: it learns, it repeats itself bit for bit, and it fails with a clear message."""

import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.algorithms import ALGORITHMS
from course_lib.algorithms.agent import Settings
from course_lib.algorithms.ppo import PPOSettings
from course_lib.algorithms.presets import PRESETS, default_settings, preset
from course_lib.algorithms.trpo import TRPOSettings
from course_lib.training.evaluation import evaluate
from course_lib.training.run import Run
from course_lib.training.train import DIAGNOSTICS, train

SHORT = replace(preset("ppo", "CartPole-v1"), n_envs=4, horizon=32, minibatch_size=64, epochs=2)


class Identity(gym.Env):
    """Shows one of three symbols; naming it earns 1. The optimum is exactly 10 per episode."""

    observation_space = gym.spaces.Box(0, 1, (3,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.show(), {}

    def show(self):
        self.symbol = self.np_random.integers(3)
        return np.eye(3, dtype=np.float32)[self.symbol]

    def step(self, action):
        reward = float(action == self.symbol)
        self.steps += 1
        return self.show(), reward, self.steps == 10, False, {}


class Target(gym.Env):
    """The best action is 0.5 in the one state there is; reward -(a - 0.5)^2, one step long."""

    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, dtype=np.float32), {}

    def step(self, action):
        return np.ones(1, dtype=np.float32), -float((action[0] - 0.5) ** 2), True, False, {}


class NotANumber(Identity):
    """Returns NaN as its reward from the 100th step of a copy on."""

    total = 0

    def step(self, action):
        self.total += 1
        observation, reward, *rest = super().step(action)
        return observation, float("nan") if self.total >= 100 else reward, *rest


@pytest.fixture(autouse=True, scope="module")
def registered():
    for kind in (Identity, Target, NotANumber):
        gym.register(f"{kind.__name__}-v0", entry_point=kind)
    yield
    for kind in (Identity, Target, NotANumber):
        del gym.registry[f"{kind.__name__}-v0"]


def test_learns_a_closed_form_optimum_with_discrete_actions():
    settings = PPOSettings(
        n_envs=8, horizon=32, gamma=0.5, learning_rate=1e-2, epochs=4, minibatch_size=64
    )
    history = train("Identity-v0", settings, 10_000, seed=0, progress=False)
    assert evaluate(history.agent.policy, "Identity-v0", episodes=10).tolist() == [10.0] * 10


def test_learns_a_closed_form_optimum_with_continuous_actions():
    settings = PPOSettings(
        n_envs=8, horizon=32, gamma=0.0, learning_rate=1e-2, epochs=4, minibatch_size=64
    )
    policy = train("Target-v0", settings, 10_000, seed=0, progress=False).agent.policy
    assert policy.greedy()(np.ones((1, 1), dtype=np.float32)).item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_ppo_solves_cartpole_within_150k_steps(seed):
    """A mean of 475 over 100 episodes of the sampled policy, each seed."""
    history = train("CartPole-v1", preset("ppo", "CartPole-v1"), 100_000, seed, progress=False)
    assert history.updates["step"].iloc[-1] <= 150_000
    returns = evaluate(
        history.agent.policy, "CartPole-v1", episodes=100, seed=1, deterministic=False
    )
    assert returns.mean() >= 475


def fingerprint(history):
    table = history.updates.drop(columns="seconds")
    weights = [p.detach().numpy().tobytes() for p in history.agent.parameters()]
    return table.to_csv(), history.episodes.to_csv(), weights


def test_same_seed_same_result_bit_for_bit_within_a_process():
    first = train("CartPole-v1", SHORT, 1000, seed=3, progress=False)
    torch.manual_seed(99)  # nothing may depend on the global generators
    np.random.seed(99)  # noqa: NPY002
    second = train("CartPole-v1", SHORT, 1000, seed=3, progress=False)
    assert fingerprint(first) == fingerprint(second)


def test_number_of_threads_changes_nothing_and_is_put_back():
    first = train("CartPole-v1", SHORT, 500, seed=3, progress=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        second = train("CartPole-v1", SHORT, 500, seed=3, progress=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert fingerprint(first) == fingerprint(second)


def test_other_seed_other_result():
    first, second = (train("CartPole-v1", SHORT, 500, seed, progress=False) for seed in (3, 4))
    assert fingerprint(first) != fingerprint(second)


def test_same_seed_same_result_in_another_process():
    code = (
        "import hashlib; from dataclasses import replace\n"
        "from course_lib.algorithms.presets import preset; from course_lib.training.train import train\n"
        "s = replace(preset('ppo', 'CartPole-v1'), n_envs=4, horizon=32, minibatch_size=64,"
        " epochs=2)\n"
        "h = train('CartPole-v1', s, 1000, seed=3, progress=False)\n"
        "print(h.updates.drop(columns='seconds').to_csv())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    here = train("CartPole-v1", SHORT, 1000, seed=3, progress=False)
    assert other.strip() == here.updates.drop(columns="seconds").to_csv().strip()


def test_history_is_tidy_and_complete():
    history = train("CartPole-v1", SHORT, 1000, seed=0, progress=False)
    others = {"accepted", "step_fraction", "expected_improvement", "improvement", "beta"}
    others |= {"cg_iterations", "cg_residual"}  # PPO-clip has none of these
    others |= {"evaluation"}  # only on request
    others |= {"clipped_share"}  # actions are discrete here
    assert list(history.updates.columns) == [name for name in DIAGNOSTICS if name not in others]
    assert history.updates["step"].tolist() == [128 * i for i in range(1, 9)]  # 1000, rounded up
    assert list(history.episodes.columns) == ["step", "return", "length"]
    pd.testing.assert_series_equal(  # CartPole earns 1 a step
        history.episodes["return"],
        history.episodes["length"].astype(float),
        check_names=False,
    )
    first = history.updates["step"].iloc[0]
    expected = history.episodes.loc[history.episodes["step"] == first, "return"].mean()
    assert history.updates["mean_return"].iloc[0] == pytest.approx(expected)


def test_learning_rate_falls_linearly_and_only_if_asked():
    annealed = train("CartPole-v1", SHORT, 1000, progress=False).updates["learning_rate"]
    np.testing.assert_allclose(annealed, 3e-3 * (1 - np.arange(8) / 8))
    constant = replace(SHORT, anneal_learning_rate=False)
    rates = train("CartPole-v1", constant, 1000, progress=False).updates["learning_rate"]
    assert set(rates) == {3e-3}


@pytest.mark.parametrize("annealed", [False, True])
def test_trpos_radius_falls_linearly_only_if_asked(annealed):
    settings = TRPOSettings(n_envs=4, horizon=32, hidden=(8,), anneal_max_kl=annealed)
    run, seen = Run("CartPole-v1", settings, 512, 0, "numpy"), []
    run.update = lambda agent, batch, settings, rng: seen.append(settings.max_kl) or {}
    for _ in range(4):
        run.advance()
    run.envs.close()
    np.testing.assert_allclose(seen, [0.01, 0.0075, 0.005, 0.0025] if annealed else 0.01)


def test_callback_sees_the_start_and_every_update():
    steps = []
    train(
        "CartPole-v1", SHORT, 500, progress=False, callback=lambda step, agent: steps.append(step)
    )
    assert steps == [0, 128, 256, 384, 512]


def test_nan_reward_stops_training_and_says_where():
    settings = PPOSettings(n_envs=2, horizon=32, minibatch_size=32, epochs=1)
    with pytest.raises(FloatingPointError, match=r"step 256: .*rewards"):
        train("NotANumber-v0", settings, 1000, progress=False)


def test_bad_arguments():
    with pytest.raises(ValueError, match="total_steps"):
        train("CartPole-v1", SHORT, 0)
    with pytest.raises(ValueError, match="PPOSettings"):
        train("CartPole-v1", Settings(), 100)
    with pytest.raises(gym.error.NameNotFound):
        train("NoSuchTask-v0", SHORT, 100)
    with pytest.raises(ValueError, match="flat Box"):
        train("FrozenLake-v1", SHORT, 100)


def test_presets_are_listed_when_one_is_missing():
    with pytest.raises(ValueError, match="ppo on CartPole-v1"):
        preset("ppo", "Chess-v0")
    assert all(isinstance(settings, Settings) for settings in PRESETS.values())


def test_environments_without_a_preset_start_normalised():
    for name, (kind, _) in ALGORITHMS.items():
        settings = default_settings(name)
        assert type(settings) is kind
        assert settings.normalize_observations
        assert settings.scale_rewards
        assert settings.reward_clip == 5.0
    with pytest.raises(ValueError, match="one of reinforce"):
        default_settings("dqn")


class AlwaysRight:
    """A stand-in for a policy: pushes right, which fells the pole after 8 to 10 steps."""

    def greedy(self):
        return lambda observations: np.ones(len(observations), dtype=np.int64)


def test_evaluation_counts_one_whole_episode_per_copy():
    returns = evaluate(AlwaysRight(), "CartPole-v1", episodes=50, seed=0)
    assert returns.shape == (50,)
    env = gym.make("CartPole-v1")
    lengths = set()
    for seed in range(50):
        env.reset(seed=seed)
        length, ended = 0, False
        while not ended:
            ended, length = env.step(1)[2], length + 1
        lengths.add(length)
    assert set(returns) <= lengths  # the lengths that Gymnasium's own environment gives
    with pytest.raises(ValueError, match="episodes"):
        evaluate(AlwaysRight(), "CartPole-v1", episodes=0)
