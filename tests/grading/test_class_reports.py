"""The reports of a class: each in its format, whatever the students' names and messages hold."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from class_of_eight import CUT, EXERCISE, NAME, TASKS, FakeJudges, notebook, right, write

from course_lib.grading.__main__ import main
from course_lib.grading.classroom import gradescope, junit, ledger, names, reports
from course_lib.grading.classroom.result import ClassResult, Graded
from course_lib.grading.classroom.run import grade
from course_lib.grading.classroom.submissions import Stranger
from course_lib.grading.classroom.summary import summary
from course_lib.grading.states import State, Verdict

GAE = Verdict(
    "gae",
    State.KNOWN_MISTAKE,
    "",
    "Your trace\nruns on.",
    "Probe 1 of 7",
    printed="hello",
    mistakes=("trace_not_cut", "sign"),
)
WILD = '=HYPERLINK("http://x")\x1b[31m\x00]]>&<'


def result_of(*verdicts, student="ada", **numbers):
    """Return a class of one student with these verdicts in place of right ones."""
    own = {verdict.task: verdict for verdict in verdicts}
    complete = tuple(own.get(task, right(task)) for task in TASKS)
    graded = Graded(student, EXERCISE, f"{student}/{NAME}", (), complete)
    return ClassResult((student,), (EXERCISE,), (graded,), (), **numbers)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_long_csv_has_a_row_per_task():
    rows = rows_of(reports.as_csv(result_of(GAE)))
    assert [row["task"] for row in rows] == TASKS
    (gae,) = [row for row in rows if row["task"] == "gae"]
    assert gae == {
        "student": "ada",
        "exercise": EXERCISE,
        "task": "gae",
        "state": "known mistake",
        "mistakes": "trace_not_cut, sign",
        "headline": "Your trace",
        "points": "0",
        "file": f"ada/{NAME}",
    }
    assert sum(int(row["points"]) for row in rows) == 4


def test_the_csv_for_moodle_has_the_columns_of_its_grading_worksheet():
    (row,) = rows_of(reports.as_moodle(result_of(GAE, student="Jane van Doe_123456")))
    assert row == {
        "Identifier": "Participant 123456",
        "Full name": "Jane van Doe",
        "Grade": "4",
        "Maximum grade": "5",
        "Last modified (grade)": "-",
        EXERCISE: "4",
    }
    (row,) = rows_of(reports.as_moodle(result_of(student="ada")))
    assert (row["Identifier"], row["Full name"], row["Grade"]) == ("", "ada", "5")


def test_json_holds_everything_and_verdicts_come_back_whole():
    report = json.loads(reports.as_json(result_of(GAE, seed=7, judged=1, remembered=2)))
    assert (report["seed"], report["judged"], report["remembered"]) == (7, 1, 2)
    (exercise,) = report["students"][0]["exercises"]
    assert (exercise["exercise"], exercise["points"]) == (EXERCISE, 4)
    (gae,) = [task for task in exercise["tasks"] if task["task"] == "gae"]
    assert gae.pop("points") == 0
    assert ledger.read_verdict(gae) == GAE


def test_junit_has_state_and_mistakes_in_properties_as_pytest_has():
    skipped = Verdict("normalize", State.NOT_ATTEMPTED, "")
    root = ElementTree.fromstring(junit.as_junit(result_of(GAE, skipped)).encode())
    (suite,) = root
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "ada")
    counts = {name: suite.get(name) for name in ("tests", "failures", "skipped", "errors")}
    assert counts == {"tests": "5", "failures": "1", "skipped": "1", "errors": "0"}
    cases = {case.get("name"): case for case in suite}
    assert {case.get("classname") for case in suite} == {EXERCISE}
    values = {
        task: {p.get("name"): p.get("value") for p in case.iter("property")}
        for task, case in cases.items()
    }
    assert values["gae"]["state"] == "known mistake"
    assert values["gae"]["mistakes"] == "trace_not_cut, sign"
    assert set(values["td_residuals"]) == {"notebook", "task", "state"}
    assert "runs on." in cases["gae"].find("failure").text
    assert cases["normalize"].find("skipped") is not None


TOP = {"score", "execution_time", "output", "output_format", "visibility", "stdout_visibility"}
TEST = {
    "score", "max_score", "status", "name", "number", "output", "output_format", "visibility",
    "extra_data",
}  # fmt: skip


def test_gradescope_gets_what_its_documentation_names():
    report = json.loads(gradescope.as_gradescope(result_of(GAE), 12.6))
    assert set(report) == TOP | {"tests"}
    assert (report["score"], report["execution_time"]) == (4.0, 13)
    assert report["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
    assert [test["name"] for test in report["tests"]] == [f"{EXERCISE}: {task}" for task in TASKS]
    for test in report["tests"]:
        assert set(test) == TEST
        assert test["max_score"] == 1.0
        assert test["score"] == (test["status"] == "passed")
    gae = report["tests"][TASKS.index("gae")]
    assert gae["status"] == "failed"
    assert gae["extra_data"] == {"state": "known mistake", "mistakes": ["trace_not_cut", "sign"]}
    assert "Probe 1 of 7" in gae["output"]
    assert "hello" in gae["output"]


def test_numbers_of_private_probes_are_not_shown_to_students():
    report = json.loads(gradescope.as_gradescope(result_of(GAE, seed=7), 1))
    output = report["tests"][TASKS.index("gae")]["output"]
    assert "Your trace" in output
    assert "Probe" not in output
    assert "hello" not in output


def test_gradescope_hears_of_a_submission_without_an_exercise():
    empty = ClassResult(("submission",), (), (), (Stranger("submission", "a.txt", "no"),))
    report = json.loads(gradescope.as_gradescope(empty, 1))
    assert (report["score"], report["tests"]) == (0, [])
    assert "No exercise was found" in report["output"]
    assert "a.txt (no)" in report["output"]


@pytest.mark.parametrize("start", "= + - @ \t \r ＝".split(" "))
def test_a_cell_is_never_a_formula(start):
    (row, *_) = rows_of(reports.as_csv(result_of(student=f"{start}1+cmd|' /C calc'!A0")))
    assert row["student"][0] == "'" or row["student"].startswith("\\")
    assert names.cell(-1) == -1


def test_wild_names_and_messages_leave_every_report_well_formed(capsys):
    wild = Verdict(TASKS[0], State.RAISED, WILD, WILD, WILD, (WILD,), WILD, ())
    student = names.printable("=a\nb\x1b[2J\udcff\u202e")
    result = result_of(wild, student=student)
    stranger = Stranger(student, names.printable("\n.txt"), WILD)
    result = replace(result, strangers=(stranger,))
    row = rows_of(reports.as_csv(result))[0]
    assert row["student"] == "'=a\\nb\\x1b[2J\\udcff\\u202e"
    assert row["headline"].startswith("'=HYPERLINK")
    assert len(rows_of(reports.as_moodle(result))) == 1
    root = ElementTree.fromstring(junit.as_junit(result).encode())
    assert root[0].get("name") == student
    for text in (
        reports.as_json(result),
        gradescope.as_gradescope(result, 1),
        summary(result),
        junit.as_junit(result),
        reports.as_csv(result),
    ):
        assert "\x1b" not in text
        assert "\x00" not in text
        text.encode()  # no half characters either
    assert json.loads(reports.as_json(result))["students"][0]["student"] == student


def test_different_names_stay_different():
    wild = ["a\nb", "a\\nb", "a\\\nb", "a b", "a\u2028b", "a\\u2028b"]
    assert len({names.printable(name) for name in wild}) == len(wild)
    assert not any("\n" in names.printable(name) for name in wild)


def test_odd_names_of_files_and_folders_are_graded_like_any_other(tmp_path):
    odd = ["=1+1", "two\nlines", "-rf", "$(reboot)", "a'b\"c", "Ünïcödé 🎓", "\x1b[2J", "x" * 200]
    for name in odd:
        write(tmp_path / name / NAME, notebook())
    (tmp_path / b"\xff\xfe".decode("utf-8", "surrogateescape")).mkdir()
    result = grade(tmp_path, judge_all=FakeJudges())
    assert len(result.students) == len(odd) + 1
    assert sum(graded.points for graded in result.graded) == 5 * len(odd)
    assert len(rows_of(reports.as_csv(result))) == 5 * (len(odd) + 1)
    summary(result).encode()


def test_a_report_is_written_whole_and_through_no_link(tmp_path):
    secret = write(tmp_path / "secret", "keep")
    (tmp_path / "out.csv").symlink_to(secret)
    reports.write(tmp_path / "out.csv", "ä\r\n")
    assert secret.read_text() == "keep"
    assert (tmp_path / "out.csv").read_bytes() == "ä\r\n".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "secret"]
    with pytest.raises(FileNotFoundError):
        reports.write(tmp_path / "no" / "out.csv", "x")


def test_one_submission_as_gradescope_hands_it_over(tmp_path, capsys):
    """Notebooks lie at the top of the folder; the results lie elsewhere; verdicts are not kept."""
    write(tmp_path / "submission" / NAME, notebook((CUT, "")))
    results = tmp_path / "results.json"
    options = ["--gradescope", str(results), "--seed", "7", "--jobs", "1"]
    assert main([str(tmp_path / "submission"), *options, "--exercise", EXERCISE]) == 0
    report = json.loads(results.read_text())
    assert report["score"] == 4.0
    gae = report["tests"][TASKS.index("gae")]
    assert gae["extra_data"]["mistakes"] == ["trace_not_cut"]
    assert "Probe" not in gae["output"]
    assert capsys.readouterr().out.startswith("1 student, 1 exercise, 5 tasks.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "submission"]
