"""The worker process: imports torch once, forks for every submission, watches the clock.

It reads one job per line from its standard input and writes one reply per line to its standard
output, both JSON. It holds no answers, and it never computes with torch itself: forking a process
that has run autograd hangs.
"""

import contextlib
import json
import os
import select
import signal
import sys
import tempfile
import time

from . import child, limits, preload
from .outcomes import CRASHED, FINISHED, MAX_RESULT, OUT_OF_TIME, OUTPUT, READY, TIMEOUT


def main() -> None:
    """Serve jobs until the standard input ends, or a single one with the option ``--single``."""
    sys.dont_write_bytecode = True
    requests, replies = private_streams()
    if "--single" in sys.argv:
        line = requests.readline()
        if "torch" in line:
            import_torch()
        job = json.loads(line)
        preload.preload(preload.text_of(job))
        os.write(replies, READY)
        child.run_job(job, replies, None)
    limits.adopt_orphans()
    import_torch()
    os.write(replies, READY)
    tasks = limits.tasks_allowed()
    for line in requests:
        reply = json.dumps(serve(json.loads(line), tasks)) + "\n"
        with open(replies, "w", encoding="utf-8", closefd=False) as stream:
            stream.write(reply)


def import_torch() -> None:
    """Import torch where it is installed; one thread is enough for small answers."""
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)


def private_streams():
    """Move the two pipes to the judge away from descriptors 0 and 1, which a submission uses."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.dup(1)
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        empty = os.open(os.devnull, mode)
        os.dup2(empty, descriptor)
        os.close(empty)
    return requests, replies


def serve(job: dict, tasks: int | None) -> dict:
    """Fork a child for one job and return how it ended and what it reported."""
    preload.preload(preload.text_of(job))
    with tempfile.TemporaryDirectory(dir=job["scratch"], ignore_cleanup_errors=True) as folder:
        job["folder"] = folder
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                limits.die_with_parent()
                if writing != 3:
                    os.dup2(writing, 3)
                os.closerange(4, 65536)
                child.run_job(job, 3, tasks)
            finally:
                os._exit(1)
        os.close(writing)
        try:
            ended, data, status = supervise(pid, reading, time.monotonic() + job["seconds"])
        finally:
            os.close(reading)
            end_everything(pid)
    return {"ended": ended, "status": status, "result": data.decode("utf-8", "replace")}


def supervise(pid: int, reading: int, deadline: float) -> tuple[str, bytearray, int]:
    """Collect the child's report until it ends, is too long, or the time is over."""
    data, at_end, status = bytearray(), False, None
    while status is None:
        if time.monotonic() > deadline:
            return TIMEOUT, data, 0
        if at_end:
            time.sleep(0.001)
        elif select.select([reading], [], [], 0.02)[0]:
            chunk = os.read(reading, 1 << 16)
            at_end = not chunk
            data += chunk
            if len(data) > MAX_RESULT:
                return OUTPUT, bytearray(), 0
        status = exit_status(pid)
    while select.select([reading], [], [], 0)[0] and len(data) <= MAX_RESULT:
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            break
        data += chunk
    ended = TIMEOUT if status == OUT_OF_TIME else FINISHED if data else CRASHED
    return ended, data, status


def exit_status(pid: int) -> int | None:
    """Return the child's exit status (negative: the signal that ended it), None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def end_everything(pid: int) -> None:
    """Kill the child's session and, on Linux, every orphan that it left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for orphan in children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(orphan, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.001)
        except ChildProcessError:  # none is left
            return


def children() -> list[int]:
    """Return the processes whose parent is this one, as far as the system tells."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []
