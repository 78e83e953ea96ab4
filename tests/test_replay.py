"""Replay: what an environment does not repeat is noticed, said at the start, and refused in words."""

import gymnasium as gym
import numpy as np
import pytest

from course_lib.algorithms.ppo import PPOSettings
from course_lib.experience.envs import ReplayableVectorEnv, recorder
from course_lib.experience.envs.recorder import EpisodeRecorder, ReplayError
from course_lib.experience.envs.visible_state import visible_state
from course_lib.training import resume, train
from course_lib.training.checkpoint import load_checkpoint
from course_lib.training.train import ResumeWarning


class Plain(gym.Env):
    """Episodes of 8 steps that depend on nothing but np_random and the actions."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.rng, self.episodes = np.random.default_rng(7), 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(1, np.float32), self.pay(), self.t >= 8, False, {}

    def pay(self):
        return float(self.np_random.normal())


class OwnGenerator(Plain):
    """The observations are constant; only rewards tell."""

    def pay(self):
        return float(self.rng.normal())


class Curriculum(Plain):
    def reset(self, **keywords):
        self.episodes += 1
        return super().reset(**keywords)

    def pay(self):
        return float(self.episodes)


class LaterCurriculum(Curriculum):
    """A rehearsal is over before it behaves differently: only its counter tells."""

    def pay(self):
        return float(self.episodes > 10_000)


class Unseeded(Plain):
    def pay(self):
        return float(self.observation_space.sample()[0])


class GlobalGenerator(Plain):
    def pay(self):
        return float(np.random.normal())  # noqa: NPY002


class ClassCounter(Plain):
    total = 0

    def pay(self):
        ClassCounter.total += 1
        return float(ClassCounter.total > 1_000_000)


def normalized_rewards():
    return gym.wrappers.NormalizeReward(gym.make("Pendulum-v1"))


def only_reports():
    return gym.wrappers.RecordEpisodeStatistics(gym.make("Pendulum-v1"))


FORGETFUL = [OwnGenerator, Curriculum, LaterCurriculum, Unseeded, GlobalGenerator, ClassCounter]
FORGETFUL += [normalized_rewards, lambda: gym.make("BipedalWalker-v3")]
SETTINGS = PPOSettings(n_envs=2, horizon=11, epochs=1, minibatch_size=16, hidden=(8,))


def stop(step, agent):
    return step >= 66


@pytest.mark.parametrize("env", FORGETFUL)
@pytest.mark.parametrize("horizon", [11, 8])  # with 8, no episode is running at a checkpoint
def test_an_environment_that_does_not_repeat_is_told_at_the_start_and_refused(
    env, horizon, tmp_path
):
    settings = PPOSettings(n_envs=2, horizon=horizon, epochs=1, minibatch_size=16, hidden=(8,))
    run = dict(progress=False, callback=stop, checkpoint_dir=tmp_path)
    with pytest.warns(ResumeWarning, match="cannot be resumed bit for bit"):
        train(env, settings, 22 * 6, **run)
    before = (tmp_path / "checkpoint.json").read_bytes()
    with pytest.raises(ReplayError, match=r"rehearsal.*fresh_episodes=True"):
        resume(tmp_path, progress=False, env=env)
    assert (tmp_path / "checkpoint.json").read_bytes() == before
    history = resume(tmp_path, progress=False, env=env, fresh_episodes=True)
    assert history.updates["step"].iloc[-1] >= 22 * 6
    head = load_checkpoint(tmp_path)["run"]
    assert head["restarts"] == [np.ceil(66 / (2 * horizon))]


@pytest.mark.parametrize("env", FORGETFUL[:6])  # the first episodes of the others are exact
def test_it_is_refused_without_a_rehearsal_too(env, tmp_path, monkeypatch):
    monkeypatch.setattr(ReplayableVectorEnv, "rehearse", lambda envs: None)
    run = dict(progress=False, callback=stop, checkpoint_dir=tmp_path)
    train(env, SETTINGS, 22 * 6, **run)
    with pytest.raises(ReplayError, match="did not repeat"):
        resume(tmp_path, progress=False, env=env)


@pytest.mark.parametrize("env", [Plain, only_reports, "Pendulum-v1", "LunarLander-v3"])
def test_an_environment_that_repeats_is_not_accused(env, tmp_path):
    whole = train(env, SETTINGS, 22 * 6, progress=False, backend="gymnasium")
    train(env, SETTINGS, 22 * 6, progress=False, callback=stop, checkpoint_dir=tmp_path)
    again = resume(tmp_path, progress=False, env=env)
    assert again.episodes.equals(whole.episodes)
    for first, second in zip(again.agent.parameters(), whole.agent.parameters(), strict=True):
        assert (first == second).all()


def test_a_rehearsal_that_fails_is_said_and_does_not_stop_the_run(tmp_path):
    class OneAtATime(Plain):
        def step(self, action):
            if self.np_random_seed == 0:  # what a rehearsal uses
                raise OSError("busy")
            return super().step(action)

    with pytest.warns(ResumeWarning, match="may not be resumed bit for bit: .*OSError: busy"):
        train(OneAtATime, SETTINGS, 22, progress=False, checkpoint_dir=tmp_path)


def test_a_rehearsal_leaves_the_global_generators_alone(tmp_path):
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.normal()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    envs = ReplayableVectorEnv(GlobalGenerator, 1)
    assert envs.rehearse() is not None
    assert np.random.normal() == expected  # noqa: NPY002


def test_a_recording_does_not_grow_without_bound():
    class Endless(Plain):
        def step(self, action):
            return np.zeros(1, np.float32), 0.0, False, False, {}

    envs = EpisodeRecorder(Endless(), max_steps=100)
    envs.reset(seed=0)
    sizes = set()
    for _ in range(1000):
        envs.step(1)
        sizes.add(envs._buffer.nbytes)
    assert max(sizes) <= 128 * 8
    saved = envs.get_state()
    assert len(saved["actions"]) == 0
    with pytest.raises(ReplayError, match="lasted more than 100 steps"):
        EpisodeRecorder(Endless()).set_state(saved)
    envs.reset()
    envs.step(1)
    assert envs.get_state()["obstacle"] is None
    assert recorder.MAX_STEPS == 100_000


def test_a_fresh_start_is_not_the_one_of_the_run(tmp_path):
    env = lambda: gym.make("Pendulum-v1")  # noqa: E731
    train(env, SETTINGS, 22 * 6, progress=False, callback=stop, checkpoint_dir=tmp_path)
    exact = resume(tmp_path, progress=False, env=env, callback=lambda step, agent: True)
    first = exact.agent.normalizer
    assert first is None
    begun = load_checkpoint(tmp_path)["collector"]["observations"]
    fresh = resume(
        tmp_path, progress=False, env=env, fresh_episodes=True, callback=lambda step, agent: True
    )
    assert len(fresh.updates) == len(exact.updates) + 1
    assert not np.array_equal(load_checkpoint(tmp_path)["collector"]["observations"], begun)


def test_what_python_sees_of_an_environment():
    class Wrapped(gym.Wrapper):
        def __init__(self, env):
            super().__init__(env)
            self.statistics = {"mean": np.zeros(2), "seen": [1, 2]}

    env = Wrapped(Plain())
    env.reset(seed=0)
    before = visible_state(env)
    assert visible_state(env) == before
    for name, change in {
        "Wrapped.statistics": lambda: env.statistics["mean"].__setitem__(0, 1e-9),
        "Plain.rng": lambda: env.unwrapped.rng.random(),
        "Plain.episodes": lambda: setattr(env.unwrapped, "episodes", 4),
        "Plain._np_random": lambda: env.unwrapped.np_random.random(),
    }.items():
        change()
        after = visible_state(env)
        assert [n for n in after if after[n] != before[n]] == [name]
        before = after
