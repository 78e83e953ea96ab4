"""Studies: the same training runs over many seeds, kept one file each, resumed and never repeated.

`study_file` reads what is to be run. Runs go through Dask's `distributed`: processes on this machine,
or a cluster.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from ..kinds import Count, checked
from .study_file import Study
from .study_records import is_done, write_run
from .study_run import Job, run_job

if TYPE_CHECKING:
    from distributed import Client, Future


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
        If the folder holds a run of the same name with other settings, or processes is less than 1.
    OSError
        If the scheduler cannot be reached.
    """
    processes = checked("processes", processes, Count)
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
    ours = {
        # A run that took two workers with it will take a third.
        "distributed.scheduler.allowed-failures": 1,
        # Dask would have workers give memory back at every chance (MALLOC_TRIM_THRESHOLD_), and
        # fetch it again for the next tensor, which made TRPO on swing-up half as dear again.
        "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1},
    }
    with (
        config.set(ours),
        LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # None still asks for 8787, and warns where it is taken
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
