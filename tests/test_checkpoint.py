"""Checkpoints: exact resume, whatever the algorithm, and the last good one kept on any failure."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from course_lib.algorithms import ALGORITHMS
from course_lib.algorithms.ppo import PPOSettings
from course_lib.training import checkpoint
from course_lib.training.checkpoint import load_checkpoint, save_checkpoint
from course_lib.training.evaluation import evaluate
from course_lib.training.train import ResumeWarning, load_agent, resume, train

EVERYTHING_ON = dict(
    n_envs=3,
    horizon=16,
    hidden=(8,),
    learning_rate=1e-2,
    normalize_observations=True,
    observation_clip=5.0,
    scale_rewards=True,
    reward_clip=3.0,
    value_clip_range=0.5,
)
STEPS = 48 * 7


class InterruptedRunError(Exception):
    """Stands for anything that ends a run between two updates."""


def fingerprint(history):
    table = history.updates.drop(columns="seconds")
    weights = [p.detach().numpy().tobytes() for p in history.agent.parameters()]
    moments = [
        (name, x.numpy().tobytes())
        for state in history.agent.optimizer.state_dict()["state"].values()
        for name, x in sorted(state.items())
    ]
    statistics = history.agent.normalizer and history.agent.normalizer.statistics.mean.tobytes()
    memory = dict(history.agent.state)
    return table.to_csv(), history.episodes.to_csv(), weights, moments, statistics, memory


def interrupt_at(limit):
    def callback(step, agent):
        if step >= limit:
            raise InterruptedRunError

    return callback


def interrupted_and_resumed(env_id, settings, directory, steps=STEPS, at=200, every=2):
    with pytest.raises(InterruptedRunError):
        train(
            env_id,
            settings,
            steps,
            seed=5,
            progress=False,
            callback=interrupt_at(at),
            checkpoint_dir=directory,
            checkpoint_every=every,
        )
    done = load_checkpoint(directory)["run"]["updates_done"]
    assert done == -(-at // (settings.n_envs * settings.horizon))  # saved on the way out
    np.random.seed(1)  # noqa: NPY002 (nothing may depend on the global generators)
    torch.manual_seed(1)
    return resume(directory, progress=False)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(name, tmp_path):
    extra = {} if name in ("reinforce", "a2c") else dict(minibatch_size=20)
    settings = ALGORITHMS[name][0](**EVERYTHING_ON, **extra)
    whole = train("CartPoleSwingUp-v0", settings, STEPS, seed=5, progress=False)
    again = interrupted_and_resumed("CartPoleSwingUp-v0", settings, tmp_path)
    assert fingerprint(again) == fingerprint(whole)


@pytest.mark.parametrize("env_id", ["LunarLanderContinuous-v3", "LunarLander-v3", "Pendulum-v1"])
def test_gymnasiums_environments_resume_by_replay(env_id, tmp_path):
    settings = PPOSettings(**EVERYTHING_ON, minibatch_size=20, epochs=2)
    settings = replace(settings, horizon=70)  # LunarLander's episodes last about 100 steps
    whole = train(env_id, settings, 210 * 5, seed=5, progress=False, backend="gymnasium")
    again = interrupted_and_resumed(env_id, settings, tmp_path, 210 * 5, at=600, every=1)
    assert fingerprint(again) == fingerprint(whole)


def test_a_killed_process_is_resumed_exactly(tmp_path):
    settings = PPOSettings(**EVERYTHING_ON, minibatch_size=20)
    code = f"""
import time
from course_lib.algorithms.ppo import PPOSettings
from course_lib.training.train import train
def callback(step, agent):
    if step == 48 * 5:
        print("ready", flush=True)
        time.sleep(600)
settings = {settings!r}
train("CartPole-v1", settings, {STEPS}, 5, False, callback, checkpoint_dir={str(tmp_path)!r},
      checkpoint_every=2)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert load_checkpoint(tmp_path)["run"]["updates_done"] == 4
    whole = train("CartPole-v1", settings, STEPS, seed=5, progress=False)
    assert fingerprint(resume(tmp_path, progress=False)) == fingerprint(whole)


def test_a_finished_run_is_only_read(tmp_path):
    settings = PPOSettings(**EVERYTHING_ON)
    whole = train("CartPole-v1", settings, 96, progress=False, checkpoint_dir=tmp_path)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in tmp_path.iterdir())
    again = resume(tmp_path, progress=False)
    assert fingerprint(again) == fingerprint(whole)
    assert again.updates["seconds"].tolist() == whole.updates["seconds"].tolist()
    assert sorted((p.name, p.stat().st_mtime_ns) for p in tmp_path.iterdir()) == before
    assert len(before) == 4  # the index, one file of arrays, and two tables


def test_a_checkpointed_agent_acts_as_the_one_in_memory(tmp_path):
    settings = PPOSettings(**EVERYTHING_ON)
    history = train("CartPole-v1", settings, 480, progress=False, checkpoint_dir=tmp_path)
    returns = evaluate(history.agent, "CartPole-v1", 5, seed=1)
    assert evaluate(load_agent(tmp_path), "CartPole-v1", 5, seed=1).tolist() == returns.tolist()


def test_training_does_not_overwrite_another_runs_checkpoint(tmp_path):
    settings = PPOSettings(**EVERYTHING_ON)
    train("CartPole-v1", settings, 48, progress=False, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="resume"):
        train("CartPole-v1", settings, 48, progress=False, checkpoint_dir=tmp_path)


# --- failures keep the last checkpoint ----------------------------------------------------------


class Failing(gym.Env):
    """Works for 40 steps of a copy; then its next step goes wrong."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    total = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, dtype=np.float32), {}

    def step(self, action):
        self.total, self.steps = self.total + 1, self.steps + 1
        observation, reward = np.zeros(2, dtype=np.float32), 1.0
        if self.total > 40:
            observation, reward = self.fail(observation, reward)
        return observation, reward, self.steps == 10, False, {}


class NaNReward(Failing):
    def fail(self, observation, reward):
        return observation, float("nan")


class NaNObservation(Failing):
    def fail(self, observation, reward):
        return observation * np.nan, reward


class WrongShape(Failing):
    def fail(self, observation, reward):
        return np.zeros(3, dtype=np.float32), reward


class Dead(Failing):
    def fail(self, observation, reward):
        raise OSError("the simulator is gone")


@pytest.fixture
def failing(request):
    gym.register("Failing-v0", entry_point=request.param)
    yield
    del gym.registry["Failing-v0"]


@pytest.mark.parametrize(
    ("failing", "error", "message"),
    [
        (NaNReward, "FloatingPointError", "step 144: .*rewards"),
        (NaNObservation, "FloatingPointError", "step 144: .*observations"),
        (
            WrongShape,
            "MalformedEnvironmentError",
            r"step 144: .*observation_space has shape \(2,\)",
        ),
        (Dead, "EnvironmentFailedError", "step 144: .*OSError: the simulator is gone"),
    ],
    indirect=["failing"],
)
@pytest.mark.parametrize("switches", [False, True])
@pytest.mark.filterwarnings("ignore::course_lib.training.train.ResumeWarning")
def test_errors_are_named_and_the_last_checkpoint_is_kept(
    failing, error, message, switches, tmp_path
):
    plain = dict(n_envs=3, horizon=16, hidden=(8,))
    settings = PPOSettings(**(EVERYTHING_ON if switches else plain))
    with pytest.raises(Exception, match=message) as caught:
        train(
            "Failing-v0",
            settings,
            STEPS,
            progress=False,
            checkpoint_dir=tmp_path,
            checkpoint_every=1,
        )
    assert type(caught.value).__name__ == error
    assert str(tmp_path) in str(caught.value)
    assert load_checkpoint(tmp_path)["run"]["updates_done"] == 2
    assert all(torch.isfinite(p).all() for p in load_agent(tmp_path).parameters())


def test_weights_that_are_not_finite_do_not_replace_good_ones(tmp_path):
    save_checkpoint(tmp_path, {"policy": {"w": torch.ones(2)}}, 1)
    with pytest.raises(FloatingPointError, match="policy/w"):
        save_checkpoint(tmp_path, {"policy": {"w": torch.full((2,), torch.nan)}}, 2)
    assert load_checkpoint(tmp_path)["policy"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize("x", [np.array(["x"]), np.array([1j]), np.array([1], "M8[D]")])
def test_arrays_of_a_type_that_has_no_place_are_refused(x, tmp_path):
    with pytest.raises(TypeError, match="cannot be saved"):
        save_checkpoint(tmp_path, {"a": x}, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [1, 2])
def test_a_write_that_fails_half_way_keeps_the_last_checkpoint(call, tmp_path, monkeypatch):
    save_checkpoint(tmp_path, {"a": np.arange(3)}, 1)
    replaced, calls = os.replace, []

    def fail(source, target):
        calls.append(target)
        if len(calls) == call:
            raise OSError("no space left")
        replaced(source, target)

    monkeypatch.setattr(checkpoint.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(tmp_path, {"a": np.arange(4)}, 2)
    assert load_checkpoint(tmp_path)["a"].tolist() == [0, 1, 2]
    assert not list(tmp_path.glob(".*"))  # no litter


# --- the files ----------------------------------------------------------------------------------


def test_a_tree_comes_back_as_it_was(tmp_path):
    rng = np.random.default_rng(3)
    tree = {
        "numbers": {"big": 2**127 + 1, "none": None, "text": "x", "list": [1, 2]},
        "arrays": {
            "empty": np.empty((0, 3)),
            "flags": np.array([True, False]),
            "scalar": np.array(0.1),
            "nan": np.array([np.nan, np.inf]),
            "transposed": np.arange(6).reshape(2, 3).T,
            "tensor": torch.arange(3.0),
        },
        "rng": rng.bit_generator.state,
    }
    save_checkpoint(tmp_path, tree, 7)
    back = load_checkpoint(tmp_path)
    assert back["numbers"] == tree["numbers"]
    for name, x in tree["arrays"].items():
        np.testing.assert_array_equal(back["arrays"][name], x)
        assert back["arrays"][name].shape == tuple(x.shape)
    other = np.random.default_rng()
    other.bit_generator.state = back["rng"]
    assert other.random() == rng.random()


def test_damage_is_noticed(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path)
    index = save_checkpoint(tmp_path, {"a": np.arange(3)}, 1)
    (arrays,) = tmp_path.glob("*.safetensors")
    data = arrays.read_bytes()
    arrays.write_bytes(data[:-1] + b"\x07")
    with pytest.raises(ValueError, match="digest"):
        load_checkpoint(tmp_path)
    text = index.read_text()
    index.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(tmp_path)
    index.write_text('{"format": 1, "step": 1}')  # what older versions wrote
    with pytest.raises(ValueError, match="older version"):
        load_checkpoint(tmp_path)
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    save_checkpoint(tmp_path, {"a": np.arange(3)}, 1)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 99"):
        load_checkpoint(tmp_path)


def test_every_flipped_bit_of_the_index_is_noticed(tmp_path):
    """700 of them, at random, and no error but a ValueError of one line that names the file."""
    settings = PPOSettings(**EVERYTHING_ON)
    train("CartPoleSwingUp-v0", settings, 96, progress=False, checkpoint_dir=tmp_path)
    index = tmp_path / checkpoint.INDEX
    good = index.read_bytes()
    rng = np.random.default_rng(0)
    for bit in rng.integers(8 * len(good), size=700):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        index.write_bytes(bad)
        with pytest.raises(ValueError, match=r"\A.*checkpoint\.json is damaged.*\Z"):
            resume(tmp_path, progress=False)


def test_replay_notices_an_environment_with_a_hidden_state(tmp_path):
    class Hidden(Failing):
        def step(self, action):
            Hidden.total += 1
            self.steps += 1
            return np.full(2, Hidden.total, np.float32), 1.0, self.steps == 10, False, {}

    gym.register("Hidden-v0", entry_point=Hidden)
    try:
        settings = PPOSettings(n_envs=2, horizon=5, hidden=(8,))
        with pytest.warns(ResumeWarning, match="Hidden-v0 cannot be resumed"):
            train("Hidden-v0", settings, 10, progress=False, checkpoint_dir=tmp_path)
        with pytest.raises(RuntimeError, match="did not repeat"):
            resume(tmp_path, progress=False, total_steps=20)
    finally:
        del gym.registry["Hidden-v0"]


def test_checkpoints_are_not_too_slow(tmp_path):
    """A checkpoint every ten updates must not be felt: 50 ms is a hundredth of them."""
    settings = PPOSettings(n_envs=3, horizon=16)
    train("CartPole-v1", settings, 96, progress=False, checkpoint_dir=tmp_path)
    tree = load_checkpoint(tmp_path)
    best = min(_seconds(lambda: save_checkpoint(tmp_path, tree, 9)) for _ in range(3))
    assert best < 10  # generous: a busy disk is no fault of ours


def _seconds(action):
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
