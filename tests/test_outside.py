"""Other people's programs as arms of a study: their settings are recorded, and they see our episodes."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from course_lib.training.outside import SETTINGS, Outside, _schedule, evaluate_outside
from course_lib.training.study_file import read_study
from course_lib.training.study_run import Job, run_job

STUDY = """
title = "Outside"
evaluate_every = 4096
[[arms]]
name = "theirs"
algorithm = "sb3_trpo"
env = "CartPoleSwingUp-v0"
steps = 8192
seeds = [0, 2]
"""


def test_an_arm_of_another_program_records_its_settings(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(STUDY)
    first, second = read_study(file).jobs
    described = first.described()
    assert described["algorithm"] == "sb3_trpo"
    assert described["settings"] == SETTINGS["sb3_trpo", "CartPoleSwingUp-v0"]
    assert json.loads(json.dumps(described)) == described  # what a record is compared with
    assert len({first, second}) == 2
    file.write_text(STUDY + "settings = { gamma = 0.5 }\n")
    with pytest.raises(ValueError, match="arm theirs: other people's programs run with"):
        read_study(file)
    file.write_text(STUDY.replace("sb3_trpo", "sb3_ddpg"))
    with pytest.raises(ValueError, match="arm theirs: no settings for sb3_ddpg on CartPoleSwing"):
        read_study(file)


def test_reading_a_study_imports_no_other_program():
    code = (
        "import sys; from course_lib.training.study_file import read_study;"
        "read_study('results/ladder/study.toml');"
        "print([m for m in sys.modules if m.startswith(('stable_baselines3', 'sb3_contrib'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_linear_schedule_falls_to_zero():
    assert [_schedule("lin_0.2")(remaining) for remaining in (1.0, 0.5, 0.0)] == [0.2, 0.1, 0.0]
    assert _schedule("MlpPolicy") == "MlpPolicy"


@pytest.mark.filterwarnings("ignore")  # what they warn of is not ours
@pytest.mark.parametrize(
    ("program", "env_id", "steps"),
    [
        ("sb3_ppo", "CartPole-v1", 512),
        ("sb3_trpo", "LunarLanderContinuous-v3", 2048),
        ("sb3_ddpg", "LunarLanderContinuous-v3", 300),
    ],
)
def test_another_program_runs_and_is_evaluated_where_ours_are(program, env_id, steps):
    pytest.importorskip("sb3_contrib", reason="needs pip install -e '.[compare]'")
    job = Job("theirs", env_id, Outside(program, env_id), steps, 3, steps // 2, 2, 3)
    record, again = run_job(job), run_job(job)
    taken = record["evaluations"]["step"]
    assert taken[0] == 0
    assert taken[-1] >= steps
    assert len(taken) == len(set(taken)) >= 3
    assert np.isfinite(record["evaluations"]["mean"]).all()
    assert [len(x) for x in record["final"].values()] == [3, 3]
    assert {**record, "made": None} == {**again, "made": None}


def test_what_looks_on_leaves_the_generators_that_all_share_as_they_were():
    def draw():
        return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002

    class Noisy:
        policy = torch.nn.Linear(1, 1)

        def get_vec_normalize_env(self):
            return None

        def predict(self, observations, deterministic):
            draw()
            return np.zeros(len(observations), int), None

    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    expected = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    assert evaluate_outside(Noisy(), "CartPole-v1", 2, seed=0).shape == (2,)
    assert draw() == expected
