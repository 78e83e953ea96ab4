"""The command line: it trains, it resumes, and it says what was wrong."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

from course_lib import __version__
from course_lib.algorithms.ppo import PPOSettings
from course_lib.algorithms.presets import PRESETS, preset
from course_lib.algorithms.trpo import TRPOSettings
from course_lib.command_line import main, settings_with
from course_lib.command_line.commands import default_folder
from course_lib.training import evaluate, has_checkpoint, keeper, load_agent
from course_lib.training.checkpoint import load_checkpoint, step_of_checkpoint
from course_lib.training.train import resume, train

SMALL = ["--set", "n_envs=4", "--set", "horizon=32", "--set", "hidden=(8,)"]


def run(*arguments):
    return main([*map(str, arguments)])


def test_a_process_trains_and_leaves_history_and_checkpoint(tmp_path):
    command = ["train", "--algo", "trpo", "--env", "CartPoleSwingUp-v0", "--seed", "3"]
    command += ["--steps", "300"]
    done = subprocess.run(
        [sys.executable, "-m", "course_lib", *command, *SMALL, "--out", str(tmp_path / "a")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "3/3" in done.stderr  # the progress bar
    assert "mean return" in done.stdout
    settings = preset("trpo", "CartPoleSwingUp-v0")
    settings = settings_with(settings, ["n_envs=4", "horizon=32", "hidden=(8,)"])
    expected = train("CartPoleSwingUp-v0", settings, 300, seed=3, progress=False)
    table = pd.read_csv(tmp_path / "a" / "updates.csv")
    pd.testing.assert_frame_equal(
        table.drop(columns="seconds"), expected.updates.drop(columns="seconds"), check_dtype=False
    )
    assert list(pd.read_csv(tmp_path / "a" / "episodes.csv")) == ["step", "return", "length"]
    assert resume(tmp_path / "a", progress=False).settings == settings


def test_resume_goes_on_and_quiet_is_quiet(tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["train", "--algo", "a2c", "--env", "CartPole-v1", "--steps", "600", "--out", out]
    assert run(*arguments, *SMALL, "--quiet") == 0
    (out / "updates.csv").unlink()
    assert run("resume", out, "--quiet") == 0
    assert len(pd.read_csv(out / "updates.csv")) == 5
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "NoSuchTask-v0"], "NoSuchTask"),
        (["--env", "CartPole-v1", "--set", "gama=0.9"], "no 'gama' (did you mean gamma?); there"),
        (["--env", "CartPole-v1", "--set", "gamma"], "name=value"),
        (["--env", "CartPole-v1", "--set", "gamma=high"], "gamma must be a number, not 'high'"),
        (["--env", "CartPole-v1", "--set", "gamma=1.5"], "gamma must lie in"),
        (["--env", "CartPole-v1", "--set", "n_envs=1.5"], "n_envs must be an integer, not 1.5"),
        (["--env", "FrozenLake-v1"], "flat Box"),
    ],
)
def test_mistakes_are_named(arguments, message, tmp_path, capsys):
    assert run("train", "--algo", "ppo", *arguments, "--out", tmp_path / "x", "--quiet") == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("x/*"))


def test_a_run_is_not_overwritten_and_a_missing_one_not_resumed(tmp_path, capsys):
    arguments = ["train", "--algo", "ppo", "--env", "CartPole-v1", "--steps", "100", "--quiet"]
    assert run(*arguments, *SMALL, "--out", tmp_path) == 0
    assert run(*arguments, *SMALL, "--out", tmp_path) == 1
    assert "resume it" in capsys.readouterr().err
    assert run("resume", tmp_path / "nothing") == 1
    assert "no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--algo", "dqn", "--env", "CartPole-v1"], "invalid choice: 'dqn'; there are: r"),
        (["train", "--algo", "ppoo", "--env", "x"], "'ppoo' (did you mean ppo?)"),
        (["train", "--algo", "ppo", "--env", "x", "--sed", "1"], "--sed (did you mean --seed?)"),
        (["train", "--algo", "ppo", "--env", "x", "--steps", "1.5"], "100_000 or 1e5"),
        (["train", "--algo", "ppo", "--env", "x", "--steps", "0"], "must be at least 1"),
        (["train", "--algo", "ppo", "--env", "x", "--seed", "-1"], "must be at least 0"),
        (["train", "--algo", "ppo"], "required: --env"),
        (["trian"], "(did you mean train?)"),
        ([], "say what to do: train, resume, evaluate, film, plot"),
    ],
)
def test_wrong_usage_exits_with_2_and_shows_the_usage_once(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("usage:") == 1
    assert said.count("\n") == 3  # usage, error, where more is said
    assert "--help says more" in said


@pytest.mark.parametrize("steps", ["200", "2e2", "2_00", "200.0e0"])
def test_a_number_of_steps_as_people_write_it(steps, tmp_path):
    arguments = ["train", "--algo", "a2c", "--env", "CartPole-v1", "--steps", steps, "--quiet"]
    assert run(*arguments, *SMALL, "--out", tmp_path) == 0
    assert load_checkpoint(tmp_path)["run"]["total_steps"] == 200


def test_version_and_list(capsys):
    with pytest.raises(SystemExit) as stop:
        run("--version")
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"course-lib {__version__}\n"
    assert run("--list") == 0
    listed = capsys.readouterr().out
    assert all(env_id in listed and name in listed for name, env_id in PRESETS)


@pytest.mark.parametrize(
    ("env_id", "folder"),
    [
        ("CartPole-v1", "ppo-CartPole-v1-3"),
        ("my_package:MyEnv-v0", "ppo-my_package_MyEnv-v0-3"),
        ("ALE/Pong-v5", "ppo-ALE_Pong-v5-3"),
        ('..\\a<b>|"c?*\x00d-v0', "ppo-.._a_b_c_d-v0-3"),
        ("ümlaut-v0", "ppo-_mlaut-v0-3"),
    ],
)
def test_every_system_allows_the_default_folder(env_id, folder):
    assert default_folder("ppo", env_id, 3) == Path("runs") / folder


def test_the_default_folder_is_used(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = "course_lib.registration:CartPoleSwingUp-v1"
    assert run("train", "--algo", "ppo", "--env", module, "--steps", "128", *SMALL) == 0
    assert has_checkpoint("runs/ppo-course_lib.registration_CartPoleSwingUp-v1-0")
    assert "observations and rewards normalised" in capsys.readouterr().out


def test_an_environment_of_the_course_takes_arguments_and_keeps_them(tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["train", "--algo", "ppo", "--env", "CartPoleSwingUp-v1", "--steps", "256", *SMALL]
    assert run(*arguments, "--env-arg", "max_episode_steps=25", "--out", out, "--quiet") == 0
    assert run("resume", out, "--steps", "512", "--quiet") == 0
    assert run("evaluate", out, "--episodes", "2") == 0, capsys.readouterr().err
    lengths = pd.read_csv(out / "episodes.csv")["length"]
    assert lengths.max() == 25
    assert len(lengths) >= 512 // 25 - 4  # each copy is in an episode at the end


def test_a_run_is_evaluated_filmed_plotted_and_goes_on(tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["train", "--algo", "ppo", "--env", "CartPole-v1", "--steps", "640", *SMALL]
    assert run(*arguments, "--evaluate-every", "2", "--out", out, "--quiet") == 0
    assert run("evaluate", out, "--episodes", "3", "--seed", "7") == 0
    expected = evaluate(load_agent(out), "CartPole-v1", 3, seed=7)
    said = capsys.readouterr().out
    assert f"mean return {expected.mean():.1f} over 3 deterministic episodes" in said
    assert run("evaluate", out, "--best", "--sampled") == 0
    assert "20 sampled episodes" in capsys.readouterr().out
    assert run("film", out, "--out", tmp_path / "new" / "x.gif", "--max-steps", "5") == 0
    assert (tmp_path / "new" / "x.gif").read_bytes()[:6] == b"GIF89a"
    assert run("plot", out) == 0
    assert (out / "returns.png").read_bytes()[:4] == b"\x89PNG"
    assert run("resume", out, "--steps", "1e3", "--quiet") == 0
    assert len(pd.read_csv(out / "updates.csv")) == 8
    assert run("resume", out) == 0
    assert "--steps N goes on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "{}/none"], "no checkpoint in"),
        (["plot", "{}/run", "{}/none"], "no checkpoint in"),
        (["film", "{}/run", "--out", "x.mp4"], "must end in .gif"),
        (["evaluate", "{}/run", "--best"], "train with --evaluate-every"),
        (["resume", "{}/run", "--steps", "5"], "has taken 128 steps already"),
        (["plot", "{}/run"], "no episode has ended"),
    ],
)
def test_mistakes_after_training_are_one_line(arguments, message, tmp_path, capsys):
    out = tmp_path / "run"
    swingup = ["train", "--algo", "a2c", "--env", "CartPoleSwingUp-v0", "--steps", "128", *SMALL]
    assert run(*swingup, "--out", out, "--quiet") == 0
    assert run(*(word.format(tmp_path) for word in arguments)) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said


# --- environments and disks of a user's own -------------------------------------------------------


class Hurdle(gym.Env):
    """Fails where it is told to."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, where="nowhere", render_mode=None):
        self.where = where
        if where == "made":
            raise OSError("no license\nserver said: go away")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        if self.where == "reset":
            raise ConnectionError("no answer")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        if self.where == "step" and self.np_random.random() < 0.02:
            raise ConnectionError("lost\nit")
        if self.where == "exit" and self.np_random.random() < 0.02:
            raise SystemExit(3)
        reward = float("nan") if self.where == "nan" and self.t == 3 else 1.0
        return np.zeros(2, np.float32), reward, self.t >= 8 and self.where != "endless", False, {}


@pytest.fixture
def hurdle():
    gym.register("Hurdle-v0", entry_point=Hurdle)
    yield
    del gym.registry["Hurdle-v0"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("made", "could not be made: OSError: no license server said: go away"),
        ("reset", "ConnectionError: no answer"),
        ("step", "ConnectionError: lost it"),
        ("nan", "nan by Hurdle-v0"),
        ("exit", "something called sys.exit(3)"),
    ],
)
def test_an_environments_own_error_is_one_line(where, message, hurdle, tmp_path, capsys):
    arguments = ["--env", "Hurdle-v0", "--env-arg", f"where={where}", "--steps", "1e4", "--quiet"]
    assert run("train", "--algo", "ppo", *arguments, *SMALL, "--out", tmp_path / "x") == 1
    *warnings, error = capsys.readouterr().err.strip().split("\n")
    assert all(line.startswith("warning: Hurdle-v0 may not be resumed") for line in warnings)
    assert error.startswith("error: ")
    assert message in error
    if where in ("step", "nan", "exit"):
        assert f"to go on: python -m course_lib resume {tmp_path / 'x'}" in error
        assert has_checkpoint(tmp_path / "x")


def test_an_agent_that_never_ends_an_episode_is_told(hurdle, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("course_lib.training.evaluation.MAX_STEPS", 20)
    arguments = ["--env", "Hurdle-v0", "--env-arg", "where=endless", "--steps", "256"]
    assert run("train", "--algo", "ppo", *arguments, *SMALL, "--out", tmp_path) == 1
    said = capsys.readouterr()
    assert "no episode ended in 256 steps" in said.out
    assert "only its evaluation failed" in said.err


def test_what_cannot_be_resumed_is_said_and_the_way_out_works(tmp_path, capsys):
    arguments = ["train", "--algo", "ppo", "--env", "BipedalWalker-v3", "--steps", "256", "--quiet"]
    assert run(*arguments, *SMALL, "--out", tmp_path) == 0
    assert "warning: BipedalWalker-v3 cannot be resumed bit for bit" in capsys.readouterr().err
    assert run("resume", tmp_path, "--steps", "512", "--quiet") == 1
    said = capsys.readouterr().err
    assert f"resume {tmp_path}" in said
    assert run("resume", tmp_path, "--steps", "512", "--fresh-episodes", "--quiet") == 0
    assert len(pd.read_csv(tmp_path / "updates.csv")) == 4


def test_a_disk_that_fails_is_one_line_and_loses_nothing(tmp_path, capsys, monkeypatch):
    saved = keeper.save_checkpoint

    def full(directory, tree, step):
        if step > 256:
            raise OSError(28, "No space left on device")
        return saved(directory, tree, step)

    monkeypatch.setattr(keeper, "save_checkpoint", full)
    arguments = ["train", "--algo", "a2c", "--env", "CartPole-v1", "--steps", "900", "--quiet"]
    every = ["--checkpoint-every", "1"]
    assert run(*arguments, *SMALL, *every, "--out", tmp_path) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "No space left on device" in error
    assert "is of step 256" in error
    monkeypatch.undo()
    assert run("resume", tmp_path, "--quiet") == 0
    assert len(pd.read_csv(tmp_path / "updates.csv")) == 8


def test_a_folder_that_is_a_file_is_named(tmp_path, capsys):
    (tmp_path / "x").write_text("mine")
    arguments = ["train", "--algo", "a2c", "--env", "CartPole-v1", "--steps", "128", "--quiet"]
    assert run(*arguments, *SMALL, "--out", tmp_path / "x") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path / "x") in error
    assert (tmp_path / "x").read_text() == "mine"


def test_a_traceback_is_shown_on_request(tmp_path, capsys):
    assert run("evaluate", tmp_path, "--traceback") == 1
    assert "Traceback" in capsys.readouterr().err


def test_every_flipped_bit_is_one_line(tmp_path, capsys):
    arguments = ["train", "--algo", "a2c", "--env", "CartPole-v1", "--steps", "128", "--quiet"]
    assert run(*arguments, *SMALL, "--out", tmp_path) == 0
    index = tmp_path / "checkpoint.json"
    good = bytearray(index.read_bytes())
    for bit in range(0, 8 * len(good), 997):
        bad = good.copy()
        bad[bit // 8] ^= 1 << bit % 8
        index.write_bytes(bad)
        command = ("resume", "evaluate", "plot")[bit % 3]
        assert run(command, tmp_path) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_prints_the_command_that_goes_on(number, tmp_path):
    out = tmp_path / "a run"
    command = ["train", "--algo", "ppo", "--env", "CartPole-v1", "--steps", "1e8", "--quiet"]
    child = subprocess.Popen(
        [sys.executable, "-m", "course_lib", *command, *SMALL, "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while step_of_checkpoint(out) in (None, 0):  # the first ten updates
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.05)
    finally:
        child.send_signal(number)
        said = child.communicate(timeout=120)[1]
    assert child.returncode == 128 + number
    assert "Traceback" not in said
    assert said.strip().endswith(f"; to go on: python -m course_lib resume '{out}'")
    step = step_of_checkpoint(out)
    assert f"stopped after {step:,} steps" in said
    assert pd.read_csv(out / "updates.csv")["step"].iloc[-1] == step


def test_values_are_read_by_kind():
    changed = settings_with(
        PPOSettings(),
        ["hidden=(32, 16)", "max_kl=0.02", "activation=relu", "max_grad_norm=None", "gamma=1"],
    )
    assert changed == PPOSettings(
        hidden=(32, 16), max_kl=0.02, activation="relu", max_grad_norm=None, gamma=1
    )
    with pytest.raises(ValueError, match="normalize_advantages"):
        settings_with(TRPOSettings(), ["normalize_advantages=1"])
