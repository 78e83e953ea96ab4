"""The fence that the Linux kernel holds round one submission; nothing in Python can open it.

It is put up in the child, before a line of the submission runs, and a child that cannot put up
what the kernel offers runs nothing. On other systems there is only the audit hook of `guard`.
"""

import ctypes
import os
import platform
import struct
import sys
from dataclasses import dataclass

from . import guard, landlock, seccomp

HERE = os.path.dirname(os.path.realpath(__file__))
NO_NEW_PRIVILEGES, GET_SECCOMP = 38, 21  # of prctl
SECCOMP, CAPSET, FILTER, ALL_THREADS = (317, 277), (126, 91), 1, 1
CAPABILITY_VERSION = 0x20080522
# Libraries, time zones, randomness and the processor: what imports and threads look at.
SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom", "/dev/random",
    "/dev/zero", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"
)  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """What this kernel can hold.

    Parameters
    ----------
    landlock : int
        Landlock's version, 0 without it.
    seccomp : bool
        Whether it filters system calls, on a machine whose calls we know.
    """

    landlock: int = 0
    seccomp: bool = False

    def __bool__(self) -> bool:
        """Tell whether files and system calls are both the kernel's to refuse."""
        return self.landlock > 0 and self.seccomp

    def words(self) -> str:
        """Say which fence stands round a submission."""
        if self:
            return f"the kernel's (Landlock {self.landlock}, seccomp) and an audit hook"
        part = "seccomp and " if self.seccomp else ""
        part = f"Landlock {self.landlock} and " if self.landlock else part
        return f"{part}an audit hook only, which code that calls C gets round (see teaching.md)"


def syscall(number: int, *arguments) -> int:
    """Call the kernel.

    Raises
    ------
    OSError
        With the kernel's error number.
    """
    passed = [v if isinstance(v, bytes | None) else ctypes.c_long(v) for v in arguments]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def kernel() -> Kernel:
    """Return what this system's kernel can hold; asks, and changes nothing."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return Kernel()
    known = platform.machine() in seccomp.MACHINES
    libc = ctypes.CDLL(None, use_errno=True)
    return Kernel(landlock.version(syscall), known and libc.prctl(GET_SECCOMP, 0, 0, 0, 0) == 0)


class Fence:
    """What is decided once for all submissions that a worker runs.

    Parameters
    ----------
    held : Kernel
        What `kernel` returned.
    hidden : list of path
        What stays shut although it lies among the libraries.
    scratch : path
        Where the submissions' own folders are made.
    """

    def __init__(self, held: Kernel, hidden: list[str], scratch: str):
        self.held = held
        self.rules: int | None = None
        self.paths = [guard.frozen_paths()]  # for the one submission of a process to take
        if held.seccomp:
            seccomp.refusals(seccomp.MACHINES[platform.machine()][1])  # kept for all children
        if held.landlock:
            use = landlock.READ | landlock.CHANGE
            rules = [*readable(hidden), (scratch, use), (os.devnull, use)]
            self.rules = landlock.make(syscall, rules)

    def keep_only(self, descriptor: int, number: int) -> None:
        """Give a descriptor its number; close all others but the system's three and the fence's."""
        import fcntl

        copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 64)]
        if self.rules is not None:
            copies.append(fcntl.fcntl(self.rules, fcntl.F_DUPFD, 64))
            self.rules = number + 1
        for place, copy in enumerate(copies, start=number):
            os.dup2(copy, place)
        os.closerange(number + len(copies), 65536)

    def close(self, folder: str) -> None:
        """Fence this process in for good, as far as the kernel can.

        Parameters
        ----------
        folder : str
            The only folder in which files may be made, written and removed.

        Raises
        ------
        OSError
            If the kernel refuses; nothing of a submission may run then.
        """
        if self.held.landlock or self.held.seccomp:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "no_new_privs was refused")
        if self.held.landlock:
            assert self.rules is not None  # made with the fence
            rules = [(folder, landlock.CHANGE), (os.devnull, landlock.CHANGE)]
            landlock.enter(syscall, self.rules)
            writes = landlock.make(syscall, rules, only=landlock.CHANGE)
            landlock.enter(syscall, writes)
            os.close(self.rules)
            os.close(writes)
        if self.held.seccomp:
            filter_calls()


def readable(hidden: list[str]) -> list[landlock.Rule]:
    """Return the rules that open Python, its packages and the system's libraries for reading."""
    prefixes = [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)]
    prefixes.append(os.path.join(sys.prefix, "pyvenv.cfg"))
    places = [*sys.path, *prefixes, *os.environ.get("LD_LIBRARY_PATH", "").split(":"), *SYSTEM]
    real = [os.path.realpath(place) for place in places if place and os.path.exists(place)]
    hidden = [os.path.realpath(path) for path in hidden]
    rules = [rule for place in dict.fromkeys(real) for rule in landlock.all_but(place, hidden)]
    return [*rules, (HERE, landlock.READ)]  # tracebacks quote these sources; no answers in them


def filter_calls() -> None:
    """Give up root's rights, if there are any, and all system calls that no solution needs."""
    _, column = seccomp.MACHINES[platform.machine()]
    syscall(CAPSET[column], struct.pack("=Ii", CAPABILITY_VERSION, 0), bytes(24))
    program = ctypes.create_string_buffer(seccomp.build(platform.machine(), os.getpid()))
    count = (len(program) - 1) // 8
    syscall(
        SECCOMP[column], FILTER, ALL_THREADS, struct.pack("@HP", count, ctypes.addressof(program))
    )


def packages_only(places: list[str], library: str) -> list[str]:
    """Return the places to import from that hold Python itself or installed packages.

    The folder that Python was started in, or that holds this book, is no such place: what lies
    there is nobody's to import.
    """
    kept = []
    for place in places:
        own = os.path.realpath(place) == os.path.realpath(library)
        prefixes = [] if own else [sys.prefix, sys.base_prefix]
        installed = any(landlock.is_below(place, prefix) for prefix in prefixes)
        if place and (installed or holds_packages(place)):
            kept.append(place)
    return kept


def holds_packages(place: str) -> bool:
    """Tell whether an installer has put packages there."""
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(place))
    except OSError:
        return False
