"""Attacks from inside a class, and on the run itself: nobody else's points change, nothing ends it."""

import json
import os
import random
import signal
import sys
import time

import pytest
from class_of_eight import EXERCISE, LAST_LINE, NAME, TASKS, make_class, notebook, start, write

from course_lib.grading.classroom.judge_process import Job, Settings, judge_job
from course_lib.grading.classroom.ledger import digest_of
from course_lib.grading.sandbox import fence
from course_lib.grading.states import State

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
# The worker, and as far as it can be found out, the judge's process and the grader: no others, so
# that a fence that is broken costs this test's own run alone.
TARGETS = (
    "import os\ntargets = [os.getppid()]\n"
    "try:\n"
    "    for _ in range(2):\n"
    "        stat = open(f'/proc/{{targets[-1]}}/stat').read()\n"
    "        targets.append(int(stat.rpartition(')')[2].split()[1]))\n"
    "except OSError: pass\n"
)
ATTACKS = {
    "rewrites": (
        "import glob, os\n"
        "for path in glob.glob({folder!r} + '/*/*.ipynb'):\n"
        "    try: open(path, 'w').write('{{}}')\n"
        "    except OSError: pass\n"
        "{c}.system(b'echo x | tee {folder}/*/*.ipynb {ledger}')"
    ),
    "rewrites in C": (
        "import torch\n"
        "for name in {names!r}:\n"
        "    for path in ({folder!r} + '/' + name + '/{NAME}', {ledger!r}):\n"
        "        try: torch.from_file(path, shared=True, size=9, dtype=torch.uint8).zero_()\n"
        "        except RuntimeError: pass\n"
        "        try: torch.save(torch.ones(1), path)\n"
        "        except RuntimeError: pass"
    ),
    "forges the ledger": (
        "f = {c}.open(b'{ledger}', 1025)\n{c}.write(f, b'{{\"key\": 1}}\\n', 11)"
    ),
    "kills": TARGETS + "for pid in targets: {c}.kill(pid, 9)",
    "kills by a pidfd": TARGETS
    + (
        "for pid in targets:\n"
        "    f = {c}.syscall(434, pid, 0)\n    if f >= 0: {c}.syscall(424, f, 9, None, 0)"
    ),
    "starves": TARGETS
    + (
        "import resource\nfor pid in targets:\n"
        "    try: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))\n    except OSError: pass"
    ),
    "stops": TARGETS + "for pid in targets: {c}.kill(pid, 19)",
    "dies": "import os; os.abort()",
}


def graded(folder, top, *options):
    """Run the command on a class; return its points by student, and what it printed."""
    report = top / "r.json"
    process = start(folder, *options, "--json", str(report), temporary=top / "tmp")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return points(report), out, err


def points(report):
    students = json.loads(report.read_text())["students"]
    return {s["student"]: [e["points"] for e in s["exercises"]] for s in students}


@linux
def test_no_attack_changes_another_students_points_or_ends_the_run(tmp_path):
    if not fence.kernel():
        (pytest.fail if CI else pytest.skip)("this system's kernel holds no fence")
    folder, ledger = tmp_path / "class", tmp_path / "class.verdicts.jsonl"
    innocent = [f"{letter}{number}" for letter in "amz" for number in range(2)]
    for student in innocent:
        write(folder / student / NAME, notebook((LAST_LINE, f"{LAST_LINE}  # {student}")))
    for number, (name, code) in enumerate(ATTACKS.items()):
        c = "np.ctypeslib.ctypes.CDLL(None)"
        filled = code.format(folder=str(folder), ledger=ledger, c=c, names=innocent, NAME=NAME)
        lines = "\n    ".join([*filled.splitlines(), LAST_LINE])
        write(folder / f"k{number} {name}" / NAME, notebook((LAST_LINE, lines)))
    before = {path: path.read_bytes() for path in folder.rglob("*.ipynb")}
    found, out, err = graded(folder, tmp_path, "--jobs", "2")
    assert err == ""
    assert {student: found[student] for student in innocent} == {name: [5] for name in innocent}
    assert len(found) == len(innocent) + len(ATTACKS)
    assert {path: path.read_bytes() for path in folder.rglob("*.ipynb")} == before
    assert "Fence round the submissions: the kernel's (Landlock" in out
    again, out, err = graded(folder, tmp_path, "--jobs", "2")
    assert (again, err) == (found, "")
    assert "0 files judged" in out


@linux
def test_killed_at_random_moments_and_run_again(tmp_path):
    """The verdicts are those of a run that nobody interrupted."""
    folder = make_class(tmp_path / "class")
    for number in range(12):
        write(folder / f"w{number}" / NAME, notebook((LAST_LINE, f"{LAST_LINE} + {number % 3}")))
    other = tmp_path / "other"
    other.mkdir()
    options = ("--limit", "4", "--jobs", "2")
    whole, _, _ = graded(folder, other, *options, "--verdicts", str(other / "verdicts"))
    generator = random.Random(7)
    for _ in range(10):
        process = start(folder, *options, temporary=tmp_path / "tmp")
        time.sleep(generator.uniform(0.5, 5.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    found, _, _ = graded(folder, tmp_path, *options)
    assert found == whole
    assert (tmp_path / "class.verdicts.jsonl").exists()


@linux
def test_the_second_of_two_runs_waits_says_so_and_judges_nothing(tmp_path):
    folder = make_class(tmp_path / "class")
    runs = [
        start(
            folder,
            "--limit",
            "4",
            "--json",
            str(tmp_path / f"{n}.json"),
            temporary=tmp_path / "tmp",
        )
        for n in range(2)
    ]
    ends = [run.communicate(timeout=600) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum("Another run is using" in err for _, err in ends) == 1
    assert sum(out.split("\n")[0].count(" 7 files judged") for out, _ in ends) == 1
    assert sum("7 known from an earlier run" in out for out, _ in ends) == 1
    assert points(tmp_path / "0.json") == points(tmp_path / "1.json")


@pytest.mark.parametrize("large", [False, True])
def test_what_is_judged_is_what_was_hashed(large, tmp_path, sandbox):
    """A file that changes during the run is judged as it was, or else not at all."""
    path = write(tmp_path / "ada" / NAME, notebook())
    digest, contents = digest_of(path, keep=0 if large else 10**6)
    assert (contents is None) == large
    job = Job(str(path), EXERCISE, digest, contents)
    path.write_text("{}")
    answer = judge_job(job, Settings(), sandbox)
    if large:
        assert "changed while the class was judged" in answer
    else:
        assert [v.state for v in answer[1]] == [State.RIGHT] * len(TASKS)
