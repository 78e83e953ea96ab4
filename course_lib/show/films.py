"""Films of learning: ``python -m course_lib.show.films results/films`` (what ``make films`` runs).

One film for each algorithm and task, with its preset and seed 0, good or bad. It shows the agent before
training, after half of it and after all of it, side by side, from the same start and without noise.
"""

import argparse
import copy
import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ..algorithms import ALGORITHMS, completed
from ..algorithms.agent import Agent
from ..algorithms.presets import preset
from ..files import write_atomically
from ..training.lock import locked
from ..training.study_run import versions
from ..training.train import train
from .outcomes import play
from .side_by_side import encode_panels

#: Name of a task -> its environment, and how long the ladder trains on it.
TASKS = {
    "cartpole": ("CartPole-v1", 200_000),
    "swingup": ("CartPoleSwingUp-v0", 1_000_000),
    "lander": ("LunarLanderContinuous-v3", 1_000_000),
}
STARTS = 20  # seeds 0 to 19 of the environment; the film shows the first


@dataclass(frozen=True)
class Shot:
    """A film to be made.

    Attributes
    ----------
    task : str
        One of `TASKS`.
    algorithm : str
    steps : int
        Environment steps of training.
    seed : int
        Of training.
    """

    task: str
    algorithm: str
    steps: int
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.task}-{self.algorithm.replace('_', '-')}"

    @property
    def env_id(self) -> str:
        return TASKS[self.task][0]

    def described(self) -> dict[str, Any]:
        """What decides the film, as plain values."""
        settings = dataclasses.asdict(preset(self.algorithm, self.env_id))
        asked = {**dataclasses.asdict(self), "env_id": self.env_id}
        return {**asked, "settings": {**settings, "hidden": list(settings["hidden"])}}


def three_agents(shot: Shot) -> list[tuple[int, Agent]]:
    """Train: the steps done and the agent, before, after half and after all of them."""
    kept: list[tuple[int, Agent]] = []

    def keep(step: int, agent: Agent) -> None:
        while len(kept) < 3 and step >= len(kept) * shot.steps / 2:
            kept.append((step, copy.deepcopy(agent)))

    settings = preset(shot.algorithm, shot.env_id)
    train(shot.env_id, settings, shot.steps, shot.seed, progress=False, callback=keep)
    return kept


def make_film(shot: Shot, folder: Path) -> dict[str, Any]:
    """Train, play and write a film: the GIF, its last frame as a PNG and, last, the record as JSON.

    Returns
    -------
    dict of plain values
        ``job``: what was asked; ``moments``: of the three agents, the steps trained, the mean return
        and all `STARTS` episodes; ``bytes`` and ``frames_per_second`` of the GIF; ``made``.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    films, moments, heads, ends = [], [], [], []
    for step, agent in three_agents(shot):
        plays = [play(agent, shot.env_id, start, drawn=start == 0) for start in range(STARTS)]
        films.append(plays[0][0])
        found = [episode for _, episode in plays]
        mean = round(float(np.mean([episode["return"] for episode in found])), 2)
        moments.append({"step": step, "mean_return": mean, "starts": found})
        heads.append(f"{step:,} steps" if step else "before")
        ends.append(f"return {found[0]['return']:.0f}".replace("-", "\N{MINUS SIGN}"))
    gif, still, rate = encode_panels(films, frames_per_second(shot.env_id), heads, ends)
    record = {
        "job": shot.described(),
        "moments": moments,
        "bytes": len(gif),
        "frames_per_second": rate,
        "made": {
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "wall_seconds": round(time.perf_counter() - wall, 1),
            **versions(),
        },
    }
    text = json.dumps(record, indent=1) + "\n"
    for suffix, data in ((".gif", gif), (".png", still), (".json", text.encode())):
        write_atomically(folder / f"{shot.name}{suffix}", data)
    return record


def frames_per_second(env_id: str) -> float:
    """How many steps of an environment are a second of its time."""
    env = gym.make(env_id, disable_env_checker=True)
    env.close()
    return float(env.metadata["render_fps"])


def is_made(shot: Shot, folder: Path) -> bool:
    """Whether a film is there, whole.

    Raises
    ------
    ValueError
        If one of its name is, but with other settings or steps.
    """
    files = [folder / f"{shot.name}{suffix}" for suffix in (".json", ".gif", ".png")]
    if not all(file.is_file() for file in files):
        return False
    found, asked = json.loads(files[0].read_text())["job"], shot.described()
    found["settings"] = completed(shot.algorithm, found["settings"])
    if differs := [key for key in asked if found.get(key) != asked[key]]:
        raise ValueError(
            f"{files[0]} is of a film with another {', '.join(differs)}, perhaps of an earlier preset: "
            "move it away, and it will be made again"
        )
    return True


def make_films(shots: Sequence[Shot], folder: Path) -> None:
    """Make what is missing, one film at a time; another process that tries as well is refused."""
    with locked(folder):
        for shot in shots:
            if not is_made(shot, folder):
                record = make_film(shot, folder)
                means = ", ".join(f"{m['mean_return']:.1f}" for m in record["moments"])
                print(
                    f"{shot.name}: mean returns {means}; {record['bytes'] / 1000:.0f} kB",
                    flush=True,
                )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and make what is missing."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.show.films", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    chosen = parser.parse_args(arguments)
    shots = [
        Shot(task, algorithm, TASKS[task][1])
        for task in chosen.tasks
        for algorithm in chosen.algorithms
    ]
    make_films(shots, chosen.folder)


if __name__ == "__main__":
    main()
