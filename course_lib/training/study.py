"""Studies: the same training runs over many seeds, kept one file each, resumed and never repeated.

A study is a small file, ``results/NAME/study.toml``::

    title = "Swing-up: PPO-clip and A2C"
    evaluate_every = 20_000     # environment steps
    episodes = 20               # of each evaluation on the way
    final_episodes = 100        # of the two at the end, one deterministic, one sampled

    [[arms]]
    name = "ppo"
    algorithm = "ppo"
    env = "CartPoleSwingUp-v0"
    steps = 1_000_000
    seeds = [0, 36]             # first, and first that is left out
    keep = [0]                  # seeds whose agent is kept; none if it is left out
    preset = true               # false: from the algorithm's defaults
    settings = {}               # changes to that; "None" as on the command line
    grid = { learning_rate = [1e-3, 2e-3] }  # one arm for each combination

Runs go through Dask's `distributed`: processes on this machine, or a cluster.
"""

import dataclasses
import itertools
import logging
import os
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from ..algorithms import ALGORITHMS
from ..algorithms.presets import preset
from ..algorithms.settings import Settings, changed
from .outside import PROGRAMS, Outside
from .study_records import is_done, write_run
from .study_run import Job, run_job

if TYPE_CHECKING:
    from distributed import Client, Future


@dataclass(frozen=True)
class Study:
    """What is to be run.

    Attributes
    ----------
    title : str
    jobs : tuple of Job
        One for each arm and seed.
    """

    title: str
    jobs: tuple[Job, ...]

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
        return Study(self.title, tuple(job for jobs in kept.values() for job in jobs[:seeds]))


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
        path.name, table, {"title", "evaluate_every", "arms"}, {"episodes", "final_episodes"}
    )
    shared = {k: table[k] for k in ("evaluate_every", "episodes", "final_episodes") if k in table}
    jobs: list[Job] = []
    for arm in _arms_of_grids(path.name, table["arms"]):
        name = arm["name"]
        where = f"{path.name}, arm {name}"
        if any(job.arm == name for job in jobs):
            raise ValueError(f"{where}: another arm has this name")
        try:
            settings = _settings(arm)
            first, end = arm["seeds"]
            kept = set(arm.get("keep", []))
            jobs += [
                Job(name, arm["env"], settings, arm["steps"], seed, keep=seed in kept, **shared)
                for seed in range(first, end)
            ]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
    return Study(table["title"], tuple(jobs))


def _arms_of_grids(file: str, arms: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The arms, one for each point of a grid, named after it."""
    for arm in arms:
        required = {"name", "algorithm", "env", "steps", "seeds"}
        where = f"{file}, arm {arm.get('name', 'without a name')}"
        _check_keys(where, arm, required, {"settings", "keep", "preset", "grid"})
        grid = arm.get("grid", {})
        if not all(isinstance(values, list) for values in grid.values()):
            raise ValueError(f"{where}: grid needs lists of values, not {grid}")
        for values in itertools.product(*grid.values()):
            point = dict(zip(grid, values, strict=True))
            name = "-".join([arm["name"], *(f"{k}={v}" for k, v in point.items())])
            yield {**arm, "name": name, "settings": {**arm.get("settings", {}), **point}}


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


def run_study(
    study: Study,
    folder: str | os.PathLike,
    *,
    processes: int = 2,
    dask: str | None = None,
    progress: bool = True,
    run: Callable[[Job], dict[str, Any]] = run_job,
) -> dict[Job, str]:
    """Run what is missing, two runs at a time, and keep each result as soon as it is there.

    Parameters
    ----------
    study : Study
    folder : path
        Where the runs' files go: ``ARM/SEED.json``. A killed study goes on from what is there.
    processes : int, at least 1
        Runs at the same time on this machine.
    dask : str, optional
        Address of a Dask scheduler, such as ``tcp://10.0.0.7:8786``, to use its workers instead.
    progress : bool
        Show a bar with an estimate of the time left.
    run : callable
        Turns a job into its record, in a worker.

    Returns
    -------
    dict
        The jobs that did not come to an end, and why: they killed their worker again and again, or
        raised an error that is not the run's own. A run that diverges does end.

    Raises
    ------
    ValueError
        If the folder holds a run of the same name with other settings.
    OSError
        If the scheduler cannot be reached.
    """
    folder = Path(folder)
    waiting = deque(job for job in study.jobs if not is_done(job, folder))
    failed: dict[Job, str] = {}
    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(
                total=sum(job.steps for job in study.jobs),
                initial=sum(job.steps for job in study.jobs) - sum(job.steps for job in waiting),
                unit="step",
                unit_scale=True,
                desc=folder.name,
                disable=not progress or bool(os.environ.get("TQDM_DISABLE")),
            )
        )
        if not waiting:
            return failed
        client = stack.enter_context(connect(processes, dask))
        for job, outcome in _outcomes(client, waiting, run):
            if isinstance(outcome, dict):
                write_run(outcome, folder / job.file)
            else:
                failed[job] = outcome
            bar.update(job.steps)
    return failed


def _outcomes(
    client: "Client", waiting: deque[Job], run: Callable[[Job], dict[str, Any]]
) -> Iterator[tuple[Job, dict | str]]:
    """Each job with its record, or with the reason why there is none, as they end.

    No more jobs are handed out than there are workers: a worker that dies takes one run with it,
    and nobody else's is suspected.
    """
    from distributed import as_completed

    running: dict[Future, Job] = {}
    completed = as_completed()

    def fill() -> None:
        slots = sum(worker["nthreads"] for worker in client.scheduler_info(-1)["workers"].values())
        while waiting and len(running) < max(1, slots):
            job = waiting.popleft()
            future = client.submit(run, job, pure=False, key=f"{job.name}-{os.urandom(4).hex()}")
            running[future] = job
            completed.add(future)

    fill()
    while running:
        future = next(completed)
        job = running.pop(future)
        error = future.exception()
        yield job, future.result() if error is None else f"{type(error).__name__}: {error}"
        future.release()
        fill()


@contextmanager
def connect(processes: int, dask: str | None) -> Iterator["Client"]:
    """A client of a scheduler elsewhere, or of worker processes that live as long as this."""
    from dask import config
    from distributed import Client, LocalCluster

    if dask is not None:
        with Client(dask, timeout="10s") as client:
            client.wait_for_workers(1, timeout=60)
            yield client
        return
    # A run that took two workers with it will take a third.
    config.set({"distributed.scheduler.allowed-failures": 1})
    cluster = LocalCluster(
        n_workers=processes,
        threads_per_worker=1,
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
    )
    with cluster, Client(cluster) as client:
        yield client
