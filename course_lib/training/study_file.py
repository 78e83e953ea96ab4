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

import dataclasses
import itertools
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..algorithms import ALGORITHMS
from ..algorithms.presets import preset
from ..algorithms.settings import Settings, changed
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
            If it has no such arm.
        """
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
        If a key is missing or unknown, two arms share a name, or settings are out of range; the
        message names the arm.
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
    shared = {k: table[k] for k in ("evaluate_every", "episodes", "final_episodes") if k in table}
    jobs: list[Job] = []
    for arm in _single_arms(path.name, table["arms"]):
        name = arm["name"]
        where = f"{path.name}, arm {name}"
        if any(job.arm == name for job in jobs):
            raise ValueError(f"{where}: another arm has this name")
        try:
            settings = _settings(arm)
            first, end = arm["seeds"]
            kept = set(arm.get("keep", []))
            often = {**shared, "evaluate_every": arm.get("evaluate_every", table["evaluate_every"])}
            jobs += [
                Job(name, arm["env"], settings, arm["steps"], seed, keep=seed in kept, **often)
                for seed in range(first, end)
            ]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
    return Study(table["title"], tuple(jobs), table.get("solved", {}))


def _single_arms(file: str, arms: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The arms, one for each variant or point of a grid, named after it."""
    for arm in arms:
        required = {"name", "algorithm", "env", "steps", "seeds"}
        where = f"{file}, arm {arm.get('name', 'without a name')}"
        optional = {"settings", "keep", "preset", "evaluate_every", "grid", "variants"}
        _check_keys(where, arm, required, optional)
        grid = arm.get("grid", {})
        if not all(isinstance(values, list) for values in grid.values()):
            raise ValueError(f"{where}: grid needs lists of values, not {grid}")
        if "grid" in arm and "variants" in arm:
            raise ValueError(f"{where}: it has a grid or variants, not both")
        points = [dict(zip(grid, p, strict=True)) for p in itertools.product(*grid.values())]
        changes = [("-".join(f"{k}={v}" for k, v in point.items()), point) for point in points]
        for end, change in list(arm["variants"].items()) if "variants" in arm else changes:
            name = f"{arm['name']}-{end}" if end else arm["name"]
            yield {**arm, "name": name, "settings": {**arm.get("settings", {}), **change}}


def _settings(arm: dict[str, Any]) -> Settings | Outside:
    """An arm's settings: its preset, or its algorithm's defaults, with its changes."""
    if arm["algorithm"] in PROGRAMS:
        if arm["settings"]:
            raise ValueError("other people's programs run with the settings of outside.SETTINGS")
        return Outside(arm["algorithm"], arm["env"])
    if arm.get("preset", True):
        return changed(preset(arm["algorithm"], arm["env"]), arm["settings"])
    if arm["algorithm"] not in ALGORITHMS:
        known = ", ".join([*ALGORITHMS, *PROGRAMS])
        raise ValueError(f"no algorithm {arm['algorithm']!r}; there are: {known}")
    kind, _ = ALGORITHMS[arm["algorithm"]]
    return changed(kind(), arm["settings"])


def _check_keys(where: str, table: dict, required: set[str], optional: set[str]) -> None:
    if missing := required - set(table):
        raise ValueError(f"{where}: {', '.join(sorted(missing))} missing")
    if unknown := set(table) - required - optional:
        known = ", ".join(sorted(required | optional))
        raise ValueError(f"{where}: no key {', '.join(sorted(unknown))}; there are: {known}")
