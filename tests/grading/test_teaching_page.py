"""The teachers' page: what it shows is run, and what it says agrees with the code."""

import functools
import re
import shlex
import subprocess

import pytest
import yaml
from class_of_eight import EXERCISE, NAME, ROOT, FakeJudges, notebook, write

from course_lib.grading import __main__ as command
from course_lib.grading import specs
from course_lib.grading.classroom.run import grade
from course_lib.grading.judge import judge_function
from course_lib.grading.notebook import parse_cell
from course_lib.grading.report import group_of
from course_lib.grading.states import State

TEXT = (ROOT / "teaching.md").read_text(encoding="utf-8")
BLOCKS = [
    (language, re.sub(r"^   ", "", code, flags=re.MULTILINE) if indent else code)
    for indent, language, code in re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", TEXT, re.M | re.S)
]
JOINED = TEXT.replace("\\\n", " ")
COMMANDS = [
    match.split("|")[0].strip() for match in re.findall(r"-m course_lib\.grading (.+)", JOINED)
]


def blocks(language):
    return [code for name, code in BLOCKS if name == language]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_works_as_printed(line, tmp_path, monkeypatch, capsys):
    for place in ("class/ada", "submission", "work/exercises"):
        write(tmp_path / place / NAME, notebook())
    (tmp_path / "reports").mkdir()
    for absolute in ("/autograder/submission", "/reports", "/class"):
        line = line.replace(absolute, absolute.rsplit("/", 1)[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "grade", functools.partial(grade, judge_all=FakeJudges()))
    arguments = shlex.split(line)
    assert command.main(arguments) == 0
    assert "5/0/0" in capsys.readouterr().out
    options = command.parser().parse_args(arguments)
    named = [word for word in arguments if re.search(r"\.(csv|json|jsonl|xml)$", word)]
    assert sorted(map(str, command.outputs(options))) == sorted(named)
    for path in command.outputs(options):
        assert path.stat().st_size > 100
    assert len(COMMANDS) == 7


def test_every_option_is_explained_and_no_other():
    listed = set(re.findall(r"^\| `(--\w+)", TEXT, re.MULTILINE))
    known = {name for action in command.parser()._actions for name in action.option_strings}
    assert listed == known - {"-h", "--help"}


def test_every_state_is_explained_in_its_group():
    table = TEXT.split("## What the states mean")[1].split("\n\n")[1]
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in table.splitlines()[2:]]
    assert {state: group for state, group, _ in rows} == {s.value: group_of(s) for s in State}
    assert all(len(text) > 20 for _, _, text in rows)


def test_the_workflow_is_complete():
    (workflow,) = map(yaml.safe_load, blocks("yaml"))
    (job,) = workflow["jobs"].values()
    assert workflow[True] == ["push"]  # YAML 1.1 takes "on" for true
    assert workflow["permissions"] == {"contents": "read"}
    assert [step.get("uses", "run").split("@")[0] for step in job["steps"]] == [
        "actions/checkout",
        "actions/setup-python",
        "run",
        "run",
        "run",
    ]
    for step in job["steps"][2:]:
        subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def test_the_scripts_are_scripts():
    scripts = blocks("bash")
    assert sum(script.startswith("#!/usr/bin/env bash\n") for script in scripts) == 2
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_container_is_given_files_that_exist():
    (dockerfile,) = blocks("docker")
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE)
    assert copied
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()


@pytest.fixture(scope="module")
def task():
    """The task of the page."""
    (source,) = blocks("python")
    names: dict = {}
    exec(source, names)
    return names["SPEC"]


HEAD = "def effective_sample_size(weights):\n    return "
ANSWERS = {
    "weights.sum() ** 2 / (weights ** 2).sum()": (),
    "sum(weights) ** 2 / sum(w * w for w in weights)": (),
    "weights.sum() / (weights ** 2).sum()": ("sum_not_squared",),
    "weights.sum() ** 2 / (weights ** 2).sum() / len(weights)": ("share",),
    "weights.sum() / (weights ** 2).mean() / len(weights) ** 2": ("sum_not_squared", "share"),
    "len(weights)": None,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_task_of_the_page_judges(answer, task, sandbox):
    mistakes = ANSWERS[answer]
    verdict = judge_function([parse_cell(1, HEAD + answer)], task, sandbox)
    if mistakes is None:
        assert verdict.state is State.WRONG
    else:
        assert verdict.state is (State.KNOWN_MISTAKE if mistakes else State.RIGHT)
        assert verdict.mistakes == mistakes


def test_the_task_of_the_page_is_a_good_one(task):
    """Its oracle and its variant agree, and it takes no name of the book's."""
    for seed in range(5):
        for probe in task.draw(seed):
            assert abs(task.oracle(*probe.arguments) - task.variant(*probe.arguments)) < 1e-12
    assert task.name not in specs.SPECS
    assert task.exercise == EXERCISE


def test_the_page_is_part_of_the_book_and_linked():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    assert "teaching" in files
    for name in ("README.md", "CONTRIBUTING.md"):
        assert (ROOT / name).read_text(encoding="utf-8").count("(teaching.md)") == 1
