"""Environments of a user's own: what is wrong is named at once, what is unusual does no harm."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import SyncVectorEnv

from course_lib.algorithms.ppo import PPOSettings
from course_lib.experience.contract import (
    CheckedEnv,
    EnvironmentFailedError,
    MalformedEnvironmentError,
)
from course_lib.experience.envs import BatchedCartPole, ReplayableVectorEnv, make_envs, recorder
from course_lib.experience.rollout import Collector
from course_lib.training.train import resume, train

TINY = PPOSettings(n_envs=2, horizon=12, epochs=1, minibatch_size=16, hidden=(8,))


class Plain(gym.Env):
    """Shows [episode, step]; 8 steps long; the first episode of an instance is number 0."""

    observation_space = gym.spaces.Box(-99, 99, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    episode = -1

    def __init__(self, length=8):
        self.length = length

    def look(self):
        return np.array([self.episode, self.t], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.t = self.episode + 1, 0
        return self.look(), {}

    def step(self, action):
        self.t += 1
        return self.look(), 1.0, self.t >= self.length, False, {}


def stay(observations):
    return np.zeros(len(observations), dtype=np.int64)


# --- what is wrong is named ---------------------------------------------------------------------


class NoSeed(Plain):
    def reset(self):
        self.t = 0
        return self.look(), {}


class NoInfo(Plain):
    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self.look()  # two numbers, which unpack into "observation" and "info"


class Nothing(Plain):
    def reset(self, *, seed=None, options=None):
        self.t = 0


class InfoIsNone(Plain):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0], None


class WrongShape(Plain):
    def look(self):
        return np.zeros(3, np.float32)


class OneRow(Plain):
    def look(self):
        return np.zeros((1, 2), np.float32)


class Ragged(Plain):
    def look(self):
        return [[0.0], [0.0, 1.0]]


class Words(Plain):
    def look(self):
        return ["a", "b"]


class NoObservation(Plain):
    def look(self):
        return None


class OwnRandomState(Plain):
    def reset(self, *, seed=None, options=None):
        self.np_random = np.random.RandomState(seed)
        self.episode, self.t = 0, 0
        return self.look(), {}


RESETS = [
    (NoSeed, "reset cannot be called as Gymnasium does.*'seed'"),
    (NoInfo, r"reset returned an array of shape \(2,\); Gymnasium's is reset\("),
    (Nothing, "reset returned None; Gymnasium's is"),
    (InfoIsNone, "reset returned a tuple of 2; .* with a dict as info"),
    (WrongShape, r"reset returned an array of shape \(3,\) as observation.* has shape \(2,\)"),
    (OneRow, r"reset returned an array of shape \(1, 2\) as observation"),
    (Ragged, "reset returned a list of 2 as observation"),
    (Words, "reset returned a list of 2 of type <U1 as observation.*float32"),
    (NoObservation, "reset returned None as observation"),
    (OwnRandomState, "np_random is a RandomState.*super"),
]


@pytest.mark.parametrize(("env", "words"), RESETS)
@pytest.mark.parametrize("route", ["train", "collector"])
def test_a_malformed_reset_is_named_with_its_environment(env, words, route, registered):
    registered(env)
    env_id = f"{env.__name__}-v0"
    make = lambda: gym.make(env_id, disable_env_checker=True)  # noqa: E731
    routes = {
        "train": lambda: train(env_id, TINY, 64, progress=False),
        "collector": lambda: Collector(SyncVectorEnv([make, make], autoreset_mode="SameStep")),
    }
    with pytest.raises(MalformedEnvironmentError, match=rf"^{env_id} \(copy 0\): {words}"):
        routes[route]()


@pytest.fixture
def registered():
    """Registers environment classes as NAME-v0 for a test."""
    ids = []

    def register(*classes, **settings):
        for cls in classes:
            ids.append(f"{cls.__name__}-v0")
            gym.register(ids[-1], entry_point=cls, **settings)

    yield register
    for env_id in ids:
        del gym.registry[env_id]


class OldStep(Plain):
    def step(self, action):
        self.t += 1
        return self.look(), 1.0, self.t >= 8, {}


class RewardInAList(Plain):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, [reward], *rest


class RewardIsNone(Plain):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, None, *rest


class EndIsNone(Plain):
    def step(self, action):
        observation, reward, end, _, info = super().step(action)
        return observation, reward, end, None, info


class ShapeChanges(Plain):
    def look(self):
        return np.zeros(2 if self.t < 3 else 3, np.float32)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (OldStep, "step returned a tuple of 4; Gymnasium's step returns .*old API's done"),
        (RewardInAList, "step returned a list of 1 as reward"),
        (RewardIsNone, "step returned None as reward"),
        (EndIsNone, "step returned a bool and None as terminated and truncated"),
        (ShapeChanges, r"step returned an array of shape \(3,\) as observation"),
    ],
)
def test_a_malformed_step_is_named_in_the_same_words(env, words):
    collector = Collector(make_envs(env, 2))
    with pytest.raises(MalformedEnvironmentError, match=rf"^{env.__name__} \(copy 0\): {words}"):
        collector.collect(stay, 5)


@pytest.mark.parametrize("where", ["reset", "step", "__init__"])
def test_errors_of_the_environments_own_code_are_told_from_malformed_results(where):
    def fail(*arguments, **keywords):
        raise TypeError("a bug of its own")

    broken = type("Broken", (Plain,), {where: fail})
    with pytest.raises(EnvironmentFailedError, match="TypeError: a bug of its own"):
        Collector(make_envs(broken, 2)).collect(stay, 2)


def test_other_vector_environments_are_held_to_their_shapes_at_the_first_reset():
    class Wrong(BatchedCartPole):
        def observe(self, state):
            return np.zeros((self.num_envs, 3), np.float32)

    with pytest.raises(MalformedEnvironmentError, match=r"reset returned observations of shape"):
        Collector(Wrong(2))

    class Late(BatchedCartPole):
        def step(self, actions):
            observations, rewards, *rest = super().step(actions)
            return observations, rewards[:1], *rest

    with pytest.raises(MalformedEnvironmentError, match=r"step returned rewards of shape \(1,\)"):
        Collector(Late(2)).collect(stay, 1)


# --- what is not finite is named before it is acted on ------------------------------------------


class TurnsNaN(Plain):
    what = "observation"

    def step(self, action):
        observation, reward, *rest = super().step(action)
        if self.episode == 1 and self.t == 3:
            if self.what == "reward":
                reward = np.nan
            else:
                observation[1] = np.nan
        return observation, reward, *rest


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_nan_is_an_observation_where_it_is_one_and_never_acted_on(mode):
    seen = []

    def act(observations):
        seen.append(np.isfinite(observations).all())
        return stay(observations)

    collector = Collector(make_envs(TurnsNaN, 2, mode))
    words = (
        r"returned observations that are not finite: \[ 1\. nan\] by TurnsNaN \(copy 0\) after 3 "
    )
    with pytest.raises(FloatingPointError, match=words):
        collector.collect(act, 30)
    assert len(seen) >= 8
    assert all(seen)


def test_nan_rewards_and_last_observations_are_named_by_copy_and_step():
    reward = type("Reward", (TurnsNaN,), {"what": "reward"})
    with pytest.raises(
        FloatingPointError, match=r"rewards .*nan by Reward \(copy 0\) after 3 steps"
    ):
        Collector(make_envs(reward, 2)).collect(stay, 30)

    class LastIsNaN(Plain):
        def step(self, action):
            observation, reward, ended, *rest = super().step(action)
            return np.where(ended, np.nan, observation), reward, ended, *rest

    lengths = iter([9, 4])
    with pytest.raises(FloatingPointError, match=r"final observations .*\(copy 1\) after 4 steps"):
        Collector(make_envs(lambda: LastIsNaN(next(lengths)), 2)).collect(stay, 30)


def test_numbers_beyond_single_precision_are_reported_as_such():
    class Huge(Plain):
        observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)

        def look(self):
            return np.full(2, 1e300)

    with pytest.raises(FloatingPointError, match=r"not finite in float32: as large as 1e\+300"):
        Collector(make_envs(Huge, 2))

    class Rich(Plain):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, 1e300, *rest

    with pytest.raises(FloatingPointError, match=r"rewards that are not finite in float32"):
        Collector(make_envs(Rich, 2)).collect(stay, 2)


def test_a_policy_that_has_diverged_is_told_from_an_environment_that_has():
    class Push(Plain):
        action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    collector = Collector(make_envs(Push, 2))
    with pytest.raises(FloatingPointError, match="policy chose actions that are not finite"):
        collector.collect(lambda o: np.full((2, 1), np.nan, np.float32), 2)


# --- observations that are re-used, or of another type ------------------------------------------


class OneBuffer(Plain):
    """Draws every observation into the same array, as many simulators do."""

    def __init__(self, length=8):
        super().__init__(length)
        self.buffer = np.zeros(2, np.float32)

    def look(self):
        self.buffer[:] = self.episode, self.t
        return self.buffer


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@pytest.mark.parametrize("route", ["make_envs", "SyncVectorEnv"])
def test_a_buffer_that_is_reused_keeps_final_observations(mode, route):
    if route == "make_envs":
        envs = make_envs(OneBuffer, 3, mode)
    else:
        envs = SyncVectorEnv([OneBuffer] * 3, autoreset_mode=mode)
    rollout = Collector(envs).collect(stay, 20)
    assert rollout.final_observations.tolist() == [[0, 8]] * 3 + [[1, 8]] * 3


class Forgetting(Plain):
    """Counts no episodes: what is kept across them would make a resume refuse."""

    def reset(self, *, seed=None, options=None):
        self.episode = -1
        return super().reset(seed=seed, options=options)


class Doubles(Forgetting):
    def look(self):
        return np.array([self.np_random.normal(), self.t / 3])


class Lists(Forgetting):
    def look(self):
        return [float(self.np_random.normal()), self.t]


class Integers(Forgetting):
    observation_space = gym.spaces.Box(0, 255, (2,), np.uint8)

    def look(self):
        return [int(self.np_random.integers(200)), self.t]


@pytest.mark.parametrize("env", [Doubles, Lists, Integers])
def test_other_types_of_observations_train_and_resume(env, registered, tmp_path):
    registered(env)
    whole = train(f"{env.__name__}-v0", TINY, 96, progress=False)
    stop = lambda step, agent: step >= 48  # noqa: E731
    train(
        f"{env.__name__}-v0",
        TINY,
        96,
        progress=False,
        callback=stop,
        checkpoint_dir=tmp_path,
        checkpoint_every=1,
    )
    again = resume(tmp_path, progress=False)
    for p, q in zip(whole.agent.parameters(), again.agent.parameters(), strict=True):
        assert p.tolist() == q.tolist()


def test_fractions_for_a_space_of_integers_are_refused():
    class Halves(Integers):
        def look(self):
            return np.array([0.5, 1.0])

    with pytest.raises(MalformedEnvironmentError, match=r"of type float64.*of uint8"):
        Collector(make_envs(Halves, 1))


# --- factories and specs ------------------------------------------------------------------------


def test_environments_come_from_ids_specs_classes_and_functions(registered):
    registered(Plain)
    spec = gym.spec("Plain-v0")
    assert isinstance(spec, EnvSpec)
    for env in (
        "Plain-v0",
        spec,
        Plain,
        lambda length=8: gym.wrappers.TimeLimit(Plain(length), 99),
    ):
        lengths = []
        for env_kwargs in (None, {"length": 3}):
            envs = make_envs(env, 2, env_kwargs=env_kwargs)
            assert isinstance(envs, ReplayableVectorEnv)
            lengths.append(Collector(envs).collect(stay, 9).episode_lengths[0])
        assert lengths == [8, 3]


def test_a_spec_that_is_the_registered_one_has_the_fast_version():
    assert isinstance(make_envs(gym.spec("CartPole-v1"), 2), BatchedCartPole)
    spec = dataclasses.replace(gym.spec("CartPole-v1"), max_episode_steps=7)
    envs = make_envs(spec, 2)
    assert isinstance(envs, ReplayableVectorEnv)
    rollout = Collector(envs).collect(lambda o: (o[:, 2] > 0).astype(int), 8)
    assert rollout.episode_lengths.tolist() == [7, 7]
    slow = make_envs("CartPole-v1", 1, env_kwargs={"max_episode_steps": 7})
    assert isinstance(slow, ReplayableVectorEnv)
    with pytest.raises(ValueError, match="'numpy' does not"):
        make_envs("CartPole-v1", 1, backend="numpy", env_kwargs={"max_episode_steps": 7})


def test_what_makes_no_environments_is_named(registered):
    one = Plain()
    for env, words in (
        (one, "a function that makes a new one at every call"),
        (lambda: one, "made the same environment twice"),
        (lambda: gym.wrappers.TimeLimit(one, 5), "made the same environment twice"),
        (lambda: None, "must make a gymnasium.Env at every call, not a NoneType"),
        (lambda: BatchedCartPole(2), "must make a gymnasium.Env"),
        (7, "the environment must be an id"),
    ):
        with pytest.raises(ValueError, match=words):
            make_envs(env, 2)
    with pytest.raises(EnvironmentFailedError, match=r"Plain could not be made: .*'lenght'"):
        make_envs(Plain, 2, env_kwargs={"lenght": 3})
    registered(Plain)
    with pytest.raises(EnvironmentFailedError, match=r"Plain-v0 could not be made: .*'lenght'"):
        make_envs("Plain-v0", 2, env_kwargs={"lenght": 3})
    with pytest.raises(ValueError, match="env_kwargs must be a dict"):
        make_envs("Plain-v0", 2, env_kwargs=["length"])
    for wrong in (0, 2.5, "2", True):
        with pytest.raises(ValueError, match="num_envs must be "):
            make_envs("Plain-v0", wrong)


# --- random actions, recordings -----------------------------------------------------------------


def test_copies_and_instances_draw_their_own_random_actions():
    """Spaces that hang on a class share its generator, and batch_space copies it."""
    Plain.action_space.sample()
    first, second = make_envs(Plain, 64), make_envs(Plain, 64)
    assert first.action_space.sample().tolist() != second.action_space.sample().tolist()
    draws = [[env.action_space.sample() for _ in range(32)] for env in first.envs[:2]]
    assert draws[0] != draws[1]
    first.action_space.seed(3)
    second.action_space.seed(3)
    assert first.action_space.sample().tolist() == second.action_space.sample().tolist()


class Endless(Plain):
    def __init__(self):
        super().__init__(length=10**9)


def test_an_endless_episode_is_recorded_no_further_than_a_limit(monkeypatch):
    monkeypatch.setattr(recorder, "MAX_STEPS", 50)
    envs = make_envs(Endless, 2)
    envs.reset(seed=0)
    for _ in range(50):
        envs.step(np.array([1, 0]))
    other = make_envs(Endless, 2)
    np.testing.assert_array_equal(other.set_state(envs.get_state()), [[0, 50]] * 2)
    envs.step(np.array([1, 0]))
    saved = envs.get_state()
    assert [len(copy["actions"]) for copy in saved["copies"].values()] == [0, 0]
    with pytest.raises(
        RuntimeError, match=r"copy 0 .*not recorded: .* more than 50 steps.*TimeLimit"
    ):
        other.set_state(saved)
    envs.reset(seed=1)
    envs.step(np.array([0, 0]))
    assert envs.envs[0].actions.tolist() == [0]  # the next episode is recorded again


def test_replay_notices_rewards_and_ends_that_differ():
    class Moody(Plain):
        mood = 0.0

        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, Moody.mood, *rest

    envs = make_envs(Moody, 1)
    envs.reset(seed=0)
    envs.step(np.array([0]))
    saved = envs.get_state()
    again = make_envs(lambda: Moody(), 1)
    again.set_state(saved)
    Moody.mood = 1.0
    with pytest.raises(RuntimeError, match="did not repeat its running episode"):
        again.set_state(saved)


def test_a_checked_environment_hands_on_what_it_was_given():
    env = CheckedEnv(Plain(2))
    assert env.reset(seed=3)[0].tolist() == [0, 0]
    assert env.step(1)[1:] == (1.0, False, False, {})
    assert env.step(1)[1:] == (1.0, True, False, {})
