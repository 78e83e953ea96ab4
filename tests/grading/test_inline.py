"""`check` in a notebook: the same verdicts, in this process, and no exception of its own."""

import contextlib
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import torch
from conftest import EXERCISE

from course_lib.grading import check, inline, specs
from course_lib.grading.inline import TimeIsUp, judge_here, run_with_limit
from course_lib.grading.judge import judge_notebook
from course_lib.grading.notebook import parse_cell
from course_lib.grading.report import as_html, closing_table
from course_lib.grading.states import State, Verdict


def namespace(source):
    names = {}
    exec(source, names)
    return names


def normalize(x, epsilon=1e-8):
    return (x - x.mean()) / (x.std() + epsilon)


def test_right_is_fast_once_warm(capsys):
    check(normalize)
    start = time.process_time()  # what else the machine does must not count
    check(normalize)
    assert time.process_time() - start < 1.0
    assert capsys.readouterr().out.startswith("normalize: right. It agrees on all 11 probes.")


def test_solutions_and_mistakes_get_the_same_verdict_as_in_the_sandbox(
    solution_sources, write_notebook, sandbox
):
    of_exercise = [spec.name for spec in specs.of_exercise(EXERCISE)]
    sources = {name: solution_sources[name] for name in of_exercise}
    sources["first"] = "import numpy as np"
    wrong = solution_sources["gae"].replace(" * (1.0 - ended[t])", "")
    assert wrong != solution_sources["gae"]
    for gae in (solution_sources["gae"], wrong, wrong.replace("gamma * gae_lambda", "gae_lambda")):
        sources["gae"] = gae
        path = write_notebook(*reversed(sources.values()))
        names = namespace("\n".join(reversed(sources.values())))
        for verdict in judge_notebook(path, specs.of_exercise(EXERCISE), sandbox):
            here = judge_here(names[verdict.task])
            assert (here.state, here.headline, here.hint, here.evidence, here.mistakes) == (
                verdict.state,
                verdict.headline,
                verdict.hint,
                verdict.evidence,
                verdict.mistakes,
            )


def test_an_endless_loop_is_interrupted():
    def normalize(x, epsilon=1e-8):
        while True:
            pass

    verdict = judge_here(normalize, seconds=0.2)
    assert verdict.state is State.TIMEOUT
    assert judge_here(globals()["normalize"]).state is State.RIGHT


def test_slow_imports_are_not_the_functions_time():
    code = (
        "import sys, torch\n"
        "from course_lib.grading import inline\n"
        "def normalize(x, epsilon=1e-8):\n"
        "    assert 'torch._dynamo' in sys.modules\n"
        "    torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1)\n"
        "    return (x - x.mean()) / (x.std() + epsilon)\n"
        "verdict = inline.judge_here(normalize, seconds=600.0)\n"
        "sys.exit(verdict.as_text() if verdict.state.value != 'right' else 0)"
    )
    root = inline.__file__.rsplit("course_lib", 1)[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_limit_of_check_is_ten_seconds():
    assert inline.LIMIT_SECONDS == 10


def test_a_call_that_ends_in_time_is_not_interrupted_later():
    finished = 0
    for number in range(100):
        with contextlib.suppress(TimeIsUp):  # in time or not, but never after the call
            finished += run_with_limit(lambda: 1, 1e-5 * number)
        for _ in range(1000):
            pass
    assert finished > 0


def test_inputs_are_copies_and_changes_in_place_are_noticed():
    def normalize(x, epsilon=1e-8):
        x -= x.mean()
        return x / (x.std() + epsilon)

    verdict = judge_here(normalize)
    assert verdict.state is State.WRONG
    assert "changes its argument `x` in place" in verdict.headline


STUB = 'def normalize(x, epsilon=1e-8):\n    """Doc."""\n    raise NotImplementedError("Write it.")'


def test_the_stub_is_not_attempted_and_a_started_one_is_unfinished():
    assert judge_here(namespace(STUB)["normalize"]).state is State.NOT_ATTEMPTED
    started = STUB.replace("    raise", "    y = x - x.mean()\n    raise")
    assert judge_here(namespace(started)["normalize"]).state is State.UNFINISHED
    nothing = STUB.replace('raise NotImplementedError("Write it.")', "pass")
    assert judge_here(namespace(nothing)["normalize"]).state is State.UNFINISHED


def test_an_unwritten_helper_is_named():
    source = "def td_residuals(*a):\n    raise NotImplementedError('x')\n"
    source += "def gae(*a):\n    return td_residuals(*a)"
    verdict = judge_here(namespace(source)["gae"])
    assert verdict.state is State.UNFINISHED
    assert "calls `td_residuals`, which is not written yet" in verdict.headline


@pytest.mark.parametrize("error", [SystemExit(0), RecursionError(), ValueError("x" * 10_000)])
def test_nothing_that_a_function_raises_gets_out(error, capsys):
    def normalize(x, epsilon=1e-8):
        raise error

    check(normalize)
    out = capsys.readouterr().out
    what = f"It raised {type(error).__name__}"
    if isinstance(error, SystemExit):
        what = "Your function ended Python."
    assert out.startswith(f"normalize: raised. {what}")
    assert len(out) < 2000


def test_the_kernels_own_exit_ends_the_function_and_not_the_kernel():
    class ZMQExitAutocall:  # what `exit` is in Jupyter: it returns, and the kernel stops later
        def __call__(self):
            raise AssertionError("the kernel would shut down")

    names = namespace("def normalize(x, epsilon=1e-8):\n    exit()")
    names["exit"] = kernels = ZMQExitAutocall()
    verdict = judge_here(names["normalize"])
    assert verdict.headline == "Your function ended Python."
    assert names["exit"] is kernels
    assert "quit" not in names


@pytest.mark.parametrize("odd", [3, None, "normalize", np.mean, [], torch.ones(2), object])
def test_what_is_no_task_is_answered_in_words(odd, capsys):
    check(odd)
    assert "There is no such task" in capsys.readouterr().out


def test_a_fault_of_the_judge_itself_is_owned_up_to(monkeypatch, capsys):
    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr(inline, "judge_here", broken)
    check(normalize)
    assert "The judge itself failed (KeyError: 'oops')" in capsys.readouterr().out


def test_the_librarys_own_function_is_not_an_answer():
    from course_lib.advantages import gae

    assert judge_here(gae).state is State.NEEDS_REVIEW


def test_a_lambda_is_found_by_the_name_it_has_in_the_notebook(capsys):
    names = namespace("normalize = lambda x, epsilon=1e-8: (x - x.mean()) / (x.std() + epsilon)")
    assert judge_here(names["normalize"], names).state is State.RIGHT
    assert judge_here(names["normalize"], {}).state is State.MISSING


def test_what_a_function_prints_is_kept_short_and_shown_only_if_it_is_wrong(capsys):
    def chatty(x, epsilon=1e-8):
        for number in range(100):
            print("line", number)
        return x

    chatty.__name__ = "normalize"
    verdict = judge_here(chatty)
    assert verdict.printed.splitlines() == [f"line {number}" for number in range(8)]
    assert capsys.readouterr().out == ""


def test_a_flood_of_output_is_stopped():
    def normalize(x, epsilon=1e-8):
        while True:
            print("x" * 10_000)

    assert judge_here(normalize).state is State.OUTPUT


@pytest.mark.parametrize("kernel", [True, False])
def test_notebooks_get_html_and_terminals_text(kernel, monkeypatch, capsys):
    shown = []
    shell = types.SimpleNamespace(kernel=object()) if kernel else types.SimpleNamespace()
    fake = types.ModuleType("IPython")
    fake.get_ipython = lambda: shell
    fake_display = types.ModuleType("IPython.display")
    fake_display.display = lambda data, raw: shown.append(data)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", fake_display)
    check(normalize)
    if kernel:
        assert set(shown[0]) == {"text/html", "text/plain"}
        assert "normalize: right" in shown[0]["text/html"]
        assert capsys.readouterr().out == ""
    else:
        assert shown == []
        assert "normalize: right" in capsys.readouterr().out


def test_html_is_escaped_and_state_is_a_word_not_only_a_colour():
    verdict = Verdict(
        "gae", State.RAISED, "It said <script>&", "See `x < y`.", "<pre>", ("n",), "<b>"
    )
    page = as_html(verdict)
    assert "<script>" not in page
    assert "<code>x &lt; y</code>" in page
    assert "gae: raised." in page
    assert "It printed:" in page


def test_the_closing_table_counts_every_state_once():
    rows = [("02_a", f"t{number}", state.value) for number, state in enumerate(State)]
    table = closing_table([*rows, ("01_b", "u", "right")])
    lines = table.splitlines()
    assert lines[1].split() == ["01_b", "1", "0", "0"]
    assert lines[3].split() == ["02_a", "1", "11", "3"]
    assert "t12 (unreadable)" not in lines[3]
    assert "unreadable" in table


def test_no_torch_is_imported_for_a_numpy_task():
    code = (
        "import sys, course_lib.grading as g\n"
        "def normalize(x, epsilon=1e-8): return (x - x.mean()) / (x.std() + epsilon)\n"
        "g.check(normalize)\nsys.exit('torch' in sys.modules)"
    )
    root = inline.__file__.rsplit("course_lib", 1)[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_cells_parse_with_magics():
    cell = parse_cell(1, "%matplotlib inline\n!pip list\nx = %time 3\n?len\ny = 4")
    assert not cell.error
    assert len(cell.statements) == 5
