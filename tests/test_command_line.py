"""The command line: it trains, it resumes, and it says what was wrong."""

import subprocess
import sys

import pandas as pd
import pytest

from course_lib.algorithms.ppo import PPOSettings
from course_lib.algorithms.presets import preset
from course_lib.algorithms.trpo import TRPOSettings
from course_lib.command_line import main, settings_with
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


def test_wrong_usage_exits_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        run("train", "--algo", "dqn", "--env", "CartPole-v1")
    assert stop.value.code == 2
    assert "invalid choice: 'dqn'" in capsys.readouterr().err


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
