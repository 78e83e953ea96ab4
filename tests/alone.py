"""What a reader does who has the wheel and nothing else: train, check an exercise, grade a class.

Run by the Python of an environment that holds the wheel, in an empty folder; no test by itself.
Prints what it found as JSON on its last line.
"""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import course_lib
from course_lib.algorithms.presets import preset
from course_lib.grading import check
from course_lib.grading.first_cell import first_cell
from course_lib.language.study import committed_runs
from course_lib.training import train

GAE = """
import numpy as np

def gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda):
    advantages, running = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * next_values[t] * (1 - terminated[t]) - values[t]
        running = delta + gamma * gae_lambda * (1 - {stop}[t]) * running
        advantages[t] = running
    return advantages
"""
RIGHT = GAE.format(stop="np.maximum(terminated, truncated)")
WRONG = GAE.format(stop="np.zeros_like(rewards)")  # the trace runs on into the next episode

# `pytest exercises/` runs in the repository, and pytest is no dependency of the wheel.
FOR_THE_REPOSITORY = {"course_lib.grading.pytest_plugin"}


def function_of(source):
    """The function that a cell defines."""
    names: dict = {}
    exec(source, names)
    return names["gae"]


def main():
    """Do it all, and say what came out."""
    modules = [m.name for m in pkgutil.walk_packages(course_lib.__path__, "course_lib.")]
    for name in sorted(set(modules) - FOR_THE_REPOSITORY):
        if not name.endswith("__main__"):
            importlib.import_module(name)

    run = train("CartPole-v1", preset("ppo", "CartPole-v1"), 8192, progress=False)

    check(function_of(RIGHT))
    check(function_of(WRONG))

    notebook = {
        "cells": [
            {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
            for source in (first_cell("https://example.org/owner/name"), RIGHT)
        ],
        "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    student = Path("class/ada")
    student.mkdir(parents=True)
    (student / "02_advantage_estimation.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "course_lib.grading", "class", "--json", "class.json"]
    report = subprocess.run(command, capture_output=True, text=True)

    found = {
        "file": course_lib.__file__,
        "version": course_lib.__version__,
        "modules": len(modules),
        "steps": int(run.updates["step"].iloc[-1]),
        "kl": bool(np.isfinite(run.updates["kl"]).all()),
        "language": sorted(committed_runs()),
        "graded": report.returncode,
        "report": report.stdout + report.stderr,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
