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

from . import fence, folders, preload
from .outcomes import (
    CRASHED,
    FAILED,
    FINISHED,
    MAX_PARTS,
    MAX_RESULT,
    OUT_OF_TIME,
    OUTPUT,
    READY,
    TIMEOUT,
)

HERE = Path(__file__).resolve().parent
LIBRARY = HERE.parents[2]  # where the library is imported from
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
LOST = -9  # the status where the worker itself was ended
GRACE_SECONDS = START_SECONDS  # for the worker itself, which may have to import it later


class SandboxError(RuntimeError):
    """The sandbox itself cannot work, for want of room perhaps. It is nobody's verdict."""


class Sandbox:
    """Runs submissions one after another; use it as a context manager.

    Parameters
    ----------
    fork : bool, optional
        True: a worker that forks per submission, and another one with torch for those that may
        need it. False: a new process per submission, as on
        Windows and macOS (where forking after importing torch is not safe). Default: by system.
    hidden : tuple of path
        What holds answers, besides the library.
    kernel : bool
        Whether the kernel's fence is used where there is one. Without it only Python's audit hook
        stands, as on other systems; for tests of that hook.
    """

    def __init__(self, fork: bool | None = None, hidden: tuple = (), kernel: bool = True):
        self.fork = sys.platform.startswith("linux") if fork is None else fork
        self.hidden = [str(folder) for folder in hidden]
        self.options = () if kernel else ("--hook-only",)
        self.held = fence.kernel() if kernel else fence.Kernel()
        # A child costs what its worker holds: most jobs need nothing of what is large.
        self._workers: dict[bool, Worker] = {}
        self._worker: Worker | None = None  # the one that ran the last job
        self._scratch: str | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and remove its files."""
        while self._workers:
            self._workers.popitem()[1].end()
        self._worker = None
        if self._scratch is not None:
            folders.remove(self._scratch)
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

        Raises
        ------
        SandboxError
            If there is no room for a folder, or no fence can be put up.

        Notes
        -----
        A crash counts once it has happened twice. The first time the process, or its worker, may
        have been ended from outside: by another program, or by a system that is short of memory.
        Then the second try has a fresh worker.
        """
        for _ in range(2):
            reply = self._try(job)
            if reply["ended"] not in (CRASHED, FAILED):
                break
            if reply["ended"] == FAILED or reply["status"] < 0:
                self._end_worker()
        if reply["ended"] == FAILED:
            reason = reply["result"].decode("utf-8", "replace")[:300]
            raise SandboxError(f"the sandbox cannot work here: {reason}")
        return {**reply, "result": read_result(reply["result"])}

    def _try(self, job: dict) -> dict:
        library = HERE.parent.parent
        try:
            if self._scratch is None:
                self._scratch = tempfile.mkdtemp()
            full = {
                **job,
                "scratch": self._scratch,
                "package": library.name,
                "root": str(library.parent),
                "hidden": [str(library), *self.hidden],
                "modules": preload.modules_for(job),
            }
            return self._run_forked(full) if self.fork else self._run_single(full)
        except OSError as error:
            return {"ended": FAILED, "status": 0, "result": str(error).encode()}

    def _end_worker(self) -> None:
        for large, worker in list(self._workers.items()):
            if worker is self._worker:
                worker.end()
                del self._workers[large]
        self._worker = None

    def _run_forked(self, job: dict) -> dict:
        large = bool(job["modules"])
        if large not in self._workers:
            self._workers[large] = Worker(job["scratch"], *self.options)
        self._worker = self._workers[large]
        reply = self._worker.ask(job, job["seconds"] + GRACE_SECONDS)
        if reply is None:  # the worker was ended: the next submission gets a new one
            return {"ended": CRASHED, "status": LOST, "result": b""}
        header, data = reply
        return {"ended": header["ended"], "status": header["status"], "result": data}

    def _run_single(self, job: dict) -> dict:
        with folders.empty_folder(job["scratch"]) as folder:
            worker = Worker(job["scratch"], *self.options, "--single")
            line = worker.ask({**job, "folder": folder}, job["seconds"])
            late, status = worker.end(patience=0.0 if line is None else 5.0)
        if not worker.started:
            return {"ended": FAILED, "status": 0, "result": b"a worker did not start"}
        if line is None or late:
            return {"ended": TIMEOUT, "status": 0, "result": b""}
        if len(line) > MAX_RESULT:
            return {"ended": OUTPUT, "status": 0, "result": b""}
        ended = TIMEOUT if status == OUT_OF_TIME else FINISHED if line else CRASHED
        return {"ended": ended, "status": status, "result": line}


class Worker:
    """A worker process, with a thread that reads its replies so that no wait is for ever."""

    def __init__(self, scratch: str, *options: str):
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HOME": scratch}
        # Without them, asking for the user's name reads files that stay shut.
        environment |= {"USER": "judge", "LOGNAME": "judge"}
        environment |= {"TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-c", BOOTSTRAP, str(HERE), str(LIBRARY), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            env=environment | library_path(),
            start_new_session=os.name == "posix",
        )
        assert self._process.stdin is not None  # pipes were asked for
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._lines: queue.Queue = queue.Queue()
        self.started = False
        self._single = "--single" in options
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self._replies
        with contextlib.suppress(ValueError, OSError, KeyError):
            if stream.readline(len(READY)) == READY:
                self._lines.put(READY)
                if self._single:
                    self._lines.put(stream.read(MAX_RESULT + 1))
                while not self._single and (line := stream.readline(1000)):
                    header = json.loads(line)
                    self._lines.put((header, stream.read(header["length"])))
        self._lines.put(None)

    def ask(self, job: dict, seconds: float):
        """Send one job; return the reply, or None if none came in time.

        A reply is the report's bytes from a single-use worker, and a header with the report's
        bytes from one that forks.
        """
        try:
            self._requests.write(json.dumps(job).encode() + b"\n")
            self._requests.flush()
            if not self.started:  # its imports are not the submission's time
                self.started = self._lines.get(timeout=START_SECONDS) is not None
                if not self.started:
                    return None
            return self._lines.get(timeout=seconds)
        except (OSError, queue.Empty):
            return None

    def end(self, patience: float = 0.0) -> tuple[bool, int]:
        """End the process; return whether it had to be killed, and its exit status.

        Parameters
        ----------
        patience : float
            Seconds in which it may end by itself. An idle worker has nothing to finish.
        """
        with contextlib.suppress(OSError):
            self._requests.close()
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
        self._replies.close()
        return late, status


def library_path() -> dict:
    """Return the variable that lets a worker import the packages that this process can import."""
    paths = fence.packages_only([path for path in sys.path if path], str(LIBRARY))
    return {"PYTHONPATH": os.pathsep.join(paths)}


def read_result(text: bytes) -> dict | None:
    """Return the child's report as a dict, or None if it is not a report of bounded parts."""
    if text.count(b"[") + text.count(b"{") > MAX_PARTS:
        return None
    try:
        result = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return result if isinstance(result, dict) else None
