"""Which files a process may touch, held by the Linux kernel (Landlock) for good.

Man 7 landlock, and Documentation/userspace-api/landlock.rst in Linux. A right that is named when a
set of rules is made is refused everywhere but below the paths that a rule opens.
"""

import os
import struct

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on all machines
ASK_VERSION, BENEATH = 1, 1

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
REFER, TRUNCATE = 1 << 13, 1 << 14  # renaming across folders; since versions 2 and 3
# The rights over files that each version brought, and over connections, and over other processes.
FILE_RIGHTS = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: 1 << 15}
NETWORK_SINCE, NETWORK = 4, 0b11  # bind and connect
SCOPES_SINCE, SCOPES = 6, 0b11  # abstract sockets and signals stay among its own kind

READ = READ_FILE | READ_DIR
CHANGE = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_FILE | REFER | TRUNCATE
FOR_FILES = 1 | WRITE_FILE | READ_FILE | TRUNCATE | 1 << 15  # what a rule on a file may name

Rule = tuple[str, int]  # a path, and the rights below it


def version(syscall) -> int:
    """Return the kernel's version of Landlock, 0 if it has none or it is switched off."""
    try:
        return syscall(CREATE_RULESET, None, 0, ASK_VERSION)
    except OSError:
        return 0


def make(syscall, rules: list[Rule], only: int = -1) -> int:
    """Return a descriptor of a set of rules, to be given to `enter`.

    Parameters
    ----------
    syscall : callable
        `fence.syscall`.
    rules : list of (path, rights)
        Paths that do not exist are passed over.
    only : int
        The rights over files that the set is about; all by default. A set about all of them also
        cuts off the network and other processes, where the kernel's version can.

    Raises
    ------
    OSError
        If the kernel does not do it.
    """
    abi = version(syscall)
    known = only & sum(rights for since, rights in FILE_RIGHTS.items() if since <= abi)
    fields = [known]
    if only == -1:
        fields += [NETWORK] * (abi >= NETWORK_SINCE) + [SCOPES] * (abi >= SCOPES_SINCE)
    handled = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = syscall(CREATE_RULESET, handled, len(handled), 0)
    for path, rights in rules:
        add_rule(syscall, ruleset, path, rights & known)
    return ruleset


def enter(syscall, ruleset: int) -> None:
    """Confine this thread, and those that it starts, to what a set of rules opens.

    Sets add up: what one of them refuses is refused.
    """
    syscall(RESTRICT_SELF, ruleset, 0)


def add_rule(syscall, ruleset: int, path: str, rights: int) -> None:
    """Open one path, and what lies below it."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this system
        return
    try:
        if not os.path.isdir(path):
            rights &= FOR_FILES
        syscall(ADD_RULE, ruleset, BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def all_but(place: str, hidden: list[str]) -> list[Rule]:
    """Return the rules that open a place for reading, without the hidden paths in it.

    The kernel knows no exceptions, so a folder above a hidden one is opened entry by entry: it can
    be listed, and only its other entries can be read.
    """
    inside = [path for path in hidden if is_below(path, place)]
    if not inside:
        return [(place, READ)] if not any(is_below(place, path) for path in hidden) else []
    if place in inside:
        return []
    rules = [(place, READ_DIR)]
    for entry in os.scandir(place):
        rules += all_but(entry.path, inside) if not entry.is_symlink() else []
    return rules


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
