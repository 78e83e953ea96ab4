"""Evaluation ends, is fresh, and is of the agent: with its normaliser, on its environment."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch

from course_lib.algorithms.agent import make_agent
from course_lib.algorithms.ppo import PPOSettings
from course_lib.experience import rollout
from course_lib.policies import CategoricalPolicy, GaussianPolicy
from course_lib.show.render import record_episode
from course_lib.training.evaluation import UnfinishedEpisodesError, evaluate
from course_lib.training.train import train


class Stay(gym.Env):
    """Ends by itself only in every second copy, after 3 steps; pays 0.5 a step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    made = 0

    def __init__(self, render_mode=None, ends=False):
        self.render_mode, self.ends = render_mode, ends or Stay.made % 2 == 1
        Stay.made += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(2, np.float32), 0.5, self.ends and self.t == 3, False, {}

    def render(self):
        return np.zeros((4, 4, 3), np.uint8)


def coin():
    return CategoricalPolicy(2, 2, torch.Generator().manual_seed(0), hidden=(4,))


def test_an_evaluation_that_would_never_end_says_so_and_keeps_what_it_has():
    Stay.made = 0
    with pytest.raises(
        UnfinishedEpisodesError, match=r"2 of 4 episodes of Stay .* 20 steps"
    ) as stop:
        evaluate(coin(), Stay, episodes=4, max_steps=20)
    assert stop.value.finished.tolist() == [False, True, False, True]
    assert stop.value.returns.tolist() == [10.0, 1.5, 10.0, 1.5]
    assert evaluate(coin(), Stay, episodes=2, env_kwargs={"ends": True}).tolist() == [1.5, 1.5]


def test_without_a_limit_of_its_own_an_episode_is_given_up_after_10_000_steps():
    Stay.made = 0
    with pytest.raises(UnfinishedEpisodesError, match=r"10,000 steps.*TimeLimit"):
        evaluate(coin(), Stay, episodes=1)


def test_an_environment_with_a_longer_limit_is_waited_for():
    Stay.made = 0
    make = lambda: gym.wrappers.TimeLimit(Stay(), 10_050)  # noqa: E731
    assert evaluate(coin(), make, episodes=1).tolist() == [5025.0]


def starts(monkeypatch):
    """What every Collector that is made sees first."""
    seen, made = [], rollout.Collector.__init__

    def spy(self, *arguments, **keywords):
        made(self, *arguments, **keywords)
        seen.append(self.observations.copy())

    monkeypatch.setattr(rollout.Collector, "__init__", spy)
    return seen


@pytest.mark.parametrize("env_id", ["Acrobot-v1", "CartPole-v1"])
def test_evaluation_with_trainings_seed_starts_elsewhere(env_id, monkeypatch):
    seen = starts(monkeypatch)
    settings = PPOSettings(n_envs=4, horizon=8, epochs=1, minibatch_size=16, hidden=(4,))
    history = train(env_id, settings, 32, 3, progress=False)
    short = {"max_steps": 600}
    returns = evaluate(history.agent, env_id, episodes=4, seed=3, deterministic=False, **short)
    training, evaluation = seen
    assert not (training[:, None] == evaluation[None]).all(-1).any()
    again = evaluate(history.agent, env_id, episodes=4, seed=3, deterministic=False, **short)
    assert again.tolist() == returns.tolist()


class Offset(gym.Env):
    """Shows 100 +- 1; action 1 is right above 100, action 0 below. 10 steps long."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)
    centre = 100.0

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def look(self):
        self.above = self.np_random.integers(2)
        return np.array([self.centre + 2 * self.above - 1])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.look(), {}

    def step(self, action):
        self.t += 1
        reward = float(action == self.above)
        return self.look(), reward, self.t == 10, False, {}

    def render(self):
        return np.zeros((4, 4, 3), np.uint8)


@pytest.fixture(scope="module")
def agent():
    """Trained behind a normaliser, on observations that are one number in float32."""
    gym.register("Offset-v0", entry_point=Far)
    settings = PPOSettings(
        n_envs=8,
        horizon=32,
        gamma=0.0,
        epochs=4,
        learning_rate=1e-2,
        hidden=(8,),
        normalize_observations=True,
    )
    try:
        return train("Offset-v0", settings, 5_000, seed=0, progress=False).agent
    finally:
        del gym.registry["Offset-v0"]


class Far(Offset):
    centre = 5e8


def test_a_policy_is_never_evaluated_or_filmed_without_its_normaliser(agent):
    before = agent.normalizer.statistics.count
    for actor in (agent, agent.policy, copy.deepcopy(agent.policy)):
        assert evaluate(actor, Far, episodes=3).tolist() == [10.0] * 3
        assert record_episode(actor, Far, deterministic=True)[1] == 10.0
    assert agent.normalizer.statistics.count == before
    bare = CategoricalPolicy(1, 2, torch.Generator().manual_seed(0), hidden=(8,))
    bare.load_state_dict(agent.policy.state_dict())  # the weights alone know of no normaliser
    assert evaluate(bare, Far, episodes=30).mean() < 9


def test_a_wrong_environment_is_named_as_such(agent):
    two = CategoricalPolicy(4, 2, torch.Generator().manual_seed(0))
    push = GaussianPolicy(4, 1, torch.Generator().manual_seed(0))
    for wrong, env, words in (
        (agent, "CartPole-v1", "sees observations of 1 numbers, and CartPole-v1 shows 4"),
        (two, "Acrobot-v1", "sees observations of 4 numbers, and Acrobot-v1 shows 6"),
        (push, "CartPole-v1", "has actions of 1 numbers, and CartPole-v1 takes Discrete"),
        (CategoricalPolicy(3, 2, torch.Generator()), "Pendulum-v1", "2 discrete actions, and Pend"),
        (CategoricalPolicy(6, 2, torch.Generator()), "Acrobot-v1", "2 discrete actions, and Acro"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(wrong, env, episodes=2)
        with pytest.raises(ValueError, match=words):
            record_episode(wrong, env)


def test_returns_are_summed_in_the_precision_that_came():
    class Precise(Stay):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, 1e9 + 0.25, *rest

    returns = evaluate(coin(), Precise, episodes=2, env_kwargs={"ends": True})
    assert returns.tolist() == [3e9 + 0.75] * 2


@pytest.mark.parametrize(
    "wrong",
    [{"episodes": 2.5}, {"episodes": "2"}, {"seed": -1}, {"max_steps": 0}, {"deterministic": "no"}],
)
def test_arguments_are_checked(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must "):
        evaluate(coin(), Stay, **wrong)


def test_an_agent_without_a_normaliser_leaves_its_policy_alone():
    space = gym.spaces.Box(-1, 1, (2,), np.float32)
    made = make_agent(space, gym.spaces.Discrete(2), PPOSettings(), seed=0)
    assert getattr(made.policy, "normalizer", None) is None
