"""A study that is killed at 20 random moments ends with the tables of one that never was.

``python tests/study_killed_twenty_times.py`` takes some minutes; pytest runs a study that is killed
once (test_study.py). SIGKILL goes to the whole process group, workers too.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from course_lib.training.study_records import load_runs

STUDY = """
title = "Killed"
evaluate_every = 4096
episodes = 4
final_episodes = 8
solved = { CartPoleSwingUp-v0 = 330 }
[[arms]]
name = "ppo"
algorithm = "ppo"
env = "CartPoleSwingUp-v0"
steps = 16_384
seeds = [0, 24]
[[arms]]
name = "a2c"
algorithm = "a2c"
env = "CartPoleSwingUp-v0"
steps = 16_384
seeds = [0, 24]
"""


def start(folder: Path) -> subprocess.Popen:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "course_lib",
        "study",
        str(folder / "study.toml"),
    ]
    return subprocess.Popen(
        [*command, "--processes", "1", "--quiet"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main(kills: int = 20) -> None:
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as root:
        whole, killed = Path(root, "a", "killed"), Path(root, "b", "killed")
        for folder in (whole, killed):
            folder.mkdir(parents=True)
            (folder / "study.toml").write_text(STUDY)
        before = time.perf_counter()
        assert start(whole).wait() == 0
        took = time.perf_counter() - before
        runs, counts = len(load_runs(whole / "runs")), []
        for _ in range(kills):
            process = start(killed)
            until = len(load_runs(killed / "runs")) + rng.choice([0, 1, 1, 2])
            while len(load_runs(killed / "runs")) < until:
                time.sleep(0.05)
            time.sleep(rng.uniform(0.0, 1.0) * took / runs)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            counts.append(len(load_runs(killed / "runs")))
        assert start(killed).wait() == 0
        numbers = [
            json.dumps([{**run, "made": None} for run in load_runs(folder / "runs")])
            for folder in (whole, killed)
        ]
        pages = [(f / "README.md").read_text().replace(str(f), "") for f in (whole, killed)]
        print(f"whole run {took:.0f} s; of {runs} runs there after each kill: {counts}")
        assert counts[-1] < runs, "it had ended before the last kill"
        print(f"equal numbers: {numbers[0] == numbers[1]}, equal tables: {pages[0] == pages[1]}")
        if numbers[0] != numbers[1] or pages[0] != pages[1]:
            sys.exit(1)


if __name__ == "__main__":
    main()
