"""The worker process: imports what is slow once, forks for every submission, watches the clock.

It reads one job per line from its standard input and writes one reply per line to its standard
output, both JSON. It holds no answers, and it never computes with torch itself: forking a process
that has run autograd hangs.
"""

import contextlib
import gc
import json
import os
import select
import signal
import sys
import time

from . import child, fence, folders, limits, preload
from .outcomes import CRASHED, FAILED, FINISHED, MAX_RESULT, OUT_OF_TIME, OUTPUT, READY, TIMEOUT

START_SECONDS = 60.0  # for a child to put up its fence, however busy the machine is
LOOK_SECONDS = 0.05  # between looks at what the submission writes


def main() -> None:
    """Serve jobs until the standard input ends, or a single one with the option ``--single``."""
    sys.dont_write_bytecode = True
    requests, replies = private_streams()
    library = sys.argv[2]
    sys.path[:] = fence.packages_only(sys.path, library)
    held = fence.Kernel() if "--hook-only" in sys.argv else fence.kernel()
    if "--single" in sys.argv:
        job = json.loads(requests.readline())
        preload.preload(job["modules"])
        child.run_job(job, replies, None, fence.Fence(held, job["hidden"], job["scratch"]))
    limits.adopt_orphans()
    os.write(replies, READY)
    tasks = limits.tasks_allowed()
    own: fence.Fence | None = None
    for line in requests:
        job = json.loads(line)
        preload.preload(job["modules"])
        try:
            own = own or fence.Fence(held, job["hidden"], job["scratch"])
            ended, status, data = serve(job, tasks, own)
        except OSError as error:  # no room for a folder, no process to be had
            ended, status, data = FAILED, 0, str(error).encode()
        header = json.dumps({"ended": ended, "status": status, "length": len(data)})
        with open(replies, "wb", closefd=False) as stream:
            stream.write(header.encode() + b"\n" + data)


def private_streams():
    """Move the two pipes to the judge away from descriptors 0 and 1, which a submission uses."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.dup(1)
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        empty = os.open(os.devnull, mode)
        os.dup2(empty, descriptor)
        os.close(empty)
    return requests, replies


def serve(job: dict, tasks: int | None, own: fence.Fence) -> tuple[str, int, bytes]:
    """Fork a child for one job; return how it ended, its exit status and what it reported."""
    with folders.empty_folder(job["scratch"]) as folder:
        job["folder"] = folder
        reading, writing = os.pipe()
        gc.freeze()  # a child's collector would touch, and so copy, every page of what is imported
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                limits.die_with_parent()
                own.keep_only(writing, 3)
                child.run_job(job, 3, tasks, own)
            finally:
                os._exit(1)
        os.close(writing)
        try:
            return supervise(pid, reading, job["seconds"], folder)
        finally:
            os.close(reading)
            end_everything(pid)


def supervise(pid: int, reading: int, seconds: float, folder: str) -> tuple[str, int, bytes]:
    """Collect the child's report until it ends, is too long, or the time is over.

    The clock starts when the fence is up: a busy machine is no fault of the submission.
    """
    data, at_end, up, status = bytearray(), False, False, None
    deadline = time.monotonic() + START_SECONDS
    look = deadline
    while status is None:
        now = time.monotonic()
        if not up and data.startswith(READY):
            up, deadline, look = True, now + seconds, now + LOOK_SECONDS
        if now > deadline:
            return (TIMEOUT, 0, b"") if up else (FAILED, 0, b"the fence took too long")
        if now > look:
            look = now + LOOK_SECONDS
            if folders.overfull(folder):
                return OUTPUT, 0, b""
        if at_end:
            time.sleep(0.001)
        elif select.select([reading], [], [], 0.02)[0]:
            chunk = os.read(reading, 1 << 16)
            at_end = not chunk
            data += chunk
            if len(data) > len(READY) + MAX_RESULT:
                return OUTPUT, 0, b""
        status = exit_status(pid)
    while select.select([reading], [], [], 0)[0] and len(data) <= len(READY) + MAX_RESULT:
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            break
        data += chunk
    if not data.startswith(READY):
        return FAILED, status, bytes(data) or b"the fence could not be put up"
    report = bytes(data[len(READY) :])
    return TIMEOUT if status == OUT_OF_TIME else FINISHED if report else CRASHED, status, report


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
