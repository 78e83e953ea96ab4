"""Finding a function in a notebook, whatever the notebook looks like."""

import json
import os
import sys
import time

import pytest

from course_lib.grading import specs
from course_lib.grading.extraction import NotFoundError, extract
from course_lib.grading.judge import judge_notebook
from course_lib.grading.notebook import UnreadableNotebookError, parse_cell, read_code_cells
from course_lib.grading.states import State

NORMALIZE = specs.SPECS["normalize"]
RIGHT = "def normalize(x, epsilon=1e-8):\n    return (x - x.mean()) / (x.std() + epsilon)"


def taken(*sources, name="f"):
    """Return the sources that are run for a function."""
    cells = [parse_cell(number, source) for number, source in enumerate(sources, start=1)]
    return [source for _, _, source in extract(cells, name).fragments]


def test_a_line_of_blanks_takes_no_time():
    start = time.process_time()
    cell = parse_cell(1, "%magic\n" + " " * 200_000 + "x")
    assert time.process_time() - start < 20  # it took hours
    assert "unexpected indent" in cell.error


def test_only_what_the_function_needs_is_taken():
    sources = taken(
        "import os\nimport numpy as np\nfrom math import pi, sqrt",
        "history = train(1_000_000)\nplot(history)",
        "SCALE = 2.0\nOTHER = 3.0",
        "def helper(x):\n    return np.sqrt(x) * SCALE",
        "def unused(x):\n    return os.getcwd()",
        "def f(x):\n    return helper(x) + pi",
        "f(3)\nprint('done')",
    )
    assert sources == [
        "import numpy as np",
        "from math import pi, sqrt",
        "SCALE = 2.0",
        "def helper(x):\n    return np.sqrt(x) * SCALE",
        "def f(x):\n    return helper(x) + pi",
    ]


def test_the_last_definition_wins_with_a_note():
    cells = [parse_cell(1, "def f(): return 1"), parse_cell(2, "def f(): return 2")]
    found = extract(cells, "f")
    assert [source for _, _, source in found.fragments] == ["def f(): return 2"]
    assert found.notes == ("`f` is defined 2 times; the last one counts.",)


def test_names_inside_the_function_pull_in_nothing():
    source = "def f(rewards):\n    values = [v for v in rewards]\n    return values"
    assert taken("rewards = [1]\nvalues = [2]\nv = 3", source) == [source]


def test_a_wrapped_function_brings_what_it_wraps():
    sources = [
        "from functools import partial",
        "def f(x, y):\n    return x + y",
        "f = partial(f, 1)",
    ]
    assert taken(*sources) == sources


def test_decorators_classes_lambdas_and_conditional_imports():
    sources = [
        "try:\n    import fastmath as m\nexcept ImportError:\n    import math as m",
        "def twice(g):\n    return lambda *a: 2 * g(*a)",
        "class Box:\n    def __init__(self, x):\n        self.x = m.sqrt(x)",
        "@twice\ndef f(x):\n    return Box(x).x",
    ]
    assert taken(*sources) == sources
    assert taken("g = lambda x: x", "f = lambda x: g(x)") == [
        "g = lambda x: x",
        "f = lambda x: g(x)",
    ]


def test_star_imports_are_taken_where_a_name_has_no_other_source():
    sources = ["from math import *", "def f(x):\n    return sqrt(x)"]
    assert taken(*sources) == sources
    assert taken("from math import *", "def f(x):\n    return len(x)") != sources


def test_needed_assignments_are_run_whatever_they_call():
    sources = ["def train():\n    return len", "model = train()", "def f(x):\n    return model(x)"]
    assert taken(*sources, "other = train()", "train()") == sources


# What stands above `f`, and what of it is run: everything up to the first "#", which stands alone.
RULE = {
    "changed afterwards": "n = 1|n += 1|t = {}|t['a'] = n|t.update(b=2)|#|t2 = {}|t2.update(b=2)",
    "changed in a loop": "t = []|for k in range(3):\n    t.append(k)|#|k = 3",
    "filled in": "import numpy as np|t = np.ones(2)|np.copyto(t, 3)|#|np.savetxt('x', t)|print(t)",
    "under a condition": "t, n = 1, 2|if n:\n    t = 3\n    print(t)|#|if n:\n    print(t)",
    "only what is above": "n = 1|t = n|#|m = 2|n = m",
    "by a function": "def make():\n    global t\n    t = 3|make()|#|def g():\n    pass|g()",
    "by a decorator": "t = {}|def r(g):\n    t[g] = 1\n    return g|@r\ndef g(x): pass|#|u = {}",
    "by a helper": "t = []|def fill(l):\n    l.append(1)|fill(t)|#|def show(l): print(l)|show(t)",
    "settings": "import torch, sys|torch.set_default_dtype(torch.float64)|sys.setrecursionlimit(9)|t = 1"
    "|#|import seaborn as sns|sns.set_theme()|torch.save(t, 'x')|torch.set_num_threads(1)",
    "settings of decimal": "from decimal import getcontext|getcontext().prec = 50|t = 1",
    "with": "import torch|with torch.no_grad():\n    t = torch.ones(3)|#|with torch.no_grad():\n    pass",
    "walrus": "print(t := 3)|#|print(u := 3)",
    "match": "match 3:\n    case t:\n        pass|#|match 4:\n    case u:\n        pass",
    "registered": "from functools import singledispatch|@singledispatch\ndef t(x):\n    pass"
    "|@t.register\ndef _(x: int):\n    return 1|#|@print\ndef g(x): pass",
    "a comprehension's own name": "xs = [1]|t = [n for n in xs]|#|n = 3",
    "imports under a condition": "try:\n    import numpy as t\nexcept ImportError:\n    print(1)",
}


@pytest.mark.parametrize("case", RULE)
def test_the_rule_of_what_is_run(case):
    wanted, _, others = RULE[case].partition("|#|")
    own = "def f(x):\n    return t"
    sources = [*wanted.split("|"), *filter(None, others.split("|"))]
    assert taken(*sources, own) == [*wanted.split("|"), own]


def test_settings_below_the_function_are_left_out():
    sources = ["import torch", "def f(x):\n    return torch.ones(x)"]
    assert taken(*sources, "torch.set_default_dtype(torch.float64)") == sources


def test_attributes_of_the_function_come_with_it():
    sources = ["def f(x):\n    f.calls += 1\n    return x", "f.calls = 0"]
    assert taken(*sources, "f(3)") == sources


def test_what_is_needed_first_is_run_first():
    """Cells that were run in another order than they stand in."""
    sources = ["t = make()", "def make():\n    return help()", "def help():\n    return n", "n = 3"]
    order = ["n = 3", sources[2], sources[1], sources[0]]
    found = taken(*sources, "def f(x):\n    return t")
    assert found[-1] == "def f(x):\n    return t"
    assert sorted(found[:-1]) == sorted(order)
    assert found.index("n = 3") < found.index("t = make()")
    names: dict = {}
    exec("\n".join(found), names)
    assert names["f"](0) == 3


def test_an_older_version_of_a_recursive_function_is_not_run():
    new = "def f(x):\n    return f(x - 1) if x else 0"
    assert taken("@oops\ndef f(x):\n    return 1", new) == [new]
    assert taken("def f(x):\n    return 1", "@f\ndef f(x):\n    return 2") != [new]


def test_a_broken_cell_hides_only_its_own_functions():
    cells = [parse_cell(1, "def f(x)\n    return x"), parse_cell(2, "def g(x):\n    return x")]
    assert extract(cells, "g").fragments
    with pytest.raises(NotFoundError, match="Code cell 1 is not valid Python: line 1") as caught:
        extract(cells, "f")
    assert caught.value.broken
    assert str(caught.value).endswith(" in `def f(x)`.")
    with pytest.raises(NotFoundError, match="No cell defines `h`") as caught:
        extract(cells, "h")
    assert not caught.value.broken


def test_a_broken_newer_version_is_not_hidden_by_an_older_one():
    cells = [parse_cell(1, "def f(x):\n    return x"), parse_cell(2, "def f(x:\n    return x")]
    with pytest.raises(NotFoundError, match="Code cell 2"):
        extract(cells, "f")


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("%%bash\nrm -rf x", 0),
        ("%%time\nx = 1", 2),
        ("files = !ls\nx = 1", 2),
        ("text = '''\n%not a magic\n'''", 1),
        ("x = (5\n% 3)", 1),
        ("f?\nx = 1", 2),
        ("", 0),
        ("# only a comment", 0),
    ],
)
def test_magics_are_dropped_and_python_is_kept(source, count):
    cell = parse_cell(1, source)
    assert cell.error == ""
    assert len(cell.statements) == count
    assert cell.source.count("\n") == (0 if source.startswith("%%bash") else source.count("\n"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"   \n", "is empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"PK\x03\x04rest", "zip archive"),
        (b'{"cells": [{"cell_type": "code", "sour', "breaks off"),
        (b'{\n<<<<<<< HEAD\n"cells": []\n=======\n>>>>>>> mine\n}', "merge conflict"),
        ('{"cells": [{"source": "caf\xe9"}]}'.encode("latin-1"), "not UTF-8"),
        (b"[1, 2]", "not a notebook"),
        (b'{"cells": 3}', "no list of cells"),
        (b"[" * 100_000, "damaged"),
        (b"\x00\x01\x02" * 50, "damaged"),
    ],
)
def test_what_is_no_notebook_is_named(content, words, tmp_path, sandbox):
    path = tmp_path / "02_advantage_estimation.ipynb"
    path.write_bytes(content)
    with pytest.raises(UnreadableNotebookError, match=words):
        read_code_cells(path)
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert verdict.state is State.UNREADABLE


def test_a_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableNotebookError, match="cannot be opened"):
        read_code_cells(tmp_path / "none.ipynb")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_usual_encodings_are_read(encoding, tmp_path):
    path = tmp_path / "a.ipynb"
    cell = {"cell_type": "code", "source": ["x = 'λ'\n", "y = 2"]}
    path.write_text(json.dumps({"cells": [cell]}, ensure_ascii=False), encoding=encoding)
    assert read_code_cells(path)[0].source == "x = 'λ'\ny = 2"


def test_old_and_odd_notebooks_are_read(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": "x"}]}]}))
    assert read_code_cells(path)[0].source == "x"
    odd = [3, {"cell_type": "code"}, {"cell_type": "code", "source": 3}, {"cell_type": "markdown"}]
    path.write_text(json.dumps({"cells": odd}))
    assert [cell.source for cell in read_code_cells(path)] == ["", ""]


def test_a_hundred_megabytes_of_outputs_do_not_matter(tmp_path, sandbox):
    path = tmp_path / "a.ipynb"
    output = {"output_type": "stream", "name": "stdout", "text": "TEXT"}
    text = json.dumps({"cells": [{"cell_type": "code", "source": RIGHT, "outputs": [output]}]})
    path.write_bytes(text.encode().replace(b"TEXT", b"x" * 100_000_000))
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert verdict.state is State.RIGHT


@pytest.mark.parametrize(
    ("sources", "state", "words"),
    [
        (["def normalise(x): return x"], State.MISSING, "renamed or deleted"),
        ([], State.MISSING, "renamed or deleted"),
        (
            ["def normalize(x:\n    return x"],
            State.SYNTAX,
            "Code cell 1 is not valid Python: line 1",
        ),
        (["x = = 3", RIGHT], State.RIGHT, ""),
        (["normalize = 3"], State.MISSING, "is of type int"),
        ([RIGHT, RIGHT.replace("x.std()", "x.var()")], State.KNOWN_MISTAKE, "defined 2 times"),
        (
            ["def normalize(x, epsilon=1e-8):\n    return np.mean(x)"],
            State.RAISED,
            "import missing",
        ),
        (
            ["m = train()", "def normalize(x, e=1):\n    return m(x)"],
            State.RAISED,
            "runs defines `train`",
        ),
        (
            ["import no_such_module as n\n" + RIGHT.replace("x.std", "n.x.std")],
            State.RAISED,
            "no_such",
        ),
        (["def normalize():\n    return 1"], State.RAISED, "positional arguments"),
        (["def normalize(x, epsilon=1e-8):\n    pass"], State.UNFINISHED, "returns nothing"),
        (
            ["def normalize(x, epsilon=1e-8):\n    y = x\n    raise NotImplementedError"],
            State.UNFINISHED,
            "still reaches",
        ),
        (
            ["def normalize(x, epsilon=1e-8):\n    '''Doc'''\n    raise NotImplementedError('w')"],
            State.NOT_ATTEMPTED,
            "",
        ),
        (["class normalize: pass"], State.RAISED, "takes no arguments"),
        (["async def normalize(x, epsilon=1):\n    return x"], State.WRONG, "coroutine"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine")
def test_states_of_a_notebook(sources, state, words, write_notebook, sandbox):
    (verdict,) = judge_notebook(write_notebook(*sources), [NORMALIZE], sandbox)
    assert verdict.state is state, verdict.as_text()
    assert words in verdict.as_text()


def test_an_error_names_the_cell_and_the_line(write_notebook, sandbox):
    source = "# a comment\n\ndef normalize(x, epsilon=1e-8):\n    y = x\n    return y / z0"
    (verdict,) = judge_notebook(write_notebook("a = 1", source), [NORMALIZE], sandbox)
    assert "In code cell 2, line 5: return y / z0" in verdict.evidence


SCRIPT = """\
# %% [markdown]
# A page.

# %%
import numpy as np

# %%
def normalize(x, epsilon=1e-8):
    y = x
    return y / z0
"""


def test_in_a_script_an_error_names_its_file_and_its_line(tmp_path, sandbox):
    path = tmp_path / "ada_02_advantage_estimation.py"
    path.write_text(SCRIPT)
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert f"In line 10 of {path.name}: return y / z0" in verdict.evidence
    path.write_text(SCRIPT.replace("z0", "globals()['z0']"))
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert f"line 10 of {path.name}" in verdict.as_text()
    path.write_text(SCRIPT.replace("y / z0", "y / z0)"))
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert verdict.headline.startswith(f"`{path.name}` is not valid Python: line 10: ")
    path.write_text("# %%\n" * 50_000 + SCRIPT)  # and many cells cost no more than their text
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert f"In line 50010 of {path.name}" in verdict.evidence


def test_what_calls_a_broken_function_is_blocked_and_says_by_what(write_notebook, sandbox):
    broken = "def centred(x)\n    return x - x.mean()"
    source = "def normalize(x, epsilon=1e-8):\n    return centred(x) / (x.std() + epsilon)"
    path = write_notebook("a = 1", broken, source)
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert verdict.state is State.BLOCKED
    assert verdict.headline.startswith("Blocked by `centred`, which it calls. Code cell 2 is not")
    assert "in `def centred(x)`" in verdict.headline
    assert verdict.evidence == ""
    path = write_notebook("import centred", source.replace("centred", "centered"))
    (verdict,) = judge_notebook(path, [NORMALIZE], sandbox)
    assert verdict.state is State.RAISED


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="needs /proc")
def test_reading_a_stub_starts_no_worker(write_notebook):
    from course_lib.grading.sandbox.client import Sandbox

    with Sandbox() as unused:
        source = "def normalize(x, epsilon=1e-8):\n    raise NotImplementedError('w')"
        judge_notebook(write_notebook(source), [NORMALIZE], unused)
        assert unused._worker is None


HOSTILE = {
    "blank lines in a broken cell": "def broken(:" + "\n" * 40_000,
    "blank lines": "x = 1" + "\n" * 40_000 + "y = 2",
    "a sum 2,000 deep": "x = 1" + " + 1" * 2000,
    "a sum 20,000 deep": "x = 1" + " + 1" * 20_000,
    "attributes 2,000 deep": "x = a" + ".b" * 2000,
    "lambdas 2,000 deep": "f = " + "lambda: " * 2000 + "1",
    "brackets 3,000 deep": "x = " + "(" * 3000 + ")" * 3000,
    "elif 1,000 times": "if x:\n    pass\n" + "elif x:\n    y = 1\n" * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_unrelated_cell_costs_neither_time_nor_the_verdict(name, write_notebook, sandbox):
    path = write_notebook(HOSTILE[name], RIGHT)
    start = time.perf_counter()
    verdicts = judge_notebook(path, specs.of_exercise("02_advantage_estimation"), sandbox)
    assert time.perf_counter() - start < 20
    states = {verdict.task: verdict.state for verdict in verdicts}
    assert states.pop("normalize") is State.RIGHT
    assert set(states.values()) == {State.MISSING}


def test_a_long_chain_of_statements_is_followed_in_a_moment():
    for source in ("t = []\n" + "t.append(t)\n" * 2000, "t = 0\n" + "t = t + 1\n" * 2000):
        start = time.perf_counter()
        assert len(taken(source, "def f(x):\n    return t")) == 2002
        assert time.perf_counter() - start < 10
