"""What comes back from a submission, or lies where verdicts lie, may have any shape."""

import json
import re
import time
from pathlib import Path

import pytest
from class_of_eight import NAME, FakeJudges, make_class, notebook, write

from course_lib.grading import specs
from course_lib.grading.__main__ import main
from course_lib.grading.classroom import ledger as kept
from course_lib.grading.classroom.ledger import Ledger, LedgerError
from course_lib.grading.classroom.run import grade
from course_lib.grading.extraction import Extract
from course_lib.grading.judge import read_reply, with_notes
from course_lib.grading.sandbox.client import read_result
from course_lib.grading.sandbox.outcomes import MAX_RESULT
from course_lib.grading.states import State, Verdict

SPEC = specs.SPECS["gae"]
FOUND = Extract([], None, frozenset(), (), *[{}] * (len(Extract.__dataclass_fields__) - 4))
NUMBERS = '{"kind": "array", "dtype": %s, "shape": %s, "data": %s}'


def answers(text):
    return '{"outcomes": [%s]}' % ", ".join([text] * 30)  # noqa: UP031 braces all over


def value(text):
    return answers('{"value": %s}' % text)  # noqa: UP031


def nested(depth, inside="[]"):
    text = inside
    for _ in range(depth):
        text = '{"kind": "list", "items": [%s]}' % text  # noqa: UP031
    return text


FORGED = {
    "a text of a gigabyte": value(NUMBERS % ('"U280000000"', "[1]", '[""]')),
    "bytes": value(NUMBERS % ('"S1100000000"', "[1]", '[""]')),
    "a structure": value(NUMBERS % ('"V1100000000"', "[1]", "[0]")),
    "fields": value(NUMBERS % ('"f8,(99999999)f8"', "[1]", "[0]")),
    "a shape that repeats": value(NUMBERS % ('"float64"', "[100000000, 0]", "[]")),
    "axes": value(NUMBERS % ('"float64"', str([1] * 5000), "[1]")),
    "deep lists": value(nested(300)),
    "deep lists around a number": value(nested(300, "1.5")),
    "deep JSON": '{"outcomes": ' + "[" * 900 + "]" * 900 + "}",
    "very deep JSON": '{"outcomes": ' + "[" * 100_000,
    "deep texts": '{"printed": %s, "review": %s}' % (("[" * 400 + "]" * 400,) * 2),
    "deep words": '{"broken": {"type": %s}}' % ("[" * 400 + "]" * 400),
    "millions of outcomes": '{"outcomes": [' + "0," * 1_900_000 + "0]}",
    "millions of numbers": '{"outcomes": [{"value": {"kind": "list", "items": ['
    + "1," * 1_900_000
    + "1]}}]}",
    "millions of parts": '{"outcomes": [{"value": {"kind": "list", "items": [null,'
    + "1," * 1_900_000
    + "1]}}]}",
    "short lists without end": '{"outcomes": [{"value": {"kind": "list", "items": ['
    + ",".join(['{"kind":"list","items":[' + "1," * 60 + "1]}"] * 25_000)
    + "]}}]}",
    "empty lists without end": '{"outcomes": [' + "[]," * 1_300_000 + "[]]}",
    "changed without end": answers('{"value": 1, "changed": %s}' % ([10**9] * 10_000)),
    "a long integer": value("1" + "0" * 4000),
    "no numbers": value(NUMBERS % ('"float64"', "[1]", '["1e999"]')),
    "not a list": '{"outcomes": {"0": 1}, "printed": 5}',
    "no JSON": "\x00\xff",
}


def peak_kilobytes(anew=False):
    """Return the most memory that this process has held, since the last time it was asked anew."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0  # no test of memory on this system
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_report_costs_little_and_is_never_right(name):
    text = FORGED[name].encode()
    assert len(text) <= MAX_RESULT
    SPEC.draw()
    before = peak_kilobytes(anew=True)
    start = time.process_time()
    result = read_result(text)
    reply = {"ended": "finished", "status": 0, "result": result}
    verdict = with_notes(read_reply(SPEC, reply, 2026, FOUND), (), result)
    assert time.process_time() - start < 2.0
    assert verdict.state is not State.RIGHT
    assert len(verdict.as_text()) < 5000
    assert peak_kilobytes() - before < 200_000


def test_what_a_student_writes_cannot_steer_a_terminal():
    escape = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e"
    verdict = Verdict("gae", State.RAISED, escape, escape, escape, (escape,), escape, (escape,))
    text = verdict.as_text()
    assert text.replace("\n", "").isprintable()
    assert "\\x1b]0;title\\x07" in text


def test_escapes_in_pytests_output(write_notebook, sandbox):
    from course_lib.grading.judge import judge_notebook

    head = "def gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda):\n"
    for body in (
        "    print('\x1b[2J')\n    return rewards",
        "    raise ValueError('\x1b]0;t\x07')",
    ):
        (verdict,) = judge_notebook(write_notebook(head + body), [SPEC], sandbox)
        assert verdict.as_text().replace("\n", "").isprintable()
        assert "\\x1b" in verdict.as_text()


@pytest.fixture
def lines(tmp_path):
    """A class that was judged, its file of verdicts, and that file's lines."""
    folder, path = make_class(tmp_path / "class"), tmp_path / "class.verdicts.jsonl"
    grade(folder, ledger=Ledger(path), judge_all=FakeJudges())
    return folder, path, path.read_text().splitlines()


def points(folder, path):
    judges = FakeJudges(lambda task: Verdict(task, State.WRONG, "No."))
    result = grade(folder, ledger=Ledger(path), judge_all=judges)
    return sum(graded.points for graded in result.graded), len(judges.jobs)


DAMAGE = {
    "a state": lambda line: line.replace('"right"', '"wrong"', 1),
    "a key": lambda line: line.replace('"key": "', '"key": "0', 1),
    "no checksum": lambda line: json.dumps({**json.loads(line), "check": None}),
    "a list of verdicts": lambda line: line.replace('"verdicts": [', '"verdicts": [[', 1),
    "half a line": lambda line: line[: len(line) // 2],
    "a deep line": lambda line: '{"key": ' + "[" * 100_000,
    "no object": lambda line: "[1, 2]",
    "zeros": lambda line: "\0" * 1000,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_line_is_judged_again_and_said(name, lines):
    folder, path, rows = lines
    assert points(folder, path) == (35, 0)
    path.write_text("\n".join([rows[0], DAMAGE[name](rows[1]), *rows[2:]]) + "\n")
    assert Ledger(path).damaged == 1
    assert points(folder, path) == (30, 1)


def test_verdicts_under_another_secret_do_not_count(lines, tmp_path, capsys):
    folder, path, rows = lines
    other = tmp_path / "other"
    other.write_text("\n".join(rows) + "\n")
    assert Ledger(other).damaged == len(rows)
    assert points(folder, other)[1] == len(rows)
    kept.secret_file(path).write_text("lost")
    assert points(folder, path)[1] == len(rows)
    assert kept.secret_file(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["student,points\nada,5\n", "\0" * 100, '[{"a": 1}]'])
def test_a_file_that_holds_something_else_is_left_alone(text, tmp_path, capsys):
    write(tmp_path / "class" / "ada" / NAME, notebook())
    other = write(tmp_path / "grades.csv", text)
    with pytest.raises(LedgerError, match="holds no verdicts, but something else"):
        Ledger(other)
    assert main([str(tmp_path / "class"), "--verdicts", str(other)]) == 1
    assert "Nothing was changed" in capsys.readouterr().err
    assert other.read_text() == text


def test_a_full_disk_ends_no_run(tmp_path, monkeypatch):
    folder = make_class(tmp_path / "class")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "append", full)
    ledger = Ledger(tmp_path / "verdicts")
    result = grade(folder, ledger=ledger, judge_all=FakeJudges())
    assert sum(graded.points for graded in result.graded) == 35
    assert ledger.problem == "No space left on device"
    assert points(folder, tmp_path / "verdicts")[1] == 7


def test_without_room_for_temporary_files_there_is_a_report(tmp_path, monkeypatch):
    folder = make_class(tmp_path / "class")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("course_lib.grading.classroom.run.tempfile.TemporaryDirectory", full)
    result = grade(
        folder, ledger=Ledger(tmp_path / "verdicts"), exercises=["02_advantage_estimation"]
    )
    states = {v.state for g in result.graded if g.file for v in g.verdicts}
    assert states == {State.NEEDS_REVIEW}
    assert not (tmp_path / "verdicts").exists()


def test_a_report_that_cannot_be_written_does_not_hide_the_others(tmp_path, monkeypatch, capsys):
    (tmp_path / "class").mkdir()

    def full(path, text):
        if path.suffix == ".csv":
            raise OSError(28, "No space left on device")
        path.write_text(text)

    monkeypatch.setattr("course_lib.grading.__main__.write", full)
    files = ("--csv", str(tmp_path / "a.csv"), "--json", str(tmp_path / "a.json"))
    assert main([str(tmp_path / "class"), *files]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("0 students")
    assert "a.csv was not written" in err
    assert json.loads((tmp_path / "a.json").read_text())["students"] == []
