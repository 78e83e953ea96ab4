"""Judge processes that hang or die cost one file, and none is left behind."""

import multiprocessing

import fake_judge
import pytest

from course_lib.grading.classroom.judge_process import Job, Settings
from course_lib.grading.classroom.pool import judge_all


def judged(names, processes=2, patience=300.0, target=fake_judge.serve):
    """Return the answer to each name, and check that nobody is left."""
    jobs = [Job(name, "none") for name in names]
    stream = judge_all(jobs, Settings(), processes, patience, target)
    answers = {job[0]: answer for job, answer in stream}
    assert multiprocessing.active_children() == []
    return answers


def test_every_file_is_answered_once_by_the_processes_asked_for():
    names = [f"slow {number}" for number in range(4)]
    answers = judged(names)
    assert {name: answer[0] for name, answer in answers.items()} == {name: name for name in names}
    assert len({answer[1] for answer in answers.values()}) == 2


def test_a_judge_that_dies_costs_its_own_file_alone():
    answers = judged(["a", "die", "b", "die too", "c"])
    assert answers.pop("die") == answers.pop("die too") == "reading it crashed Python"
    assert [answer[0] for answer in answers.values()] == list(answers)
    assert len(answers) == 3


def test_a_judge_that_hangs_is_ended_while_the_other_goes_on():
    answers = judged(["hang", "a", "b"], patience=6.0)  # "hang" sleeps for an hour
    assert answers.pop("hang") == "reading it took too long"
    assert set(answers) == {"a", "b"}


def test_no_more_processes_than_files():
    assert len({answer[1] for answer in judged(["a"], processes=8).values()}) == 1
    assert judged([]) == {}


def test_a_run_that_is_left_early_leaves_no_process():
    stream = judge_all([Job("a", ""), Job("hang", "")], Settings(), 2, 300.0, fake_judge.serve)
    assert next(stream)[0].path == "a"
    stream.close()
    assert multiprocessing.active_children() == []


def test_judges_that_never_start_are_an_error_and_not_an_endless_loop():
    with pytest.raises(RuntimeError, match="did not start"):
        judged(["a"], target=fake_judge.serve_nothing)
