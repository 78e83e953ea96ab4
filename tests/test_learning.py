"""Every algorithm finds optima that are known in closed form."""

import gymnasium as gym
import numpy as np
import pytest

from course_lib.algorithms import ALGORITHMS, algorithm_of, settings_from
from course_lib.algorithms.ppo import PPOSettings
from course_lib.algorithms.presets import PRESETS
from course_lib.training.evaluation import evaluate
from course_lib.training.train import DIAGNOSTICS, train

COMMON = dict(n_envs=8, horizon=32, learning_rate=1e-2)
SETTINGS = {
    "reinforce": dict(normalize_advantages=True, horizon=16, learning_rate=3e-2),
    "a2c": dict(horizon=16, learning_rate=3e-2),
    # A fixed step, not a fixed KL: near a deterministic optimum the Fisher matrix vanishes, and a
    # step of constant KL in its metric, with nothing to check it, throws the policy far away.
    "npg": dict(step_size=0.3, minibatch_size=128, critic_epochs=4),
    "trpo": dict(max_kl=0.03, minibatch_size=128, critic_epochs=4),
    "ppo_penalty": dict(epochs=4, minibatch_size=128, target_kl=0.03),
    "ppo": dict(epochs=4, minibatch_size=128),
}
STEPS = 8_000


class Symbols(gym.Env):
    """Shows one of three symbols; naming it earns 1. The optimum is exactly 10 per episode."""

    observation_space = gym.spaces.Box(0, 1, (3,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def show(self):
        self.symbol = self.np_random.integers(3)
        return np.eye(3, dtype=np.float32)[self.symbol]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.show(), {}

    def step(self, action):
        reward = float(action == self.symbol)
        self.steps += 1
        return self.show(), reward, self.steps == 10, False, {}


class Bullseye(gym.Env):
    """The best action is (0.5, -0.3) in the one state there is; minus the squared distance."""

    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    best = np.array([0.5, -0.3])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, dtype=np.float32), {}

    def step(self, action):
        reward = -float(np.square(action - self.best).sum())
        return np.ones(1, dtype=np.float32), reward, True, False, {}


@pytest.fixture(autouse=True, scope="module")
def registered():
    for kind in (Symbols, Bullseye):
        gym.register(f"{kind.__name__}-v0", entry_point=kind)
    yield
    for kind in (Symbols, Bullseye):
        del gym.registry[f"{kind.__name__}-v0"]


def learn(name, env_id, **changes):
    settings = ALGORITHMS[name][0](**{**COMMON, **SETTINGS[name], **changes})
    return train(env_id, settings, STEPS, seed=0, progress=False)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_discrete_optimum(name):
    history = learn(name, "Symbols-v0", gamma=0.5)
    assert evaluate(history.agent, "Symbols-v0", episodes=10).tolist() == [10.0] * 10


@pytest.mark.parametrize("name", ALGORITHMS)
def test_continuous_optimum(name):
    history = learn(name, "Bullseye-v0", gamma=0.0)
    action = history.agent.greedy()(np.ones((1, 1), dtype=np.float32))[0]
    np.testing.assert_allclose(action, Bullseye.best, atol=0.06)


@pytest.mark.parametrize("name", ["ppo", "trpo"])
def test_all_nine_switches_at_once_still_learn(name):
    history = learn(
        name,
        "Symbols-v0",
        gamma=0.5,
        value_clip_range=0.2,
        scale_rewards=True,
        reward_clip=5.0,
        normalize_observations=True,
        observation_clip=5.0,
        orthogonal=False,
        activation="relu",
        anneal_learning_rate=False,
        max_grad_norm=None,
    )
    assert evaluate(history.agent, "Symbols-v0", episodes=10).mean() >= 9.9
    assert history.episodes["return"].max() == 10.0  # raw, whatever training saw


@pytest.mark.parametrize("name", ALGORITHMS)
def test_columns_are_those_the_algorithm_reports(name):
    history = train("Symbols-v0", ALGORITHMS[name][0](n_envs=2, horizon=16), 64, progress=False)
    columns = list(history.updates.columns)
    assert columns == [c for c in DIAGNOSTICS if c in columns]
    assert ("accepted" in columns) == (name == "trpo")
    assert ("beta" in columns) == (name == "ppo_penalty")
    assert ("cg_iterations" in columns) == (name in ("npg", "trpo"))
    assert not history.updates.drop(columns="mean_return").isna().any(axis=None)


def test_a_callback_that_returns_true_ends_the_run():
    settings = ALGORITHMS["a2c"][0](n_envs=2, horizon=16)
    for limit, updates in ((0, 0), (64, 2)):
        history = train(
            "Symbols-v0",
            settings,
            320,
            progress=False,
            callback=lambda step, agent, limit=limit: step >= limit,
        )
        assert len(history.updates) == updates


def test_settings_survive_plain_values():
    from dataclasses import asdict

    for settings in PRESETS.values():
        name = algorithm_of(settings)
        assert settings_from(name, {**asdict(settings), "hidden": [64, 64]}) == settings
    with pytest.raises(ValueError, match="reinforce, a2c"):
        settings_from("dqn", {})
    assert settings_from("ppo", {"epochs": 3}) == PPOSettings(epochs=3)
    with pytest.raises(ValueError, match="a2c has no setting epocs, max_kl"):
        settings_from("a2c", {"max_kl": 0.1, "epocs": 3})
