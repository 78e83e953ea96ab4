"""Tasks that ask for a repair: the stub is the faulty code, and untouched it is not attempted."""

import ast
import inspect
import json

import pytest
from tasks import WRITTEN
from test_exercises import file_of

from course_lib.grading import specs
from course_lib.grading.diagnosis import diagnose
from course_lib.grading.extraction import extract
from course_lib.grading.inline import judge_here
from course_lib.grading.judge import judge_notebook, statements_of
from course_lib.grading.notebook import read_code_cells
from course_lib.grading.outcome import read_outcome
from course_lib.grading.sandbox.run import load_harness, run_probes
from course_lib.grading.sandbox.wire import pack
from course_lib.grading.states import State

REPAIRS = [spec for spec in specs.TASKS if spec.printed]
IMPORTS = "import numpy as np\nimport torch\n\n"


def stub_of(spec):
    """Return the function of the exercise as text, and the statement that defines it."""
    found = extract(read_code_cells(file_of("exercises", spec.exercise)), spec.name)
    (source,) = [text for _, _, text in found.fragments if f"def {spec.name}(" in text]
    return source, found.definition


def run(source, name):
    names = {}
    exec(IMPORTS + source, names)
    return names[name]


def test_there_are_five_of_other_peoples_code_and_the_cases_of_chapters_8_and_9():
    cases = ["08_line_search", "09_trpo_in_practice"]
    assert [spec.exercise for spec in REPAIRS] == cases + ["14_reading_code"] * 5


@pytest.mark.parametrize("spec", REPAIRS, ids=lambda spec: spec.name)
def test_the_exercise_is_the_function_as_printed(spec):
    _, definition = stub_of(spec)
    (original,) = ast.parse(inspect.getsource(spec.printed)).body
    assert statements_of(definition) == statements_of(original)
    assert [argument.arg for argument in original.args.args] == list(spec.parameters)


@pytest.mark.parametrize("spec", REPAIRS, ids=lambda spec: spec.name)
def test_the_fault_as_printed_is_in_the_catalogue(spec):
    """The first mistake of the catalogue, and on every seed."""
    function = run(stub_of(spec)[0], spec.name)
    for seed in (0, 1, 2):
        probes = [[pack(argument) for argument in probe.arguments] for probe in spec.draw(seed)]
        raw = run_probes(function, probes, harness=load_harness(spec.harness_source()))
        verdict = diagnose(spec, [read_outcome(entry) for entry in raw], seed)
        assert verdict.mistakes == (spec.mistakes[0].name,)


def untouched(spec):
    """Return the stub as it is, and with changes that change nothing."""
    source, definition = stub_of(spec)
    docstring = ast.get_docstring(definition, clean=False)
    return {
        "as it is": source,
        "without its docstring": source.replace(f'    """{docstring}"""\n', ""),
        "with another docstring": source.replace(docstring, "Where is it?"),
        "with a comment": source + "\n    # What is wrong here?",
    }


@pytest.mark.parametrize("spec", REPAIRS, ids=lambda spec: spec.name)
def test_untouched_it_is_not_attempted(spec, write_notebook, sandbox):
    for case, source in untouched(spec).items():
        (verdict,) = judge_notebook(write_notebook(IMPORTS, source), [spec], sandbox)
        assert verdict.state is State.NOT_ATTEMPTED, case
        assert judge_here(run(source, spec.name)).state is State.NOT_ATTEMPTED, case


@pytest.mark.parametrize("spec", REPAIRS, ids=lambda spec: spec.name)
def test_the_same_fault_in_other_words_is_the_known_mistake(spec, write_notebook, sandbox):
    source, mistake = WRITTEN[spec.name][0]
    assert mistake == spec.mistakes[0].name
    (apart,) = judge_notebook(write_notebook(IMPORTS, source), [spec], sandbox)
    for verdict in (apart, judge_here(run(source, spec.name))):
        assert verdict.state is State.KNOWN_MISTAKE
        assert verdict.mistakes == (mistake,)


@pytest.mark.parametrize("spec", REPAIRS, ids=lambda spec: spec.name)
def test_a_changed_number_is_an_attempt(spec, write_notebook, sandbox):
    source = stub_of(spec)[0].replace("return ", "return 1.5 * ")
    (apart,) = judge_notebook(write_notebook(IMPORTS, source), [spec], sandbox)
    for verdict in (apart, judge_here(run(source, spec.name))):
        assert verdict.state in (State.KNOWN_MISTAKE, State.WRONG)


def test_the_case_of_chapter_12_shows_the_function_that_it_ran_and_only_at_the_end():
    notebook = json.loads(file_of("exercises", "12_implementation_matters").read_text("utf-8"))
    cells = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
    (ran,) = [f for f in definitions(cells["case-run"]) if f.name == "changed"]
    (shown,) = definitions(cells["case-task"])
    assert [ast.dump(statement) for statement in ran.body[1:]] == [
        ast.dump(statement) for statement in shown.body[1:]
    ]
    order = list(cells)
    visible = order[: order.index("case-suspects")]
    visible.remove("case-run")  # folded
    (folded,) = [cell for cell in notebook["cells"] if cell["id"] == "case-run"]
    assert "hide-input" in folded["metadata"]["tags"]
    assert folded["metadata"]["jupyter"]["source_hidden"]
    assert not any("rate" in cells[name].lower().split() or "lr" in cells[name] for name in visible)
    assert order.index("case-suspects") < order.index("case-task") < order.index("case-check")


def definitions(source):
    """Return the functions of a cell."""
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
