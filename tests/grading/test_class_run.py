"""What a class run judges and what it remembers; wrong usage; nothing left behind."""

import dataclasses
import signal
import sys
import time
from pathlib import Path

import pytest
from class_of_eight import (
    CUT,
    EXERCISE,
    LAST_LINE,
    NAME,
    TASKS,
    FakeJudges,
    make_class,
    notebook,
    start,
    survivors,
    write,
)

from course_lib.grading import specs
from course_lib.grading.__main__ import main
from course_lib.grading.classroom import judge_process
from course_lib.grading.classroom.judge_process import Settings, judge_file
from course_lib.grading.classroom.ledger import Ledger
from course_lib.grading.classroom.run import grade
from course_lib.grading.classroom.summary import summary
from course_lib.grading.states import State, Verdict

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_only_what_changed_is_judged_again(tmp_path):
    folder = make_class(tmp_path / "class")
    path = tmp_path / "verdicts"
    first = FakeJudges()
    grade(folder, ledger=Ledger(path), judge_all=first)
    assert len(first.jobs) == 7
    write(folder / "dan" / "homework.ipynb", notebook((CUT, " * 1.0")))
    write(folder / "ivy" / NAME, notebook((CUT, " * 2.0")))
    (folder / "eve" / NAME).rename(folder / "eve" / f"renamed_{NAME}")  # same contents
    second = FakeJudges()
    result = grade(folder, ledger=Ledger(path), judge_all=second)
    assert sorted(second.jobs) == [NAME, "homework.ipynb"]
    assert (result.judged, result.remembered) == (2, 6)
    assert "ivy" in result.students
    assert grade(folder, ledger=Ledger(path, fresh=True), judge_all=FakeJudges()).judged == 8


def test_equal_files_are_judged_once(tmp_path):
    for student in ("ada", "bob", "cyd"):
        write(tmp_path / student / NAME, notebook())
    judges = FakeJudges()
    result = grade(tmp_path, judge_all=judges)
    assert judges.jobs == [NAME]
    assert [graded.points for graded in result.graded] == [5, 5, 5]


def test_an_interrupted_run_keeps_what_is_finished(tmp_path):
    folder = make_class(tmp_path / "class")

    class Interrupted(FakeJudges):
        def __call__(self, *arguments):
            stream = super().__call__(*arguments)
            yield next(stream)
            yield next(stream)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(folder, ledger=Ledger(tmp_path / "verdicts"), judge_all=Interrupted())
    with open(tmp_path / "verdicts", "a", encoding="utf-8") as file:
        file.write('{"key": "cut o')  # as if the power had failed
    judges = FakeJudges()
    grade(folder, ledger=Ledger(tmp_path / "verdicts"), judge_all=judges)
    assert len(judges.jobs) == 5
    last = FakeJudges()
    grade(folder, ledger=Ledger(tmp_path / "verdicts"), judge_all=last)
    assert last.jobs == []


def kept(log):
    """Verdicts in the log; the file is there a moment before its first line is."""
    return log.read_text().count("\n") if log.exists() else 0


@linux
def test_a_run_that_is_stopped_leaves_its_verdicts_and_no_process(tmp_path):
    folder = tmp_path / "class"
    for number in range(3):
        endless = (LAST_LINE, f"while True: {number}")
        write(folder / f"student{number}" / NAME, notebook(endless))
    process = start(folder, "--jobs", "1", "--limit", "5", temporary=tmp_path / "tmp")
    log = tmp_path / "class.verdicts.jsonl"
    deadline = time.monotonic() + 600
    while not kept(log) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert err == "Interrupted. Finished verdicts are kept: start again to go on.\n"
    assert out == ""
    assert 1 <= kept(log) < 3
    while survivors(tmp_path) and time.monotonic() < deadline:  # the system needs a moment
        time.sleep(0.02)
    assert survivors(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_lies_in_a_students_folder_is_no_verdict(tmp_path):
    folder = make_class(tmp_path / "class")
    honest = tmp_path / "honest"
    grade(folder, ledger=Ledger(honest), judge_all=FakeJudges())
    forged = honest.read_text()  # everything right, under the true keys
    names = ("class.verdicts.jsonl", "bob.verdicts.jsonl", ".verdicts.jsonl", "verdicts.jsonl")
    for place in (folder, folder / "bob", folder / "bob" / "week 2"):
        for name in names:
            write(place / name, forged)
    judges = FakeJudges(lambda task: Verdict(task, State.WRONG, "No."))
    result = grade(folder, ledger=Ledger(tmp_path / "class.verdicts.jsonl"), judge_all=judges)
    assert len(judges.jobs) == 7
    assert sum(graded.points for graded in result.graded) == 0


def refused(capsys, *arguments):
    """Return the command line's complaint."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_wrong_usage_is_explained(tmp_path, capsys, monkeypatch):
    (tmp_path / "class").mkdir()
    folder = tmp_path / "class"
    assert "must not lie in DIR" in refused(capsys, folder, "--verdicts", folder / "v")
    assert "there is no exercise '2'; there are 01" in refused(capsys, folder, "--exercise", "2")
    assert "is no folder" in refused(capsys, tmp_path / "nothing")
    assert "cannot be written" in refused(capsys, folder, "--csv", tmp_path / "no" / "x.csv")
    assert "--jobs is at least 1" in refused(capsys, folder, "--jobs", "0")
    assert "--limit is at least" in refused(capsys, folder, "--limit", "nan")
    monkeypatch.chdir(folder)
    assert "Start from another folder" in refused(capsys, folder)


def test_an_empty_class_is_no_error(tmp_path, capsys):
    (tmp_path / "class").mkdir()
    assert main([str(tmp_path / "class")]) == 0
    assert capsys.readouterr().out.startswith("0 students, 0 exercises, 0 tasks. 0 files judged.")


def test_an_exercise_that_is_asked_for_is_missing_where_it_is_not(tmp_path):
    write(tmp_path / "ada" / NAME, notebook())
    judges = FakeJudges()
    result = grade(tmp_path, exercises=["01_policy_gradients"], judge_all=judges)
    assert judges.jobs == []
    assert result.exercises == ("01_policy_gradients",)
    assert {v.state for v in result.graded[0].verdicts} == {State.MISSING}


def test_the_best_of_several_files_counts(tmp_path):
    write(tmp_path / "ada" / NAME, notebook())
    write(tmp_path / "ada" / f"{EXERCISE}-Copy1.ipynb", notebook((CUT, "")))

    class Better(FakeJudges):
        def __call__(self, jobs, settings, processes):
            for job, (exercise, verdicts) in super().__call__(jobs, settings, processes):
                if "Copy" not in job[0]:
                    verdicts[0] = dataclasses.replace(verdicts[0], state=State.WRONG)
                yield job, (exercise, verdicts)

    (graded,) = grade(tmp_path, judge_all=Better()).graded
    assert (graded.file, graded.points) == (f"ada/{EXERCISE}-Copy1.ipynb", 5)
    assert graded.copies == (f"ada/{NAME}",)


def test_a_file_that_the_judge_gives_up_on_is_a_persons_and_is_tried_again(tmp_path):
    write(tmp_path / "class" / "ada" / NAME, notebook())
    write(tmp_path / "class" / "bob.ipynb", "{}")

    def gives_up(jobs, settings, processes):
        yield from ((job, "reading it crashed Python") for job in jobs)

    result = grade(
        tmp_path / "class", ledger=Ledger(tmp_path / "v"), judge_all=gives_up, exercises=[EXERCISE]
    )
    assert {v.state for v in result.graded[0].verdicts} == {State.NEEDS_REVIEW}
    text = summary(result)
    assert text.count("reading it crashed Python") == 2
    assert "bob.ipynb (The judge could not deal with this file" in text
    assert not (tmp_path / "v").exists()


def test_private_probes_are_other_probes(tmp_path, sandbox):
    """A function that remembers the public answers is right in the notebook and only there."""
    (spec,) = [spec for spec in specs.of_exercise(EXERCISE) if spec.name == "normalize"]
    known = [
        [p.arguments[0].tolist(), [*p.arguments, 1e-8][1], spec.oracle(*p.arguments).tolist()]
        for p in spec.draw()
    ]
    code = (
        f"import numpy as np\nKNOWN = {known!r}\n"
        "def normalize(x, epsilon=1e-8):\n"
        "    for given, e, answer in KNOWN:\n"
        "        if e == epsilon and x.tolist() == given:\n"
        "            return np.array(answer)\n"
        "    return x\n"
    )
    path = write(tmp_path / f"{EXERCISE}.py", code)
    place = TASKS.index("normalize")
    verdicts = [
        judge_file(str(path), EXERCISE, Settings(seed=seed), sandbox)[1][place].state
        for seed in (2026, 99)
    ]
    assert verdicts[0] is State.RIGHT
    assert verdicts[1] is not State.RIGHT


def test_the_seed_and_the_hidden_folders_reach_the_judges(tmp_path):
    write(tmp_path / "ada" / NAME, notebook())
    judges = FakeJudges()
    grade(tmp_path, seed=7, judge_all=judges)
    assert judges.settings.seed == 7
    assert str(tmp_path) in judges.settings.hidden
    assert judges.settings.scratch
    assert not Path(judges.settings.scratch).exists()


def test_a_submission_cannot_read_another_ones_file(tmp_path, sandbox):
    other = write(tmp_path / "ada" / NAME, notebook())
    line = f"open({str(other)!r}); " + LAST_LINE
    path = write(tmp_path / "bob" / NAME, notebook((LAST_LINE, line)))
    sandbox = type(sandbox)(hidden=(str(tmp_path),))
    with sandbox:
        _, verdicts = judge_file(str(path), EXERCISE, Settings(), sandbox)
    assert verdicts[TASKS.index("normalize")].state is State.NEEDS_REVIEW


def test_what_the_judge_trips_over_is_said(monkeypatch):
    def trips(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr(judge_process, "judge_notebook", trips)
    _, verdicts = judge_file("a.ipynb", EXERCISE, Settings(), None)
    assert [verdict.task for verdict in verdicts] == TASKS
    assert {verdict.state for verdict in verdicts} == {State.NEEDS_REVIEW}
    assert "RecursionError: too deep" in verdicts[0].headline


@pytest.mark.parametrize("text", ["", "{}", '{"cells": []}', "<html>", "\x00"])
def test_a_file_of_any_name_that_is_no_exercise_is_a_stranger(tmp_path, text, sandbox):
    path = write(tmp_path / "homework.ipynb", text)
    exercise, (verdict,) = judge_file(str(path), "", Settings(exercises=(EXERCISE,)), sandbox)
    assert exercise == ""
    assert verdict.headline.endswith(".")
