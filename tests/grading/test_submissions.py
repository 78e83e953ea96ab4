"""Which file belongs to whom, whatever it is called and whatever lies around it."""

import os

import pytest
from class_of_eight import EXERCISE, NAME, write

from course_lib.grading.classroom.file_names import name_pattern, read_name, student_of
from course_lib.grading.classroom.submissions import (
    MAX_COPIES,
    MAX_DEPTH,
    MAX_FILES,
    MAX_UNNAMED,
    collect,
)

EXERCISES = ("01_policy_gradients", EXERCISE)
PATTERN = name_pattern(EXERCISES)


@pytest.mark.parametrize(
    ("name", "student", "exercise"),
    [
        (NAME, "", EXERCISE),
        (f"ada_{NAME}", "ada", EXERCISE),
        (f"ada-{EXERCISE}-Copy1.ipynb", "ada", EXERCISE),
        (f"ada {EXERCISE} (2).ipynb", "ada", EXERCISE),
        (f"Copy of {NAME}", "", EXERCISE),
        (f"{EXERCISE}_ada.ipynb", "ada", EXERCISE),
        (f"{EXERCISE} - Copy.ipynb", "", EXERCISE),
        (f"ADA_{NAME.upper()}", "ADA", EXERCISE),
        ("ada_02 advantage estimation.ipynb", "ada", EXERCISE),
        (f"{NAME}.json", "", EXERCISE),
        (f"ada_{NAME}.txt", "ada", EXERCISE),
        ("ada_01_policy_gradients.py", "ada", "01_policy_gradients"),
        (f"doejane_123_456_{EXERCISE}-2.ipynb", "doejane_123_456", EXERCISE),
        (f"Jane Doe_123_assignsubmission_file_{NAME}", "Jane Doe_123_assignsubmission_file", EXERCISE),
        ("homework (1).ipynb", "homework", ""),
        ("ada\n.ipynb", "ada\n", ""),
    ],
)  # fmt: skip
def test_names_of_files(name, student, exercise):
    assert read_name(name, PATTERN) == (student, exercise)


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("ada", "ada"),
        ("Jane Doe_123_assignsubmission_file_", "Jane Doe_123"),
        ("Jane Doe_123_assignsubmission_onlinetext", "Jane Doe_123"),
        ("doejane_123_456", "doejane_123"),
        ("doejane_LATE_123_456", "doejane_123"),
        ("two\nlines", "two\\nlines"),
        ("\u202eada", "\\u202eada"),
        ("\x1b[2Jada", "\\x1b[2Jada"),
        ("ada\udcff", "ada\\udcff"),
        ("Åsa 🎓", "Åsa 🎓"),
        ("A\u030asa", "\u00c5sa"),
    ],
)
def test_names_of_students(name, student):
    assert student_of(name) == student


def found_in(folder, **options):
    """Return (student, exercise, name) of every submission, and the reasons for the strangers."""
    found = collect(folder, EXERCISES, **options)
    files = [(s.student, s.exercise, s.name) for s in found.submissions]
    return files, {s.name: s.reason for s in found.strangers}, found.students


def test_folders_and_single_files_are_told_apart(tmp_path):
    write(tmp_path / "ada" / "deep" / "er" / NAME, "x")
    write(tmp_path / "ada" / f"from_bob_{NAME}", "x")
    write(tmp_path / f"cyd_{NAME}", "x")
    write(tmp_path / "dan.ipynb", "x")
    (tmp_path / "eve").mkdir()
    files, strangers, students = found_in(tmp_path)
    assert sorted(files) == [
        ("ada", EXERCISE, f"ada/deep/er/{NAME}"),
        ("ada", EXERCISE, f"ada/from_bob_{NAME}"),
        ("cyd", EXERCISE, f"cyd_{NAME}"),
        ("dan", "", "dan.ipynb"),
    ]
    assert strangers == {}
    assert sorted(students) == ["ada", "cyd", "eve"]  # dan, once something is recognised


def test_everything_belongs_to_one_student_where_there_is_one(tmp_path):
    write(tmp_path / NAME, "x")
    write(tmp_path / "more" / "01_policy_gradients.py", "x")
    files, _, students = found_in(tmp_path, one_student="submission")
    assert {student for student, _, _ in files} == {"submission"} == set(students)
    assert len(files) == 2


def test_what_programs_leave_behind_is_passed_over(tmp_path):
    for place in (".ipynb_checkpoints", "__MACOSX", ".git", "__pycache__"):
        write(tmp_path / "ada" / place / NAME, "x")
    write(tmp_path / "ada" / f"._{NAME}", "x")
    write(tmp_path / "ada" / "conftest.py", "x")
    assert found_in(tmp_path) == ([], {}, ["ada"])


def test_of_a_copy_of_the_book_only_the_exercises_count(tmp_path):
    for place in ("course_lib", "solutions", "exercises", "tests"):
        write(tmp_path / "ada" / "fork" / place / NAME, "x")
        write(tmp_path / "own" / place / NAME, "x")
    files, strangers, _ = found_in(tmp_path)
    assert [name for _, _, name in files] == [f"ada/fork/exercises/{NAME}", f"own/exercises/{NAME}"]
    assert strangers == {}
    files, _, students = found_in(tmp_path / "own")
    assert (files, students) == ([("exercises", EXERCISE, f"exercises/{NAME}")], ["exercises"])


def test_what_the_owner_of_a_fork_added_counts_too(tmp_path):
    for place in ("course_lib", "solutions", "chapters", "exercises", "week 2", "."):
        write(tmp_path / "ada" / place / NAME, "x")
    write(tmp_path / "ada" / "README.md", "the book's")
    write(tmp_path / "bob" / NAME, "x")
    files, strangers, students = found_in(tmp_path)
    places = (f"ada/{NAME}", f"ada/exercises/{NAME}", f"ada/week 2/{NAME}", f"bob/{NAME}")
    assert [name for _, _, name in files] == list(places)
    assert (strangers, students) == ({}, ["ada", "bob"])


@pytest.mark.parametrize("place", ["ada/", ""])
def test_the_library_beside_the_notebooks_hides_nothing(place, tmp_path):
    write(tmp_path / "ada" / NAME, "x")
    write(tmp_path / "ada" / "results" / f"bob_{NAME}", "x")
    for folder in ("course_lib", "solutions"):
        write(tmp_path / place / folder / NAME, "x")
    files, strangers, students = found_in(tmp_path)
    assert [name for _, _, name in files] == [f"ada/{NAME}", f"ada/results/bob_{NAME}"]
    assert sorted(strangers) == [f"{place}course_lib", f"{place}solutions"]
    assert set(strangers.values()) == {"a folder of the book, not a submission"}
    assert students == ["ada"]
    write(tmp_path / "cyd" / "solutions" / NAME, "x")  # a folder like any other, without a library
    assert ("cyd", EXERCISE, f"cyd/solutions/{NAME}") in found_in(tmp_path)[0]


def test_one_name_in_two_unicode_forms_is_one_student(tmp_path):
    write(tmp_path / "Jose\u0301" / NAME, "x")
    write(tmp_path / "Jos\u00e9" / "01_policy_gradients.py", "x")
    write(tmp_path / f"Jose\u0301_{NAME}", "x")
    files, _, students = found_in(tmp_path)
    assert students == ["Jos\u00e9"] == sorted({student for student, _, _ in files})
    assert len(files) == 3


def test_helpers_hide_no_notebook_and_the_reasons_are_true(tmp_path):
    for number in range(MAX_UNNAMED + 2):
        write(tmp_path / "ada" / f"a_{number}.py", "x = 1")
    write(tmp_path / "ada" / "solution.ipynb", "x")
    files, strangers, _ = found_in(tmp_path)
    assert "ada/solution.ipynb" in [name for _, _, name in files]
    reason = f"more than {MAX_UNNAMED} files whose names say no exercise"
    assert list(strangers.values()) == [reason] * 3


@pytest.mark.parametrize("same_time", [False, True])
@pytest.mark.parametrize("last", ["", " (9)"])
def test_of_many_copies_the_likeliest_are_judged(last, same_time, tmp_path):
    """The exercise's own name, then the newest, then the highest number."""
    stem = f"{EXERCISE}{{}}.ipynb".format
    names = [stem(f" ({number})") for number in range(1, 9)] + [stem(last)]
    for age, name in enumerate(names):
        path = write(tmp_path / "ada" / name, "x")
        os.utime(path, (1e9, 1e9) if same_time else (1e9 + age, 1e9 + age))
    files, strangers, _ = found_in(tmp_path)
    assert [name for _, _, name in files] == sorted(f"ada/{name}" for name in names[-MAX_COPIES:])
    assert len(files) + len(strangers) == len(names)


def test_links_are_never_followed(tmp_path):
    other = write(tmp_path / "ada" / NAME, "x")
    (tmp_path / "mallory").mkdir()
    (tmp_path / "mallory" / NAME).symlink_to(other)
    (tmp_path / "mallory" / "folder").symlink_to(tmp_path / "ada")
    (tmp_path / "mallory" / "loop").symlink_to(tmp_path)
    (tmp_path / "mallory" / "nowhere.ipynb").symlink_to(tmp_path / "nothing")
    (tmp_path / f"niaj_{NAME}").symlink_to(other)
    files, strangers, _ = found_in(tmp_path)
    assert files == [("ada", EXERCISE, f"ada/{NAME}")]
    assert len(strangers) == 5
    assert set(strangers.values()) == {"a link, not a file"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_named_like_a_notebook_is_not_opened(tmp_path):
    (tmp_path / "ada").mkdir()
    os.mkfifo(tmp_path / "ada" / NAME)
    files, strangers, _ = found_in(tmp_path)
    assert (files, list(strangers.values())) == ([], ["neither a file nor a folder"])


def test_floods_of_files_copies_and_folders_end_somewhere(tmp_path):
    for number in range(MAX_COPIES + 3):
        write(tmp_path / "copies" / f"{number}_{NAME}", "x")
    write(tmp_path / "deep" / "/".join("d" * (MAX_DEPTH + 2)) / NAME, "x")
    (tmp_path / "many").mkdir()
    for number in range(MAX_FILES + 10):
        (tmp_path / "many" / f"{number}.txt").touch()
    files, strangers, students = found_in(tmp_path)
    assert len(files) == MAX_COPIES
    reasons = list(strangers.values())
    assert reasons.count(f"more than {MAX_COPIES} files for one exercise") == 3
    assert sum("too deep" in reason for reason in reasons) == 1
    assert sum("were not looked at" in reason for reason in reasons) == 1
    assert students == ["copies", "deep", "many"]


def test_a_folder_that_cannot_be_opened_is_reported(tmp_path, monkeypatch):
    write(tmp_path / "ada" / "locked" / NAME, "x")
    write(tmp_path / "bob" / NAME, "x")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    files, strangers, _ = found_in(tmp_path)
    assert files == [("bob", EXERCISE, f"bob/{NAME}")]
    assert strangers == {"ada/locked": "the folder cannot be opened: Permission denied"}
