"""Actions on the environment's scale, and spaces that the policies cannot serve."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from course_lib.algorithms.ppo import PPOSettings
from course_lib.algorithms.trpo import TRPOSettings
from course_lib.algorithms.vine import branch, visited_states
from course_lib.experience.envs import BatchedEnv, make_envs
from course_lib.experience.rollout import Collector
from course_lib.policies import CategoricalPolicy, GaussianPolicy, make_policy
from course_lib.spaces import ActionMap, require_supported
from course_lib.training.evaluation import evaluate
from course_lib.training.train import train

FLAT = Box(-1.0, 1.0, (3,))
LARGEST = float(np.finfo(np.float32).max)


# --- the map ------------------------------------------------------------------------------------


def test_bounds_of_one_change_nothing_but_the_clip():
    actions = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    sent = ActionMap(Box(-1.0, 1.0, (2,), np.float32))(actions)
    assert sent.dtype == np.float32
    assert sent.tobytes() == np.clip(actions, np.float32(-1), np.float32(1)).tobytes()


@pytest.mark.parametrize(
    ("low", "high", "sent"),
    [
        (50, 100, [50, 50, 62.5, 75, 100, 100]),
        (-1000, 1000, [-1000, -1000, -500, 0, 1000, 1000]),
        (-0.01, 0.01, [-0.01, -0.01, -0.005, 0, 0.01, 0.01]),
        (0, 1, [0, 0, 0.25, 0.5, 1, 1]),
        (-np.inf, np.inf, [-3, -1, -0.5, 0, 1, 3]),
        (-LARGEST, LARGEST, [-3, -1, -0.5, 0, 1, 3]),
        (-0.25, np.inf, [-0.25, -0.25, -0.25, 0, 1, 3]),
        (5, 5, [5, 5, 5, 5, 5, 5]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite_bounds_are_where_minus_one_and_one_go(low, high, sent, dtype):
    space = Box(low, high, (1,), dtype)
    actions = np.array([-3, -1, -0.5, 0, 1, 3], np.float32)[:, None]
    result = ActionMap(space)(actions)
    assert result.dtype == dtype
    np.testing.assert_allclose(result[:, 0], sent, rtol=1e-6, atol=1e-9)
    assert all(space.contains(action) for action in result)


def test_every_dimension_has_its_own_scale():
    space = Box(np.array([50, -2, -np.inf]), np.array([100, 2, np.inf]), dtype=np.float64)
    np.testing.assert_allclose(ActionMap(space)(np.array([[0.5, 0.5, 0.5]])), [[87.5, 1.0, 0.5]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_boxes_of_integers_get_integers(dtype):
    space = Box(0, 10, (1,), dtype)
    sent = ActionMap(space)(np.linspace(-1.5, 1.5, 61, dtype=np.float32)[:, None])
    assert sent.dtype == dtype
    assert sorted(set(sent.ravel().tolist())) == list(range(11))
    assert all(space.contains(action) for action in sent)
    assert ActionMap(Box(0, 255, (1,), np.uint8))(np.array([[9.0], [-9.0]])).tolist() == [
        [255],
        [0],
    ]


def test_the_share_that_is_clipped_is_of_components_beyond_the_bounds():
    space = Box(np.array([50.0, -np.inf]), np.array([100.0, np.inf]), dtype=np.float64)
    actions = np.array([[1.0, 9.0], [1.01, -9.0], [-1.0, 0.0], [-7.0, 0.0]])
    assert ActionMap(space).clipped_share(actions) == 2 / 8
    assert np.isnan(ActionMap(space).clipped_share(actions[:0]))
    assert np.isnan(ActionMap(Discrete(2)).clipped_share(np.array([0, 1])))


# --- what becomes of it in rollouts and training ------------------------------------------------


class Aim(gym.Env):
    """One step; the best action lies three quarters up between the bounds, where it earns 0."""

    observation_space = Box(0, 1, (1,), np.float32)

    def __init__(self, low=-1.0, high=1.0, dtype=np.float32):
        self.action_space = Box(low, high, (1,), dtype)
        self.got = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.got.append(action)
        space = self.action_space
        where = (float(action[0]) - space.low[0]) / (float(space.high[0]) - space.low[0])
        return np.ones(1, np.float32), -4 * (where - 0.75) ** 2, True, False, {}


PPO = PPOSettings(
    n_envs=8, horizon=32, gamma=0.0, learning_rate=1e-2, epochs=4, minibatch_size=64, hidden=(16,)
)
TRPO = TRPOSettings(n_envs=8, horizon=32, gamma=0.0, hidden=(16,), max_kl=0.05)


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [(PPO, *bounds) for bounds in ((50, 100), (-1000, 1000), (-0.01, 0.01), (0, 1))]
    + [(TRPO, 50, 100), (TRPO, -3, 200)],
)
def test_actions_of_any_range_are_learned_as_fast_as_those_in_minus_one_to_one(settings, low, high):
    """On the policy's scale the tasks are one, so the runs differ by rounding alone."""
    runs = {}
    for bounds in ((-1, 1), (low, high)):
        make = lambda bounds=bounds: Aim(*bounds)  # noqa: E731
        gym.register("Aim-v0", entry_point=make)
        try:
            history = train("Aim-v0", settings, 6_000, seed=1, progress=False)
            runs[bounds] = history, evaluate(history.agent, "Aim-v0", episodes=2)
        finally:
            del gym.registry["Aim-v0"]
    (unit, unit_return), (other, other_return) = runs.values()
    np.testing.assert_allclose(
        other.updates["mean_return"], unit.updates["mean_return"], rtol=0.02, atol=0.005
    )
    assert unit_return.max() > -0.01
    np.testing.assert_allclose(other_return, unit_return, atol=0.005)
    share = unit.updates["clipped_share"]
    assert 0.0 < share.iloc[0] < 0.3  # sigma 0.6: one in ten lies beyond +-1


def test_boxes_of_integers_train():
    make = lambda: Aim(0, 8, np.int64)  # noqa: E731
    envs = make_envs(make, 4)
    policy = GaussianPolicy(1, 1, torch.Generator().manual_seed(0), hidden=(8,))
    rollout = Collector(envs).collect(policy.sampler(np.random.default_rng(0)), 50)
    assert rollout.actions.dtype == np.float32  # as drawn
    got = np.stack([env.unwrapped.got for env in envs.envs])
    assert got.dtype == np.int64
    assert len(np.unique(got)) > 4


class FromOne(gym.Env):
    """Discrete actions 1, 2, 3, of which 3 earns 1; five steps long."""

    observation_space = Box(0, 1, (1,), np.float32)
    action_space = Discrete(3, start=1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.ones(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.t += 1
        return np.ones(1, np.float32), float(action == 3), self.t == 5, False, {}


def test_discrete_actions_that_start_at_one_are_learned():
    gym.register("FromOne-v0", entry_point=FromOne)
    try:
        history = train("FromOne-v0", PPO, 5_000, seed=0, progress=False)
        assert evaluate(history.agent, "FromOne-v0", episodes=3).tolist() == [5.0] * 3
        assert "clipped_share" not in history.updates
    finally:
        del gym.registry["FromOne-v0"]


class Pushed(BatchedEnv):
    """A number that is replaced by the action, which lies in [50, 100], and pays it."""

    default_max_episode_steps = 10
    single_observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    single_action_space = Box(50, 100, (1,), np.float32)

    def initial_states(self, rng, n):
        return rng.uniform(size=(1, n))

    def dynamics(self, state, actions):
        return (
            actions.T.astype(float),
            actions[:, 0].astype(float),
            np.zeros(len(actions), dtype=bool),
        )

    def observe(self, state):
        return state.T.astype(np.float32)


def test_the_vine_sends_actions_on_the_environments_scale():
    policy = GaussianPolicy(1, 1, torch.Generator().manual_seed(0), hidden=())
    env = Pushed(4)
    env.reset(seed=0)
    states, _ = visited_states(env, policy, 3, 5, np.random.default_rng(0))
    assert ((states >= 50) & (states <= 100) | (states < 1)).all()
    actions = np.array([[[-1.0], [0.5]], [[0.0], [9.0]]])
    found = branch(env, policy, states[:, :2], actions, 0.9, 1, np.random.default_rng(0))
    assert found.q_values.tolist() == [[50.0, 87.5], [75.0, 100.0]]
    np.testing.assert_array_equal(found.actions, actions)


# --- what cannot be served ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "wrapper", "numbers"),
    [
        (Discrete(16), "FlattenObservation", "16 numbers"),
        (Box(0, 255, (8, 8, 3), np.uint8), "FlattenObservation", "192 numbers"),
        (Box(0, 1, ()), "FlattenObservation", "1 numbers"),
        (Dict(a=FLAT, b=Discrete(2)), "FlattenObservation", "5 numbers"),
        (Tuple([FLAT, FLAT]), "FlattenObservation", "6 numbers"),
        (MultiBinary(4), "FlattenObservation", "4 numbers"),
        (MultiDiscrete([2, 3]), "FlattenObservation", "5 numbers"),
        (gym.spaces.Sequence(FLAT), "TransformObservation", "fixed length"),
        (Box(0, 1, (0,)), "TransformObservation", "fixed length"),
    ],
)
def test_observations_that_cannot_be_served_name_the_wrapper_that_helps(space, wrapper, numbers):
    words = rf"observations must be a flat Box, not .*gymnasium\.wrappers\.{wrapper}.*{numbers}"
    with pytest.raises(ValueError, match=words):
        require_supported(space, Discrete(2))
    with pytest.raises(ValueError, match=words):
        make_policy(space, Discrete(2), torch.Generator())
    if wrapper == "FlattenObservation":  # it does help
        require_supported(gym.spaces.flatten_space(space), Discrete(2))


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (MultiDiscrete([2, 3]), r"TransformAction.*Discrete\(6\)"),
        (MultiBinary(3), r"TransformAction.*Discrete\(8\)"),
        (Box(0, 1, (2, 2)), r"TransformAction.*Box of shape \(4,\)"),
        (Box(0, 1, ()), r"TransformAction.*Box of shape \(1,\)"),
        (Tuple([FLAT, Discrete(2)]), "TransformAction"),
        (Dict(a=FLAT), "TransformAction"),
        (Text(3), "TransformAction"),
    ],
)
def test_actions_that_cannot_be_served_name_the_wrapper_that_helps(space, words):
    with pytest.raises(ValueError, match=rf"actions must be Discrete or a flat Box, not .*{words}"):
        require_supported(FLAT, space)


def test_the_wrappers_that_are_named_help():
    class Mixed(gym.Env):
        observation_space = Dict(a=FLAT, b=Discrete(2))
        action_space = MultiDiscrete([2, 3])

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return {"a": np.zeros(3, np.float32), "b": 1}, {}

        def step(self, action):
            assert self.action_space.contains(np.asarray(action))
            return {"a": np.zeros(3, np.float32), "b": 1}, 1.0, True, False, {}

    def make():
        env = gym.wrappers.FlattenObservation(Mixed())
        pair = lambda a: np.array(np.unravel_index(a, (2, 3)))  # noqa: E731
        return gym.wrappers.TransformAction(env, pair, Discrete(6))

    policy = CategoricalPolicy(5, 6, torch.Generator().manual_seed(0))
    assert evaluate(policy, make, episodes=3).tolist() == [1.0] * 3
