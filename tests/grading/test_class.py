"""A class of eight from the command line: verdicts, resuming, interruption, private probes."""

import csv
import json
import re
import sys

import pytest
from class_of_eight import (
    EXERCISE,
    TASKS,
    FakeJudges,
    make_class,
    start,
    survivors,
)

from course_lib.grading.classroom.ledger import Ledger
from course_lib.grading.classroom.run import grade
from course_lib.grading.classroom.summary import summary

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
LIMIT = 8.0  # seconds: only the endless loop meets it
OPTIONS = ("--limit", str(LIMIT), "--jobs", "2")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The command's output, its JSON and CSV, and the class folder."""
    top = tmp_path_factory.mktemp("run")
    folder = make_class(top / "class")
    files = ("--json", str(top / "r.json"), "--csv", str(top / "r.csv"))
    process = start(folder, *OPTIONS, *files, temporary=top / "tmp")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return {
        "top": top,
        "folder": folder,
        "out": out,
        "err": err,
        "json": json.loads((top / "r.json").read_text()),
        "rows": list(csv.DictReader((top / "r.csv").read_text().splitlines())),
    }


def states(run, student):
    """Return a student's state of every task, from the CSV."""
    return {row["task"]: row["state"] for row in run["rows"] if row["student"] == student}


def all_in(state):
    return dict.fromkeys(TASKS, state)


def test_each_student_gets_the_verdicts_that_belong_to_them(run):
    assert states(run, "ada") == all_in("right")
    assert states(run, "bob") == all_in("not attempted")
    assert states(run, "Cyd Ó_41") == {**all_in("right"), "gae": "known mistake"}
    assert states(run, "dan") == {**all_in("right"), "gae": "syntax"}
    assert states(run, "eve") == all_in("unreadable")
    assert states(run, "fay_7") == {**all_in("right"), "normalize": "timeout"}
    assert states(run, "gus") == {**all_in("right"), "normalize": "needs review"}
    assert states(run, "hal") == all_in("missing")
    assert len(run["rows"]) == 8 * len(TASKS)


def test_a_teacher_can_read_the_summary(run):
    out = run["out"]
    assert out.startswith("8 students, 1 exercise, 5 tasks. 7 files judged.\n")
    assert re.search(r"^  ada +5/0/0 +5$", out, re.MULTILINE)
    assert re.search(r"^  Cyd Ó_41 +4/1/0 +4$", out, re.MULTILINE)
    assert re.search(r"^  bob +0/0/5 +0$", out, re.MULTILINE)
    assert re.search(r"^  hal +- +0$", out, re.MULTILINE)
    assert f"  {EXERCISE}: 7 submissions" in out
    assert re.search(r"gae: 3 right\n      1 x trace_not_cut: Your trace runs across", out)
    assert re.search(r"normalize: 3 right\n .*1 timeout", out)
    assert f"{EXERCISE}: missing from 1: hal" in out
    assert f"eve, {EXERCISE}: unreadable. The file is a web page" in out
    assert f"gus, {EXERCISE}, normalize: needs review. Its answers are right, but" in out
    assert "hal: hal/notes.txt (not a notebook)" in out
    assert max(map(len, out.splitlines())) < 180


def test_no_bar_where_nobody_sees_it(run):
    assert run["err"] == ""


@linux
def test_nothing_is_left_running_or_lying_about(run):
    assert survivors(run["top"]) == []
    assert list((run["top"] / "tmp").iterdir()) == []
    assert sorted(path.name for path in run["folder"].iterdir()) == sorted(
        path.name for path in make_class(run["top"] / "again").iterdir()
    )


def test_one_process_gives_the_same_verdicts_as_two(run):
    serial = grade(run["folder"], seconds=LIMIT, jobs=1)
    found = {
        (g.student, v.task): (v.state.value, v.headline, v.hint, v.evidence, v.mistakes)
        for g in serial.graded
        for v in g.verdicts
    }
    together = {
        (student["student"], task["task"]): (
            *(task[name] for name in ("state", "headline", "hint", "evidence")),
            tuple(task["mistakes"]),
        )
        for student in run["json"]["students"]
        for exercise in student["exercises"]
        for task in exercise["tasks"]
    }
    assert found == together


def ledger_of(run):
    return Ledger(run["top"] / "class.verdicts.jsonl")


def again(run, ledger, **options):
    """Grade the class once more; return who was judged, and the result."""
    judges = FakeJudges()
    result = grade(
        run["folder"], seconds=options.pop("seconds", LIMIT), ledger=ledger, judge_all=judges,
        **options,
    )  # fmt: skip
    return judges.jobs, result


def test_a_second_run_judges_nothing_and_says_the_same(run):
    jobs, result = again(run, ledger_of(run))
    assert jobs == []
    assert (result.judged, result.remembered) == (0, 7)
    first = run["out"].split("\n", 1)
    second = summary(result).split("\n", 1)
    assert (
        second[0] == f"{first[0].replace('7 files', '0 files')[:-1]}, 7 known from an earlier run."
    )
    assert second[1] == first[1]


@pytest.mark.parametrize("options", [{"seed": 5}, {"seconds": 2.0}])
def test_verdicts_from_other_probes_or_limits_are_not_used(run, options):
    jobs, _ = again(run, Ledger(run["top"] / "class.verdicts.jsonl"), **options)
    assert len(jobs) == 7


def test_verdicts_of_another_judge_are_not_used(run, monkeypatch):
    monkeypatch.setattr("course_lib.grading.classroom.run.judge_version", lambda: "other")
    assert len(again(run, ledger_of(run))[0]) == 7
