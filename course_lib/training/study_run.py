"""One run of a study: train, evaluate on the way and at the end, and tell what happened."""

import dataclasses
import math
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..algorithms import algorithm_of
from ..algorithms.agent import Agent
from ..algorithms.settings import Settings
from .agents import library_versions, save_agent
from .evaluation import evaluate
from .outside import Outside, evaluate_outside, train_outside
from .train import train

#: Columns of `History.updates` that a record keeps, as means between two evaluations.
KEPT = (
    "mean_return",
    "kl",
    "entropy",
    "clip_fraction",
    "effective_sample_size",
    "explained_variance",
    "accepted",
    "value_loss",
)
DIGITS = 5


@dataclass(frozen=True)
class Job:
    """One run of a study.

    Attributes
    ----------
    arm : str
        Name of the arm, which is also its folder.
    env_id : str
    settings : Settings or Outside
        Which algorithm of ours, or which program of others.
    steps, seed : int
    evaluate_every : int
        Environment steps between evaluations.
    episodes, final_episodes : int
        Episodes of each evaluation on the way and of the two at the end.
    keep : bool
        Whether the trained agent is kept beside the record.
    """

    arm: str
    env_id: str
    settings: Settings | Outside
    steps: int
    seed: int
    evaluate_every: int
    episodes: int = 20
    final_episodes: int = 100
    keep: bool = False

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.seed:04d}"

    @property
    def file(self) -> Path:
        """Where its record belongs, below the study's folder."""
        return Path(self.arm) / f"{self.seed:04d}.json"

    def described(self) -> dict[str, Any]:
        """What decides the run's numbers, as plain values."""
        if isinstance(self.settings, Outside):
            algorithm, settings = self.settings.program, self.settings.values
        else:
            algorithm, settings = algorithm_of(self.settings), dataclasses.asdict(self.settings)
            settings["hidden"] = list(settings["hidden"])
        return {
            "arm": self.arm,
            "env_id": self.env_id,
            "algorithm": algorithm,
            "settings": settings,
            "steps": self.steps,
            "seed": self.seed,
            "evaluate_every": self.evaluate_every,
            "episodes": self.episodes,
            "final_episodes": self.final_episodes,
        }


class Watch:
    """The callback of a run: evaluates every so many steps, and keeps what it saw.

    The policy that is evaluated at step k is the one that acts there.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.steps: list[int] = []
        self.means: list[float] = []
        self.spreads: list[float] = []
        self.agent: Any = None
        self.paused = 0.0
        outside = isinstance(job.settings, Outside)
        self.evaluate: Callable[..., NDArray] = evaluate_outside if outside else evaluate
        self.between_calls = _steps_between_calls(job.settings)

    def __call__(self, step: int, agent: Any) -> None:
        self.agent = agent
        due = len(self.steps) * self.job.evaluate_every
        if step + self.between_calls <= due and step < self.job.steps:
            return
        before = time.process_time()
        returns = self.evaluate(agent, self.job.env_id, self.job.episodes, self.job.seed)
        self.steps.append(step)
        self.means.append(float(returns.mean()))
        self.spreads.append(float(returns.std()))
        self.paused += time.process_time() - before


def _steps_between_calls(settings: Settings | Outside) -> int:
    """Environment steps between two calls of a run's callback."""
    if isinstance(settings, Outside):
        return settings.values["n_envs"]
    return settings.n_envs * settings.horizon


def run_job(job: Job) -> dict[str, Any]:
    """Run a job from start to end.

    Returns
    -------
    dict of plain values
        ``job``: what was asked; ``evaluations``: step, mean and standard deviation of the
        deterministic returns; ``final``: returns of the two last evaluations, ``deterministic`` and
        ``sampled``; ``updates``: diagnostics, averaged between evaluations; ``diverged``: why the
        run, or one of those two, stopped by itself, empty if none did; ``made``: seconds, versions,
        commit; ``agent``: files of the trained agent by name, where the job keeps it.

    Raises
    ------
    FloatingPointError
        If not even the first evaluation came to an end: there is nothing to record.
    """
    watch, diverged, rows, final = Watch(job), "", pd.DataFrame(), {}
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        if isinstance(job.settings, Outside):
            train_outside(job.settings, job.steps, job.seed, watch)
        else:
            history = train(
                job.env_id, job.settings, job.steps, job.seed, progress=False, callback=watch
            )
            rows = history.updates
    except FloatingPointError as error:
        if not watch.steps:
            raise
        diverged = str(error)
    seconds = time.process_time() - cpu - watch.paused
    if not diverged:
        try:
            final = final_returns(job, watch)
        except FloatingPointError as error:
            diverged = str(error)
    record: dict[str, Any] = {
        "job": job.described(),
        "evaluations": {
            "step": watch.steps,
            "mean": _rounded(watch.means),
            "std": _rounded(watch.spreads),
        },
        "final": final,
        "updates": between(rows, watch.steps),
        "diverged": diverged,
        "made": {
            "cpu_seconds": round(seconds, 2),
            "wall_seconds": round(time.perf_counter() - wall, 2),
            **versions(),
        },
    }
    if job.keep and isinstance(watch.agent, Agent) and not diverged:
        record["agent"] = agent_files(watch.agent)
    return record


def agent_files(agent: Agent) -> dict[str, bytes]:
    """What `save_agent` writes, by name of file."""
    with tempfile.TemporaryDirectory() as folder:
        save_agent(agent, folder)
        return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.is_file()}


def final_returns(job: Job, watch: Watch) -> dict[str, list[float]]:
    """Returns of fresh episodes of the trained agent, without and with its noise."""
    kinds = {"deterministic": True, "sampled": False}
    return {
        kind: _rounded(
            watch.evaluate(
                watch.agent, job.env_id, job.final_episodes, job.seed, deterministic=quiet
            )
        )
        for kind, quiet in kinds.items()
    }


def between(rows: pd.DataFrame, steps: list[int]) -> dict[str, Sequence[float]]:
    """Means of the diagnostics between evaluations; NaN where there was nothing to average."""
    if rows.empty or len(steps) < 2:
        return {}
    bins = pd.cut(rows["step"], steps, labels=False)
    names = [name for name in KEPT if name in rows]
    means = rows[names].groupby(bins).mean().reindex(range(len(steps) - 1))
    return {"step": steps[1:], **{name: _rounded(means[name]) for name in names}}


def versions() -> dict[str, str]:
    """What the numbers depend on besides the job."""
    root = Path(__file__).resolve().parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        commit = done.stdout.strip()
    except OSError:
        commit = ""
    libraries = library_versions()
    return {
        "course_lib": libraries.pop("course_lib"),
        "commit": commit,
        **libraries,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _rounded(values: Any) -> list[float]:
    """To `DIGITS` significant digits: a record is a few kilobytes."""
    return [
        float(f"{x:.{DIGITS}g}") if math.isfinite(x) else float("nan")
        for x in np.asarray(values, dtype=float).ravel()
    ]
