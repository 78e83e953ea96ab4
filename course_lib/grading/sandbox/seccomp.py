"""System calls that no solution needs, refused by the Linux kernel (seccomp) for good.

A filter is a small program for the kernel's packet-filter machine (man 2 seccomp, and
Documentation/userspace-api/seccomp_filter.rst in Linux). It is given the number of a system call
and its arguments, and answers whether the call goes ahead. Landlock decides about files; this
filter decides about everything that Landlock does not see.
"""

import errno
import functools
import struct

# The kernel's names of the machines, AUDIT_ARCH_*, and the column of the numbers below.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
NEWEST = 450  # calls that came after this table do not exist as far as a submission can tell

# Name, number on x86_64, number on aarch64; a dash where the machine never had the call.
NUMBERS = """
tkill 200 130 / rt_sigqueueinfo 129 138 / rt_tgsigqueueinfo 297 240 / pidfd_open 434 434
pidfd_send_signal 424 424 / pidfd_getfd 438 438
fork 57 - / vfork 58 - / execve 59 221 / execveat 322 281 / ptrace 101 117 / kcmp 312 272
process_vm_readv 310 270 / process_vm_writev 311 271 / process_madvise 440 440
process_mrelease 448 448 / unshare 272 97 / setns 308 268
setrlimit 160 164 / setpriority 141 140 / ioprio_set 251 30 / sched_setaffinity 203 122
sched_setscheduler 144 119 / sched_setparam 142 118 / sched_setattr 314 274
migrate_pages 256 238 / move_pages 279 239
socket 41 198 / socketpair 53 199 / connect 42 203 / bind 49 200 / listen 50 201 / accept 43 202
accept4 288 242 / sendto 44 206 / sendmsg 46 211 / sendmmsg 307 269 / recvmsg 47 212
recvmmsg 299 243
shmget 29 194 / shmat 30 196 / shmctl 31 195 / msgget 68 186 / msgsnd 69 189 / msgrcv 70 188
msgctl 71 187 / semget 64 190 / semop 65 193 / semctl 66 191 / semtimedop 220 192
mq_open 240 180 / mq_unlink 241 181
chmod 90 - / fchmod 91 52 / fchmodat 268 53 / chown 92 - / lchown 94 - / fchown 93 55
fchownat 260 54 / utime 132 - / utimes 235 - / futimesat 261 - / utimensat 280 88
setxattr 188 5 / lsetxattr 189 6 / fsetxattr 190 7 / removexattr 197 14 / lremovexattr 198 15
fremovexattr 199 16 / truncate 76 45 / mknod 133 - / mknodat 259 33 / link 86 - / linkat 265 37
symlink 88 - / symlinkat 266 36 / name_to_handle_at 303 264 / open_by_handle_at 304 265
memfd_create 319 279 / memfd_secret 447 447 / inotify_init 253 - / inotify_init1 294 26
inotify_add_watch 254 27 / fanotify_init 300 262 / fanotify_mark 301 263
mount 165 40 / umount2 166 39 / pivot_root 155 41 / chroot 161 51 / move_mount 429 429
open_tree 428 428 / fsopen 430 430 / fsconfig 431 431 / fsmount 432 432 / fspick 433 433
mount_setattr 442 442 / swapon 167 224 / swapoff 168 225 / reboot 169 142 / sethostname 170 161
setdomainname 171 162 / init_module 175 105 / finit_module 313 273 / delete_module 176 106
kexec_load 246 104 / kexec_file_load 320 294 / bpf 321 280 / perf_event_open 298 241
userfaultfd 323 282 / keyctl 250 219 / add_key 248 217 / request_key 249 218
io_uring_setup 425 425 / io_uring_enter 426 426 / io_uring_register 427 427 / io_setup 206 0
syslog 103 116 / acct 163 89 / quotactl 179 60 / quotactl_fd 443 443 / settimeofday 164 170
clock_settime 227 112 / clock_adjtime 305 266 / adjtimex 159 171 / iopl 172 - / ioperm 173 -
modify_ldt 154 - / personality 135 92 / seccomp 317 277 / landlock_create_ruleset 444 444
landlock_add_rule 445 445 / landlock_restrict_self 446 446 / capset 126 91 / vhangup 153 58
sync 162 81 / syncfs 306 267
"""
# Calls whose arguments decide; the numbers as above.
KILL, TGKILL, PRLIMIT, CLONE = (62, 129), (234, 131), (302, 261), (56, 220)
CLONE3, OPENAT2, OPEN, OPENAT = (435, 435), (437, 437), (2, None), (257, 56)
FCNTL, IOCTL, PRCTL = (72, 25), (16, 29), (157, 167)

CLONE_THREAD = 0x10000
OPENING = 0o1003  # O_TRUNC and the bits that say whether a file is read or written
EMPTIES_WHAT_IT_READS = 0o1000  # O_RDONLY with O_TRUNC: early Landlock takes it for reading
# F_SETOWN, F_SETSIG, F_SETOWN_EX (they send signals), F_SETLEASE, F_NOTIFY
FILE_COMMANDS = (8, 10, 15, 1024, 1026)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what opening a file asks for
DEVICE_COMMANDS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
NAME_COMMANDS = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: names in listings

LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL_PROCESS, ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return one instruction; the jumps count the instructions that are skipped."""
    return struct.pack("<HBBI", code, if_true, if_false, value)


def argument(number: int, upper: bool = False) -> bytes:
    """Return the instruction that loads one half of a call's argument."""
    return step(LOAD, 16 + 8 * number + 4 * upper)


def refuse(reason: int = errno.EPERM) -> bytes:
    """Return the instruction that lets a call fail with an error number."""
    return step(RETURN, ERROR | reason)


def one_of(values: tuple[int, ...], then: bytes, otherwise: bytes) -> bytes:
    """Return instructions that answer by whether the loaded number is among the values."""
    return b"".join(step(EQUAL, value, 0, 1) + then for value in values) + otherwise


def build(machine: str, pid: int) -> bytes:
    """Return the filter for a machine and the process that is to be fenced in.

    Parameters
    ----------
    machine : str
        ``x86_64`` or ``aarch64``, as `platform.machine` says.
    pid : int
        The process may send signals to itself.
    """
    name, column = MACHINES[machine]
    allow, no = step(RETURN, ALLOW), refuse()
    own_pid = argument(0) + one_of((pid,), allow, no)
    opening = step(AND, OPENING) + one_of((EMPTIES_WHAT_IT_READS,), no, allow)
    by_argument = {
        KILL: own_pid,
        TGKILL: own_pid,
        # Its own limits may be asked for, not set; another process's neither.
        PRLIMIT: argument(0) + step(EQUAL, 0, 1, 0) + no
        + argument(2) + step(EQUAL, 0, 1, 0) + no
        + argument(2, upper=True) + step(EQUAL, 0, 1, 0) + no + allow,
        # Threads, but no processes. The C library falls back from clone3, which hides its flags.
        CLONE: argument(0) + step(ANY_BIT, CLONE_THREAD, 0, 1) + allow + no,
        CLONE3: refuse(errno.ENOSYS),
        OPENAT2: refuse(errno.ENOSYS),
        OPEN: argument(1) + opening,
        OPENAT: argument(2) + opening,
        FCNTL: argument(1) + one_of(FILE_COMMANDS, no, allow),
        IOCTL: argument(1) + one_of(DEVICE_COMMANDS, allow, refuse(errno.ENOTTY)),
        PRCTL: argument(0) + one_of(NAME_COMMANDS, allow, no),
    }  # fmt: skip
    program = [
        step(LOAD, 4) + step(EQUAL, name, 1, 0) + step(RETURN, KILL_PROCESS),  # another machine's
        step(LOAD, 0) + step(AT_LEAST, NEWEST + 1, 0, 1) + refuse(errno.ENOSYS),
    ]
    for numbers, block in by_argument.items():
        if (number := numbers[column]) is not None:
            program.append(step(EQUAL, number, 0, len(block) // 8) + block)
    return b"".join([*program, refusals(column), allow])


@functools.cache
def refusals(column: int) -> bytes:
    """Return the instructions that refuse all of `refused`; the same for every process."""
    return b"".join(step(EQUAL, number, 0, 1) + refuse() for number in refused(column))


def refused(column: int) -> list[int]:
    """Return the numbers of the calls that are refused whatever their arguments are."""
    rows = [row.split() for line in NUMBERS.strip().splitlines() for row in line.split("/")]
    return [int(row[1 + column]) for row in rows if row[1 + column] != "-"]
