"""Limits of one run: processor time, memory, file size, descriptors, and a process to itself."""

import contextlib
import mmap
import os
import sys
import time

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MAX_FILE = 2_000_000  # bytes
RESERVE = 2**28  # bytes kept back, so that running out of memory can still be reported
MAX_OPEN = 128  # descriptors; files that are open and removed still take up room
EXTRA_TASKS = 256  # processes and threads beyond those that the user already runs
RESERVED: list[mmap.mmap] = []


def apply(seconds: float, megabytes: int, tasks: int | None = None) -> None:
    """Lower this process's limits for good, where the system has them.

    Parameters
    ----------
    seconds : float
        Processor time; the wall clock is watched from outside.
    megabytes : int
        Memory beyond what the process holds already.
    tasks : int, optional
        Number of processes and threads that the user may have; ignored for root by the kernel.
    """
    if resource is None:
        return
    processor = int(seconds + time.process_time()) + 1
    lower(resource.RLIMIT_CPU, processor, processor + 1)
    lower(resource.RLIMIT_CORE, 0, 0)
    lower(resource.RLIMIT_FSIZE, MAX_FILE, MAX_FILE)
    lower(resource.RLIMIT_NOFILE, MAX_OPEN, MAX_OPEN)
    used = address_space()
    if used is not None:
        # A mapping that nobody touches; giving it back makes room, and needs no right to do so.
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        RESERVED.append(mmap.mmap(-1, RESERVE, flags=kind, prot=mmap.PROT_READ))
        limit = used + RESERVE + megabytes * 2**20
        lower(resource.RLIMIT_AS, limit, limit)
    if tasks is not None:
        lower(resource.RLIMIT_NPROC, tasks, tasks)


def release_reserve() -> None:
    """Make the reserved memory usable, to write down what happened."""
    while RESERVED:
        RESERVED.pop().close()


def lower(which: int, soft: int, hard: int) -> None:
    """Set one limit, never above the limit that is in force already."""
    _, ceiling = resource.getrlimit(which)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them
        resource.setrlimit(which, (soft, hard))


def address_space() -> int | None:
    """Return the bytes of address space in use, or None where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None


def tasks_allowed() -> int | None:
    """Return how many tasks this user may run: those of now, and some more."""
    if not sys.platform.startswith("linux"):
        return None
    count = 0
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and os.stat(f"/proc/{entry}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{entry}/task"))
    return count + EXTRA_TASKS


def adopt_orphans() -> None:
    """On Linux, make this process the parent of its children's orphans, so that none escapes."""
    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def die_with_parent() -> None:
    """On Linux, end this process when the worker that forked it ends."""
    _prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def _prctl(option: int, value: int) -> None:
    """Call Linux's prctl; do nothing elsewhere."""
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = None
if sys.platform.startswith("linux"):
    import ctypes

    with contextlib.suppress(OSError):
        _LIBC = ctypes.CDLL(None)
