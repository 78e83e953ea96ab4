"""`pytest exercises/` as a reader runs it, and the way from solutions to exercises."""

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from course_lib.grading import generate, specs
from course_lib.grading.extraction import extract
from course_lib.grading.judge import is_stub, judge_notebook
from course_lib.grading.notebook import read_code_cells
from course_lib.grading.specs.chapter_02.residuals import EXAMPLE
from course_lib.grading.states import State

ROOT = Path(__file__).resolve().parents[2]
NAME = "02_advantage_estimation.ipynb"
TASKS = [spec.name for spec in specs.of_exercise("02_advantage_estimation")]


@pytest.fixture
def copy(tmp_path):
    """A copy of exercise 02's folder, with the settings that pytest finds in the repository."""
    folder = tmp_path / "exercises"
    shutil.copytree(
        ROOT / "exercises", folder, ignore=shutil.ignore_patterns("__pycache__", "[0-9]*")
    )
    shutil.copy(ROOT / "exercises" / NAME, folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return folder


def run_pytest(folder, *options, targets=("exercises/",)):
    """Run pytest on a folder in a process of its own; the library comes from this repository."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", *targets, "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        command, cwd=folder.parent, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def edit(path, old, new):
    """Replace a piece of a notebook's code that occurs once."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    hits = 0
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        hits += text.count(old)
        cell["source"] = text.replace(old, new)
    assert hits == 1
    path.write_text(json.dumps(notebook), encoding="utf-8")


def file_of(folder, exercise):
    """Return the notebook or the script of an exercise."""
    (path,) = [p for p in (ROOT / folder).glob(f"{exercise}.*") if p.suffix in (".ipynb", ".py")]
    return path


@pytest.mark.parametrize("exercise", dict.fromkeys(spec.exercise for spec in specs.TASKS))
def test_every_solution_is_right_and_every_stub_not_attempted(exercise, sandbox):
    tasks = specs.of_exercise(exercise)
    for folder, state in (("solutions", State.RIGHT), ("exercises", State.NOT_ATTEMPTED)):
        verdicts = judge_notebook(file_of(folder, exercise), tasks, sandbox)
        assert [verdict.task for verdict in verdicts] == [spec.name for spec in tasks]
        assert {verdict.state for verdict in verdicts} == {state}, verdicts


def test_all_exercises_together_are_green_when_nothing_is_attempted():
    status, output = run_pytest(ROOT / "exercises")
    assert status == 0, output
    assert f"{len(specs.TASKS)} skipped" in output


def test_a_fresh_checkout_is_green_and_every_task_is_open(copy):
    status, output = run_pytest(copy)
    assert status == 0, output
    assert "5 skipped" in output
    assert "02_advantage_estimation      0      0     5" in output
    assert "SKIPPED [5] exercises/02_advantage_estimation.ipynb:1: not attempted" in output


def test_solutions_are_right_and_states_reach_junit(copy):
    shutil.copy(ROOT / "solutions" / NAME, copy / NAME)
    report = copy.parent / "report.xml"
    status, output = run_pytest(copy, f"--junitxml={report}")
    assert status == 0, output
    assert "5 passed" in output
    assert "02_advantage_estimation      5      0     0" in output
    properties = [
        (element.get("name"), element.get("value"))
        for element in ElementTree.parse(report).iter("property")
    ]
    assert [value for name, value in properties if name == "task"] == TASKS
    assert properties.count(("state", "right")) == 5


def test_without_the_cut_gae_alone_is_wrong_and_says_so(copy):
    shutil.copy(ROOT / "solutions" / NAME, copy / NAME)
    edit(copy / NAME, " * (1.0 - ended[t])", "")
    status, output = run_pytest(copy)
    assert status == 1
    assert "1 failed, 4 passed" in output
    assert "gae: known mistake." in output
    assert "trace runs across the end of an episode" in output
    assert "wrong  gae (known mistake)" in output
    assert "Traceback" not in output
    assert "02_advantage_estimation      4      1     0" in output


def test_a_damaged_notebook_fails_its_tasks_in_plain_words(copy):
    (copy / NAME).write_text("<html>sign in</html>")
    status, output = run_pytest(copy, "-k", "normalize or gae")
    assert status == 1
    assert "2 failed, 3 deselected" in output
    assert "The file is a web page" in output


@pytest.mark.parametrize(
    "name",
    ["02_advantage_estimation-Copy1", "02_advantage_estimation (2)", "Copy_of_" + NAME[:-6]],
)
def test_a_copy_is_graded_under_its_own_name(copy, name):
    shutil.copy(ROOT / "solutions" / NAME, copy / f"{name}.ipynb")
    status, output = run_pytest(copy)
    assert status == 0, output
    assert "5 passed, 5 skipped" in output
    assert re.search(rf"{re.escape(name)} +5      0     0\n", output)
    assert re.search(r"02_advantage_estimation +0      0     5\n", output)


@pytest.mark.parametrize("alone", [True, False])
def test_a_notebook_that_is_no_exercise_is_not_passed_over_in_silence(copy, alone):
    shutil.copy(ROOT / "solutions" / NAME, copy / "good.ipynb")
    target = ["exercises/good.ipynb"] if alone else ["exercises/"]
    _, output = run_pytest(copy, targets=target)
    assert "good.ipynb is not the name of an exercise, so it was not graded" in output
    assert NAME in output
    assert ("5 skipped" in output) is not alone


def test_a_line_feed_in_a_files_name_ends_no_run(copy):
    shutil.copy(ROOT / "solutions" / NAME, copy / f"mine\n{NAME}")
    status, output = run_pytest(copy)
    assert status == 0, output
    assert "is not the name of an exercise, so it was not graded" in output
    assert "5 skipped" in output


def test_tasks_that_call_a_broken_one_are_blocked(copy):
    shutil.copy(ROOT / "solutions" / NAME, copy / NAME)
    edit(copy / NAME, "next_values, terminated, gamma):", "next_values, terminated, gamma)")
    status, output = run_pytest(copy)
    assert status == 1
    assert "gae: blocked. Blocked by `td_residuals`, which it calls. Code cell 4 is not" in output
    assert "wrong  td_residuals (syntax)" in output
    assert "open   n_step_advantages (blocked), gae (blocked)" in output


def test_tasks_that_call_a_wrong_one_say_so_first(copy):
    shutil.copy(ROOT / "solutions" / NAME, copy / NAME)
    edit(copy / NAME, "return rewards + gamma * (1.0 - terminated)", "return rewards + gamma")
    first = "It calls `td_residuals`, which is not right yet: repair `td_residuals` first."
    for options in ([], ["-k", "gae"]):  # also where the other task is not selected
        status, output = run_pytest(copy, *options)
        assert status == 1
        assert re.search(rf"^gae: .*\. {re.escape(first)}", output, re.MULTILINE)
        assert "td_residuals: known mistake. It calls" not in output
        assert "normalize" not in re.findall(r"^(\w+): .* It calls", output, re.MULTILINE)


def test_the_worked_example_is_the_one_that_the_judge_knows():
    names = {}
    (source,) = [
        c.source
        for c in read_code_cells(ROOT / "solutions" / NAME)
        if "gamma, " in c.source and "= 0.5, " in c.source
    ]
    exec(source, {"np": np}, names)
    assert {name: names[name] for name in EXAMPLE} == EXAMPLE


def test_the_worked_example_of_exercise_06_says_what_its_solution_computes():
    path = ROOT / "solutions" / "06_fisher_vector_products.ipynb"
    names: dict = {}
    for cell in read_code_cells(path):
        if "check(" not in cell.source and "REPOSITORY" not in cell.source:
            exec(cell.source, names)
    kl_fn, outputs_fn, M, old, far, v = (
        names[name] for name in ("kl_fn", "outputs_fn", "M", "old", "far", "v")
    )
    hessian, by_outputs = names["fisher_vector_product"], names["gauss_newton_product"]
    text = path.read_text(encoding="utf-8")
    for product, said in (
        (hessian(kl_fn, old, v), "the product is $(2, 1)$"),
        (hessian(kl_fn, old, v, 0.5), "a damping of 0.5 it is $(2.5, 0.5)$"),
        (hessian(kl_fn, far, v), "At $(2, 2)$ it is $(-2, 2)$"),
        (by_outputs(outputs_fn, M, old, v), "1 = (2, 1)$: the same as in task 1"),
        (by_outputs(outputs_fn, M, far, v), "the product is $(0, 0)$"),
    ):
        numbers = re.findall(r"\((-?[\d.]+), (-?[\d.]+)\)", said)[-1]
        assert said in text
        assert product.tolist() == [float(number) for number in numbers]
    assert v @ hessian(kl_fn, far, v) == -4


def test_exercises_follow_from_solutions_byte_for_byte():
    texts = generate.generate(ROOT / "solutions", ROOT / "exercises")
    assert {path for path, _ in texts} == set((ROOT / "exercises").glob("[0-9]*.*"))
    for path, text in texts:
        assert path.read_bytes() == text.encode(), "run `make exercises`"


def test_the_generator_writes_what_is_missing_and_notices_what_is_stale(tmp_path, capsys):
    options = ["--solutions", str(ROOT / "solutions"), "--exercises", str(tmp_path)]
    assert generate.main([*options, "--check"]) == 1
    assert generate.main(options) == 0
    assert generate.main([*options, "--check"]) == 0
    edit(tmp_path / NAME, "## 1. TD residuals", "## 1. Something else")
    assert generate.main([*options, "--check"]) == 1
    assert "is out of step" in capsys.readouterr().out


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    ### BEGIN SOLUTION\n    return 1",
        "def f():\n    return 1\n    ### END SOLUTION",
        "def f():\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n    ### END SOLUTION",
    ],
)
def test_markers_that_do_not_pair_are_an_error(source):
    with pytest.raises(ValueError, match=r"SOLUTION' .* in f"):
        generate.without_solutions(source)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "exercises").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_an_exercise_says_how_hard_each_task_is_and_how_long_it_takes(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    rows = re.findall(r"^\|.*`(\w+)`.*(?:minutes?|hours?|hour and a half)\b.*\|$", text, re.M)
    assert sorted(rows) == sorted(t.name for t in specs.TASKS if t.exercise == path.stem)


def test_no_solution_reaches_the_exercise():
    text = (ROOT / "exercises" / NAME).read_text(encoding="utf-8")
    for word in ("SOLUTION", "solution", "return rewards", "reversed(range"):
        assert word not in text


@pytest.mark.parametrize("task", TASKS)
def test_stub_and_solution_have_the_signature_of_the_spec(task):
    for folder, stub in (("exercises", True), ("solutions", False)):
        node = extract(read_code_cells(ROOT / folder / NAME), task).definition
        assert tuple(argument.arg for argument in node.args.args) == specs.SPECS[task].parameters
        assert is_stub(node) is stub
        assert any(
            cell.source.strip() == f"check({task})"
            for cell in read_code_cells(ROOT / folder / NAME)
        )
