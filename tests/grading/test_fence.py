"""The kernel's fence round a submission: what it refuses, what it lets through, and its program."""

import errno
import json
import os
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.grading.sandbox import child, fence, landlock, seccomp, worker
from course_lib.grading.sandbox.client import HERE
from course_lib.grading.sandbox.outcomes import FAILED, FINISHED, READY

ROOT = Path(__file__).resolve().parents[2]
KERNEL = fence.kernel()
CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


@pytest.fixture(scope="module")
def held():
    """Skip where there is no such fence; in continuous integration there has to be one."""
    if KERNEL:
        return KERNEL
    reason = f"this system's kernel holds no fence: {KERNEL}, {platform.platform()}"
    if CI and sys.platform.startswith("linux"):
        pytest.fail(reason)
    pytest.skip(reason)


# Every way that led through the fence of Python alone, or to another submission, or to the grader.
# Each does no harm if the fence should be broken: signal 0, limits and rights as they are.
REFUSED = {
    "os.system": "if os.system(f'echo x > {mark}'): raise PermissionError",
    "subprocess": "import subprocess; subprocess.run(['true'])",
    "_posixsubprocess.fork_exec": (
        "import subprocess, _posixsubprocess\n"
        "given = []\n"
        "subprocess._fork_exec = lambda *a: given.append(a) or os.getpid()\n"
        "try: subprocess.Popen(['true'], start_new_session=True, close_fds=False)\n"
        "except BaseException: pass\n"
        "_posixsubprocess.fork_exec(*given[0])"
    ),
    "posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "execve": "os.execv(sys.executable, [sys.executable, '-c', ''])",
    "execveat": "refused_in_c(c.syscall(322 if x86 else 281, -100, b'/bin/true', None, None, 0))",
    "fork": "os.fork()",
    "fork in C": "refused_in_c(c.fork())",
    "vfork in C": "refused_in_c(c.syscall(58, 0) if x86 else c.fork())",
    "clone3": "refused_in_c(c.syscall(435, bytes(88), 88))",
    "multiprocessing": "import multiprocessing as m; m.get_context('fork').Process().start()",
    "C by way of NumPy": (
        "if np.ctypeslib.ctypes.CDLL(None).system(f'echo x > {mark}'.encode()): "
        "raise PermissionError"
    ),
    "open in C": "refused_in_c(c.open(victim.encode(), os.O_RDWR))",
    "torch.from_file": "torch.from_file(victim, shared=True, size=4, dtype=torch.uint8)[0] = 0",
    "torch.save": "torch.save(torch.ones(1), mark)",
    "torch.load": "torch.load(victim)",
    "numpy.memmap": "np.memmap(victim, mode='r+')[0] = 0",
    "numpy.fromfile": "np.fromfile(victim)",
    "a folder's descriptor": (
        "above = os.open(os.path.dirname(victim), os.O_PATH)\n"
        "os.open(os.path.basename(victim), os.O_RDWR, dir_fd=above)"
    ),
    "the root's descriptor": "os.open(victim[1:], os.O_RDONLY, dir_fd=os.open('/', os.O_PATH))",
    "climbing": "open(os.path.relpath(victim))",
    "openat2": "refused_in_c(c.syscall(437, -100, victim.encode(), bytes(24), 24))",
    "reading another submission": "open(victim).read()",
    "listing the class": "os.listdir(os.path.dirname(victim))",
    "reading the solutions": "open(solution).read()",
    "reading the library": "open(answers).read()",
    "reading the tests": "open(tests).read()",
    "reading the history": "os.listdir(history)",
    "reading users": "open('/etc/passwd').read()",
    "reading the parent's memory": "open(f'/proc/{parent}/mem', 'rb')",
    "reading the parent's variables": "open(f'/proc/{parent}/environ', 'rb').read()",
    "writing elsewhere": "open(mark, 'w')",
    "emptying what may be read": "os.open(library, os.O_RDONLY | os.O_TRUNC)",
    "renaming": "os.rename(victim, victim + '.old')",
    "renaming out of its folder": "open('own', 'w').close(); os.rename('own', mark)",
    "removing": "os.remove(victim)",
    "mkdir": "os.mkdir(mark)",
    "truncate": "os.truncate(victim, 0)",
    "chmod": "os.chmod(victim, 0)",
    "fchmod": "os.fchmod(os.open(library, os.O_RDONLY), 0o600)",
    "chown": "os.chown(victim, os.getuid(), os.getgid())",
    "utime": "os.utime(victim)",
    "setxattr": "os.setxattr(victim, 'user.x', b'y')",
    "symlink": "os.symlink(victim, 'link')",
    "link": "os.link(victim, 'link')",
    "mkfifo": "os.mkfifo('pipe')",
    "mknod": "os.mknod('node')",
    "memory as a file": "os.memfd_create('x')",
    "open_by_handle_at": "refused_in_c(c.open_by_handle_at(-100, bytes(64), 0))",
    "inotify": "refused_in_c(c.inotify_init())",
    "kill": "os.kill(parent, 0)",
    "kill everybody": "os.kill(-1, 0)",
    "kill the group": "os.killpg(os.getpgid(parent), 0)",
    "kill in C": "refused_in_c(c.kill(parent, 0))",
    "tgkill": "refused_in_c(c.syscall(234 if x86 else 131, parent, parent, 0))",
    "tkill": "refused_in_c(c.syscall(200 if x86 else 130, parent, 0))",
    "sigqueue": "refused_in_c(c.sigqueue(parent, 0, None))",
    "pidfd_open": "os.pidfd_open(parent)",
    "pidfd_send_signal": "refused_in_c(c.syscall(424, 0, 9, None, 0))",
    "pidfd_getfd": "refused_in_c(c.syscall(438, 0, 0, 0))",
    "signals by F_SETOWN": "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, parent)",
    "signals by F_SETSIG": "import fcntl; fcntl.fcntl(0, fcntl.F_SETSIG, 9)",
    "ptrace": "refused_in_c(c.ptrace(16, parent, None, None))",
    "process_vm_readv": "refused_in_c(c.process_vm_readv(parent, None, 0, None, 0, 0))",
    "kcmp": "refused_in_c(c.syscall(312 if x86 else 272, parent, parent, 0, 0, 0))",
    "prlimit": "import resource as r; r.prlimit(parent, r.RLIMIT_CPU, (-1, -1))",
    "prlimit, asking": "import resource as r; r.prlimit(parent, r.RLIMIT_CPU)",
    "setrlimit": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (9, 9))",
    "setpriority": "os.setpriority(os.PRIO_PROCESS, parent, os.getpriority(os.PRIO_PROCESS, parent))",
    "sched_setaffinity": "os.sched_setaffinity(parent, os.sched_getaffinity(parent))",
    "sched_setscheduler": "os.sched_setscheduler(parent, os.SCHED_OTHER, os.sched_param(0))",
    "socket": "import socket; socket.socket()",
    "socket.sendmsg": "import socket; socket.socketpair()[0].sendmsg([b'x'])",
    "UDP": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "an abstract socket": "import socket; socket.socket(socket.AF_UNIX).bind('\\0x')",
    "names": "import socket; socket.getaddrinfo('localhost', 80)",
    "shared memory": "refused_in_c(c.shmget(1, 4096, 0o1600))",
    "messages": "refused_in_c(c.msgget(1, 0o1600))",
    "POSIX shared memory": (
        "from multiprocessing import shared_memory as s; s.SharedMemory(create=True, size=9)"
    ),
    "unshare": "refused_in_c(c.unshare(0x10000000))",
    "setns": "refused_in_c(c.setns(0, 0))",
    "mount": "refused_in_c(c.mount(b'x', b'.', b'tmpfs', 0, None))",
    "chroot": "os.chroot('.')",
    "io_uring": "refused_in_c(c.syscall(425, 1, bytes(120)))",
    "bpf": "refused_in_c(c.syscall(321 if x86 else 280, 0, None, 0))",
    "perf": "refused_in_c(c.syscall(298 if x86 else 241, None, 0, 0, 0, 0))",
    "userfaultfd": "refused_in_c(c.syscall(323 if x86 else 282, 1))",
    "keys": "refused_in_c(c.syscall(250 if x86 else 219, 0, -3, 0))",
    "a filter of its own": "refused_in_c(c.syscall(317 if x86 else 277, 1, 0, None))",
    "surviving the worker": "refused_in_c(c.prctl(1, 0, 0, 0, 0))",
    "calls that came later": "refused_in_c(c.syscall(452, -100, victim.encode(), 0, 0))",
    # The last but one: PyTorch no longer works in a process that has several interpreters.
    "a sub-interpreter": (
        "try: import _xxsubinterpreters as i\nexcept ImportError: import _interpreters as i\n"
        "one = i.create()\n"
        'code = f\'import os; os.system("echo x > {mark}"); open({mark!r}, "w")\'\n'
        "outcome = (getattr(i, 'run_string', None) or i.exec)(one, code)\n"
        "if not os.path.exists(mark): raise PermissionError(outcome)"
    ),
    "calls of x32": "refused_in_c(c.syscall(0x40000000 + 41, 1, 1, 0) if x86 else -1)",
}
SAYS_NO = (
    "PermissionError", "OSError", "RuntimeError", "ValueError", "RunFailedError", "gaierror"
)  # fmt: skip
LET_THROUGH = {
    "numbers": "np.linalg.solve(np.eye(3), np.ones(3)), torch.ones(3) @ torch.ones(3)",
    "gradients": "w = torch.ones(2, requires_grad=True); (w**2).sum().backward()",
    "optimisers": "torch.optim.Adam([torch.ones(2, requires_grad=True)]).zero_grad()",
    "late imports": "import scipy.optimize, decimal, statistics, sqlite3, ctypes.util",
    "torch.func": "from torch.func import grad, vmap; vmap(grad(lambda w: w**2))(torch.ones(2))",
    "threads": "import threading as t; n = t.Thread(target=len, args=('',)); n.start(); n.join()",
    "pools of threads": (
        "from concurrent.futures import ThreadPoolExecutor as P\n"
        "with P(2) as pool: assert list(pool.map(abs, [-1])) == [1]"
    ),
    "temporary files": (
        "import tempfile, shutil\n"
        "with tempfile.TemporaryDirectory() as d, tempfile.TemporaryFile() as f:\n"
        "    f.write(b'x'); np.save(d + '/a', np.ones(3)); assert np.load(d + '/a.npy')[0] == 1\n"
        "    os.rename(d + '/a.npy', d + '/b.npy'); torch.save(torch.ones(1), d + '/t')\n"
        "    os.mkdir(d + '/sub'); os.rename(d + '/b.npy', d + '/sub/c.npy'); open(d + '/t', 'w')\n"
    ),
    "its own limits": "import resource as r; r.getrlimit(r.RLIMIT_AS)",
    "itself": "import signal; os.kill(os.getpid(), 0); signal.raise_signal(signal.SIGWINCH)",
    "time": "import time, datetime, zoneinfo; time.sleep(0.001); datetime.datetime.now()",
    "randomness": "import random, secrets, uuid; secrets.token_bytes(8); os.urandom(8); uuid.uuid4()",
    "tracebacks": "import traceback, linecache; assert linecache.getline(sandbox, 1)",
    "warnings": "import warnings; warnings.catch_warnings(); warnings.warn('x', stacklevel=1)",
    "the user's name": "import getpass; os.environ['USER'] = 'judge'; getpass.getuser()",
    "the processors": "os.cpu_count(); os.sched_getaffinity(0); torch.get_num_threads()",
    "nowhere": "open(os.devnull, 'w').write('x'); open(os.devnull).read()",
    "pipes": "r, w = os.pipe(); os.write(w, b'x'); os.read(r, 1)",
}


@pytest.fixture(scope="module")
def ends(held, tmp_path_factory):
    """How each piece of code ended behind the fence, and the files that lay outside."""
    top = tmp_path_factory.mktemp("fence")
    folder, victim = top / "own", top / "class" / "bob" / "homework.ipynb"
    folder.mkdir()
    victim.parent.mkdir(parents=True)
    victim.write_text("bob's work")
    library = top / "lib" / "library.py"  # the system's way to name a folder of libraries
    library.parent.mkdir()
    library.write_text("x = 1\n")
    names = {
        "victim": str(victim),
        "mark": str(top / "mark"),
        "solution": str(ROOT / "solutions" / "02_advantage_estimation.ipynb"),
        "answers": str(ROOT / "course_lib" / "advantages.py"),
        "tests": __file__,
        "history": str(ROOT),
        "library": str(library),
        "sandbox": str(HERE / "run.py"),
        "x86": platform.machine() == "x86_64",
    }
    job = {
        "sandbox": str(HERE),
        "root": str(ROOT),
        "folder": str(folder),
        "hidden": [str(ROOT / "course_lib"), str(ROOT / "solutions"), str(victim.parents[1])],
        "names": names,
        "pieces": {**LET_THROUGH, **REFUSED},
    }
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", str(Path(__file__).with_name("fenced.py"))],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": str(library.parent)},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert victim.read_text() == "bob's work"
    assert not (top / "mark").exists()
    assert library.read_text() == "x = 1\n"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", REFUSED)
def test_the_kernel_refuses(name, ends):
    error = ends[name].partition(":")[0]
    assert error in SAYS_NO, ends[name]


@pytest.mark.parametrize("name", LET_THROUGH)
def test_the_kernel_lets_through_what_solutions_need(name, ends):
    assert ends[name] == "passed"


def answer(machine, number, *arguments, arch=None, pid=77):
    """Interpret the filter as the kernel would; return what it says about one call."""
    name, _ = seccomp.MACHINES[machine]
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, name if arch is None else arch, 0, *padded)
    text = seccomp.build(machine, pid)
    program = list(struct.iter_unpack("<HBBI", text))
    assert len(program) < 4096  # the kernel's limit
    place, loaded = 0, 0
    tests = {
        seccomp.EQUAL: lambda value: loaded == value,
        seccomp.AT_LEAST: lambda value: loaded >= value,
        seccomp.ANY_BIT: lambda value: bool(loaded & value),
    }
    while True:
        code, if_true, if_false, value = program[place]
        place += 1
        if code == seccomp.LOAD:
            (loaded,) = struct.unpack_from("<I", data, value)
        elif code == seccomp.AND:
            loaded &= value
        elif code == seccomp.RETURN:
            return value
        else:
            place += if_true if tests[code](value) else if_false


NO, NO_SUCH = (seccomp.ERROR | number for number in (errno.EPERM, errno.ENOSYS))


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_on_both_machines(machine):
    """Also on the one that is not at hand."""
    x86 = machine == "x86_64"
    kill, read, openat, clone = (62, 0, 257, 56) if x86 else (129, 63, 56, 220)
    prlimit, fcntl, ioctl, prctl = (302, 72, 16, 157) if x86 else (261, 25, 29, 167)
    assert answer(machine, read) == seccomp.ALLOW
    assert answer(machine, read, arch=0x40000003) == seccomp.KILL_PROCESS  # 32-bit calls
    assert answer(machine, kill, 77, 9) == seccomp.ALLOW
    assert answer(machine, kill, 78, 9) == answer(machine, kill, 0, 9) == NO
    assert answer(machine, clone, 0x10000 | 0x100) == seccomp.ALLOW
    assert answer(machine, clone, 17) == NO
    assert answer(machine, openat, 0, 0, os.O_RDONLY) == seccomp.ALLOW
    assert answer(machine, openat, 0, 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) == seccomp.ALLOW
    assert answer(machine, openat, 0, 0, os.O_RDONLY | os.O_TRUNC) == NO
    assert answer(machine, prlimit, 0, 7, 0, 1) == seccomp.ALLOW
    assert answer(machine, prlimit, 78, 7, 0, 1) == NO
    assert answer(machine, prlimit, 0, 7, 1, 0) == answer(machine, prlimit, 0, 7, 1 << 32, 0) == NO
    assert answer(machine, fcntl, 3, 1) == seccomp.ALLOW
    assert answer(machine, fcntl, 3, 8) == NO
    assert answer(machine, ioctl, 3, 0x5401) == seccomp.ALLOW
    assert answer(machine, ioctl, 3, 0x5412) == seccomp.ERROR | errno.ENOTTY
    assert answer(machine, prctl, 15) == seccomp.ALLOW
    assert answer(machine, prctl, 1) == NO
    assert answer(machine, 435) == answer(machine, 437) == answer(machine, 463) == NO_SUCH
    for number in seccomp.refused(seccomp.MACHINES[machine][1]):
        assert answer(machine, number) == NO


@pytest.mark.parametrize(
    ("column", "header"),
    [
        (1, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        (2, "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_the_numbers_are_those_of_the_kernels_headers(column, header):
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    pattern = r"#define __NR(?:3264)?_(\w+) (\d+)"
    known = dict(re.findall(pattern, Path(header).read_text()))
    rows = [row.split() for line in seccomp.NUMBERS.strip().splitlines() for row in line.split("/")]
    compared = [(r[0], r[column], known[r[0]]) for r in rows if r[column] != "-" and r[0] in known]
    assert len(compared) > 100
    assert all(ours == theirs for _, ours, theirs in compared)


def test_a_hidden_folder_among_the_libraries_stays_shut(tmp_path):
    """Where the library is installed, its answers lie beside NumPy."""
    answers = tmp_path / "site" / "course_lib"
    (answers / "grading").mkdir(parents=True)
    (tmp_path / "site" / "numpy").mkdir()
    rules = dict(landlock.all_but(str(tmp_path / "site"), [str(answers)]))
    assert rules == {
        str(tmp_path / "site"): landlock.READ_DIR,
        str(tmp_path / "site" / "numpy"): landlock.READ,
    }
    assert landlock.all_but(str(answers / "grading"), [str(answers)]) == []
    assert landlock.all_but("/usr/lib", [str(answers)]) == [("/usr/lib", landlock.READ)]


def test_workers_import_from_where_packages_are_installed_and_from_nowhere_else(tmp_path):
    (tmp_path / "numpy-2.dist-info").mkdir()
    places = [str(ROOT), str(ROOT / "tests"), str(tmp_path), os.path.dirname(os.__file__), ""]
    assert fence.packages_only(places, str(ROOT)) == places[2:4]


def ends_of(child, tmp_path):
    """Return what the worker makes of a child that does something and leaves."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(writing)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return worker.supervise(pid, reading, 600.0, str(tmp_path))
    finally:
        os.close(reading)


def test_without_a_fence_nothing_runs_and_it_is_nobodys_verdict(held, tmp_path):
    """What the kernel offers is put up, or the child says so and leaves."""

    def broken(writing):
        own = fence.Fence(fence.Kernel(), [], str(tmp_path))
        own.held, own.rules = held, -1
        job = {"folder": str(tmp_path), "helpers": [], "seconds": 600.0, "megabytes": 900}
        ran = tmp_path / "ran"
        job |= {"fragments": [[1, 1, f"open({str(ran)!r}, 'w')"]], "function": "f"}
        job |= {"package": "x", "hidden": [], "probes": [], "harness": None}
        child.run_job(job, writing, None, own)

    ended, _, report = ends_of(broken, tmp_path)
    assert ended == FAILED
    assert b"Bad file descriptor" in report
    assert not (tmp_path / "ran").exists()
    assert ends_of(lambda writing: os.write(writing, READY + b"{}"), tmp_path)[0] == FINISHED
