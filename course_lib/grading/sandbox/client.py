"""The judge's side of the sandbox: starts workers, sends jobs, reads plain numbers back."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from .outcomes import CRASHED, FINISHED, MAX_RESULT, OUT_OF_TIME, OUTPUT, READY, TIMEOUT

HERE = Path(__file__).resolve().parent
# Loads this package by path under the name "sandbox"; the library stays unimported.
BOOTSTRAP = """\
import importlib.util, sys
spec = importlib.util.spec_from_file_location(
    "sandbox", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]]
)
sys.modules["sandbox"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from sandbox.worker import main
main()
"""
KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
START_SECONDS = 120.0  # importing torch on a slow, cold disk
GRACE_SECONDS = 30.0  # for the worker itself, which may have to import something slow


class Sandbox:
    """Runs submissions one after another; use it as a context manager.

    Parameters
    ----------
    fork : bool, optional
        True: one worker that forks per submission. False: a new process per submission, as on
        Windows and macOS (where forking after importing torch is not safe). Default: by system.
    hidden : tuple of path
        Folders that hold answers, besides the library.
    """

    def __init__(self, fork: bool | None = None, hidden: tuple = ()):
        self.fork = sys.platform.startswith("linux") if fork is None else fork
        self.hidden = [str(folder) for folder in hidden]
        self._worker: Worker | None = None
        self._scratch: tempfile.TemporaryDirectory | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and remove its files."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def run(self, job: dict) -> dict:
        """Run one job.

        Parameters
        ----------
        job : dict
            ``fragments``, ``function``, ``probes``, ``harness``, ``seconds``, ``megabytes``,
            ``helpers``.

        Returns
        -------
        dict
            ``ended`` (see `outcomes`), ``status`` and ``result`` (a dict, None if it was not JSON).
        """
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        library = HERE.parent.parent
        full = {
            **job,
            "scratch": self._scratch.name,
            "package": library.name,
            "root": str(library.parent),
            "hidden": [str(library), *self.hidden],
        }
        reply = self._run_forked(full) if self.fork else self._run_single(full)
        return {**reply, "result": read_result(reply.pop("result"))}

    def _run_forked(self, job: dict) -> dict:
        if self._worker is None:
            self._worker = Worker(self._scratch.name)
        line = self._worker.ask(job, job["seconds"] + GRACE_SECONDS)
        if line is None:  # the submission took the worker down: the next one gets a new worker
            self._worker.end()
            self._worker = None
            return {"ended": CRASHED, "status": 0, "result": ""}
        return json.loads(line)

    def _run_single(self, job: dict) -> dict:
        with tempfile.TemporaryDirectory(dir=job["scratch"], ignore_cleanup_errors=True) as folder:
            worker = Worker(self._scratch.name, "--single")
            line = worker.ask({**job, "folder": folder}, job["seconds"])
            late, status = worker.end(patience=0.0 if line is None else 5.0)
        if line is None or late:
            return {"ended": TIMEOUT, "status": 0, "result": ""}
        if len(line) > MAX_RESULT:
            return {"ended": OUTPUT, "status": 0, "result": ""}
        ended = TIMEOUT if status == OUT_OF_TIME else FINISHED if line else CRASHED
        return {"ended": ended, "status": status, "result": line}


class Worker:
    """A worker process, with a thread that reads its replies so that no wait is for ever."""

    def __init__(self, scratch: str, *options: str):
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HOME": scratch}
        environment |= {"TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-c", BOOTSTRAP, str(HERE), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            env=environment | library_path(),
            start_new_session=os.name == "posix",
        )
        self._lines: queue.Queue = queue.Queue()
        self._started = False
        self._single = "--single" in options
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self._process.stdout
        with contextlib.suppress(ValueError, OSError):
            if self._single:
                self._lines.put(stream.readline(len(READY)))
                self._lines.put(stream.read(MAX_RESULT + 1))
            else:
                while line := stream.readline(4 * MAX_RESULT):
                    self._lines.put(line)
        self._lines.put(None)

    def ask(self, job: dict, seconds: float) -> str | None:
        """Send one job; return the reply, or None if none came in time."""
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
            if not self._started:  # its imports are not the submission's time
                self._lines.get(timeout=START_SECONDS)
                self._started = True
            line = self._lines.get(timeout=seconds)
        except (OSError, queue.Empty):
            return None
        return None if line is None else line.decode("utf-8", "replace")

    def end(self, patience: float = 0.0) -> tuple[bool, int]:
        """End the process; return whether it had to be killed, and its exit status.

        Parameters
        ----------
        patience : float
            Seconds in which it may end by itself. An idle worker has nothing to finish.
        """
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            status, late = self._process.wait(timeout=patience), False
        except subprocess.TimeoutExpired:
            late = True
            if os.name == "posix":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            status = self._process.wait()
        self._reader.join(timeout=5)
        self._process.stdout.close()
        return late, status


def library_path() -> dict:
    """Return the variable that lets a worker import what this process can import."""
    own = HERE.parent.parent.parent
    paths = [path for path in sys.path if path and Path(path).resolve() != own]
    return {"PYTHONPATH": os.pathsep.join(paths)}


def read_result(text: str) -> dict | None:
    """Return the child's report as a dict, or None if it is not a report."""
    try:
        result = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return result if isinstance(result, dict) else None
