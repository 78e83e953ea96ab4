"""The file of a study: what is to be run.

A study is a small file, ``results/NAME/study.toml``::

    title = "Swing-up: PPO-clip and A2C"
    evaluate_every = 20_000     # environment steps
    episodes = 20               # of each evaluation on the way
    solved = { CartPoleSwingUp-v0 = 330 }  # a final mean return below has failed
    final_episodes = 100        # of the two at the end, one deterministic, one sampled

    [[arms]]
    name = "ppo"
    algorithm = "ppo"
    env = "CartPoleSwingUp-v0"
    steps = 1_000_000
    seeds = [0, 36]             # first, and first that is left out
    keep = [0]                  # seeds whose agent is kept; none if it is left out
    preset = true               # false: from the algorithm's defaults
    evaluate_every = 50_000     # if this arm's evaluations are dearer than the others'
    settings = {}               # changes to that; "None" as on the command line
    grid = { learning_rate = [1e-3, 2e-3] }  # one arm for each combination
    variants = { a = {}, b = { gamma = 0.9 } }  # one arm for each of these changes
"""

import contextlib
import dataclasses
import itertools
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..algorithms import ALGORITHMS
from ..algorithms.presets import preset
from ..algorithms.settings import Settings, changed
from ..kinds import Count, Natural, checked
from .outside import PROGRAMS, Outside
from .study_run import Job


@dataclass(frozen=True)
class Study:
    """What is to be run.

    Attributes
    ----------
    title : str
    jobs : tuple of Job
        One for each arm and seed.
    solved : dict
        Environment id -> the final mean return below which a run has failed.
    """

    title: str
    jobs: tuple[Job, ...]
    solved: Mapping[str, float] = field(default_factory=dict)

    def smaller(
        self,
        seeds: int | None = None,
        steps: int | None = None,
        arms: Sequence[str] | None = None,
    ) -> "Study":
        """The same with the first ``seeds`` seeds of some arms, and at most ``steps`` steps a run.

        Raises
        ------
        ValueError
            If it has no such arm, or seeds or steps are less than 1.
        """
        seeds, steps = checked("seeds", seeds, Count | None), checked("steps", steps, Count | None)
        kept: dict[str, list[Job]] = {}
        for job in self.jobs:
            kept.setdefault(job.arm, []).append(job)
        if arms is not None:
            if unknown := set(arms) - set(kept):
                raise ValueError(
                    f"no arm {', '.join(sorted(unknown))}; there are: {', '.join(kept)}"
                )
            kept = {arm: kept[arm] for arm in arms}
        if steps is not None:
            kept = {
                arm: [dataclasses.replace(j, steps=min(j.steps, steps)) for j in jobs]
                for arm, jobs in kept.items()
            }
        jobs = tuple(job for jobs in kept.values() for job in jobs[:seeds])
        return dataclasses.replace(self, jobs=jobs)


def read_study(file: str | os.PathLike) -> Study:
    """Read a study from its file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a key is missing or unknown, two arms share a name, or a value is of another kind or out
        of range; the message names the arm and the key.
    """
    path = Path(file)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    _check_keys(
        path.name,
        table,
        {"title", "evaluate_every", "arms"},
        {"episodes", "final_episodes", "solved"},
    )
    with _named(path.name):
        title = checked("title", table["title"], str)
        shared: dict[str, int] = {
            key: checked(key, table[key], Count)
            for key in ("evaluate_every", "episodes", "final_episodes")
            if key in table
        }
        solved = _table("solved", table.get("solved", {}))
        for env_id, bar in solved.items():
            checked(f"solved.{env_id}", bar, float)
        if not isinstance(table["arms"], list) or not table["arms"]:
            raise ValueError("it has no arms: each of them begins with [[arms]]")
    jobs: list[Job] = []
    for arm in _single_arms(path.name, table["arms"]):
        with _named(f"{path.name}, arm {arm['name']}"):
            if any(job.arm == arm["name"] for job in jobs):
                raise ValueError("another arm has this name")
            jobs += _jobs(arm, shared)
    return Study(title, tuple(jobs), solved)


def _jobs(arm: dict[str, Any], shared: dict[str, int]) -> list[Job]:
    """One arm's runs."""
    if arm["name"] in ("", ".", "..") or re.search(r"[/\\\0]", arm["name"]):
        raise ValueError(f"name must be that of one folder, not {arm['name']!r}")
    seeds, kept = arm["seeds"], arm.get("keep", [])
    if not isinstance(seeds, list) or len(seeds) != 2:
        raise ValueError(f"seeds must be [first, first that is left out], not {seeds!r}")
    first, end = (checked("seeds", seed, Natural) for seed in seeds)
    if first >= end:
        raise ValueError(f"seeds, [first, first that is left out], are none: {seeds!r}")
    if not isinstance(kept, list):
        raise ValueError(f"keep must be a list of seeds, not {kept!r}")
    kept = [checked("keep", seed, Natural) for seed in kept]
    own = {k: checked(k, arm[k], Count) for k in ("evaluate_every",) if k in arm}
    env_id, steps = checked("env", arm["env"], str), checked("steps", arm["steps"], Count)
    settings = _settings(arm)
    return [
        Job(arm["name"], env_id, settings, steps, seed, keep=seed in kept, **{**shared, **own})
        for seed in range(first, end)
    ]


def _single_arms(file: str, arms: list[Any]) -> Iterator[dict[str, Any]]:
    """The arms, one for each variant or point of a grid, named after it."""
    for arm in arms:
        with _named(file):
            _table("an arm", arm)
        required = {"name", "algorithm", "env", "steps", "seeds"}
        where = f"{file}, arm {arm.get('name', 'without a name')}"
        optional = {"settings", "keep", "preset", "evaluate_every", "grid", "variants"}
        _check_keys(where, arm, required, optional)
        with _named(where):
            checked("name", arm["name"], str)
            settings = _table("settings", arm.get("settings", {}))
            ends = _changes(arm)
        for end, change in ends:
            name = f"{arm['name']}-{end}" if end else arm["name"]
            yield {**arm, "name": name, "settings": {**settings, **change}}


def _changes(arm: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What each of an arm's variants or points of a grid changes, after the end of its name."""
    if "grid" in arm and "variants" in arm:
        raise ValueError("it has a grid or variants, not both")
    if "variants" in arm:
        variants = _table("variants", arm["variants"])
        if not variants:
            raise ValueError("variants are none")
        return [(end, _table(f"variants.{end}", change)) for end, change in variants.items()]
    grid = _table("grid", arm.get("grid", {}))
    if not all(isinstance(values, list) and values for values in grid.values()):
        raise ValueError(f"grid needs lists of values, not {grid}")
    points = [dict(zip(grid, p, strict=True)) for p in itertools.product(*grid.values())]
    return [("-".join(f"{k}={v}" for k, v in point.items()), point) for point in points]


def _settings(arm: dict[str, Any]) -> Settings | Outside:
    """An arm's settings: its preset, or its algorithm's defaults, with its changes."""
    checked("algorithm", arm["algorithm"], str)
    if arm["algorithm"] in PROGRAMS:
        if arm["settings"]:
            raise ValueError("other people's programs run with the settings of outside.SETTINGS")
        return Outside(arm["algorithm"], arm["env"])
    if checked("preset", arm.get("preset", True), bool):
        return changed(preset(arm["algorithm"], arm["env"]), arm["settings"])
    if arm["algorithm"] not in ALGORITHMS:
        known = ", ".join([*ALGORITHMS, *PROGRAMS])
        raise ValueError(f"no algorithm {arm['algorithm']!r}; there are: {known}")
    kind, _ = ALGORITHMS[arm["algorithm"]]
    return changed(kind(), arm["settings"])


@contextlib.contextmanager
def _named(where: str) -> Iterator[None]:
    """Say in an error's message which part of the file it is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a table, not {value!r}")
    return value


def _check_keys(where: str, table: dict, required: set[str], optional: set[str]) -> None:
    if missing := required - set(table):
        raise ValueError(f"{where}: {', '.join(sorted(missing))} missing")
    if unknown := set(table) - required - optional:
        known = ", ".join(sorted(required | optional))
        raise ValueError(f"{where}: no key {', '.join(sorted(unknown))}; there are: {known}")
