"""What is a magic: IPython itself is asked, on cells put together from pieces that mislead."""

import ast
import json
import random
import time

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from course_lib.grading.magics import ELSEWHERE, without_magics
from course_lib.grading.notebook import parse_cell, read_code_cells
from course_lib.grading.parser import parse

PIECES = """
x = 1  # over all entries?
%matplotlib inline
!pip install -q tqdm \\\\\\n    numpy
!echo "it's" ?
a, b = !ls "it's
d['k'] = %sql SELECT 'x
n = %timeit -o f(1)
f?
f.g??
f.g[0]?
%%time?
?len
%time?
files = !ls a?
y = f(1)?
x = 3?  # doc
s = '''\\n%not a magic\\n!nor this?\\n'''
s = "%d ? !" % 3
t = (5\\n% 3)
t = [\\n  '''a\\n? ''',\\n  2\\n]
u = 7 \\\\\\n  % 3
if x:\\n    %matplotlib inline\\n    !ls\\n    z = !ls\\n    f?
def g(a, b="?"):\\n    '''What is it?\\n\\n    % of what\\n    '''\\n    return a != b  # really?
h = lambda x='%a': x
k: int = 3
k += 1
f(a=1,\\n  b=2)
x == 1
print('a'); y = 2
/f 1
,f a b
;f a
@property\\ndef p(self): return '?'
for i in range(3): pass
w = {"a": '%b',\\n# what?\\n"c": 2}
v = x if x else '\\\\'?
r = "\\\\"
'''unfinished?'''
x = f"{1!r}"
assert x != y, "why?"
%%bash
%
!
*int*?
""".strip().split("\n")


def of_ipython(source):
    """Return the tree of what IPython makes of a cell, `pass` in place of its own calls, or None."""

    class OnlyPython(ast.NodeTransformer):
        def generic_visit(self, node):
            simple = isinstance(node, ast.stmt) and not hasattr(node, "body")
            if simple and "get_ipython()" in ast.unparse(node):
                return ast.Pass()
            return super().generic_visit(node)

    return tree(TransformerManager().transform_cell(source), OnlyPython())


def tree(text, visitor=None):
    """Return a text's syntax tree as text, or None if it is not Python."""
    try:
        parsed = parse(text)
    except SyntaxError:
        return None
    return ast.dump(visitor.visit(parsed) if visitor else parsed)


ALL = [piece.encode().decode("unicode_escape") for piece in PIECES]
VALID = [
    piece for piece in ALL if piece[0] not in "/,;" and of_ipython(piece) and piece != "%%bash"
]


def test_single_pieces_are_what_ipython_takes_them_for():
    other = {piece for piece in ALL if tree(without_magics(piece)) != of_ipython(piece)}
    # Calls without parentheses would need the names; a cell in another language is dropped whole.
    assert other <= {"/f 1", ",f a b", ";f a", "%%bash", "!"}
    assert len(VALID) > 35
    assert len(ALL) - len(VALID) >= 6


@pytest.mark.parametrize("seed", range(100))
def test_cells_are_what_ipython_takes_them_for(seed):
    source = "\n".join(random.Random(seed).sample(VALID, 7))
    expected = of_ipython(source)
    assert expected is not None
    assert tree(without_magics(source)) == expected, source
    assert without_magics(source).count("\n") == source.count("\n")
    assert parse_cell(1, source).error == ""


@pytest.mark.parametrize("name", ["time", "timeit -n 1", "capture out", "prun", "debug", "unknown"])
def test_a_cell_magic_runs_its_cell_and_may_stand_on_another_one(name):
    body = "!ls\ndef f():\n    return '?'"
    for above in (f"%%{name}\n", f"\n%%{name}\n%%time\n\n"):
        cell = parse_cell(1, above + body)
        assert cell.error == ""
        assert ast.unparse(cell.statements[-1]) == "def f():\n    return '?'"
        assert cell.statements[-1].lineno == above.count("\n") + 2


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_a_cell_in_another_language_is_none_of_python(name):
    for above in ("", "%%capture\n", "\n"):
        cell = parse_cell(1, f"{above}%%{name} --option\nx = 1\nrm -rf 'it")
        assert (cell.error, cell.statements) == ("", ())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("%time x = f(1)", "x = f(1)"),
        ("%prun -q x = f(1)", "x = f(1)"),
        ("y = %time f(1)", "y = f(1)"),
        ("%time x = = 1", "pass"),
        ("%timeit x = 1", "pass"),
        ("%time", "pass"),
    ],
)
def test_what_a_line_magic_runs_is_kept(command, code):
    assert tree(without_magics(f"{command}\n!ls")) == tree(f"{code}\npass")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("  def f():\n      return 1\n  f?", "def f():\n    return 1\npass"),
        (">>> def f():\n...     return 1\n...\n>>> !ls", "def f():\n    return 1\n\npass"),
        ("In [3]: def f():\n   ...:     return 1\n", "def f():\n    return 1\n"),
    ],
)
def test_indents_and_prompts_are_taken_off(source, code):
    assert tree(without_magics(source)) == tree(code)


HOSTILE = [r"\'", "'\\", '"', r"'''\'''", "'''x\n\"\"\"", "f?\n", "%%time\n", "a = !", "(", "\\\n"]


@pytest.mark.parametrize("text", [*HOSTILE, " ", "\n", "x" * 99, "a.", "%"])
def test_the_work_grows_with_the_text_alone(text):
    source = text * (200_000 // len(text))
    start = time.perf_counter()
    parse_cell(1, source + "\n= =")
    assert time.perf_counter() - start < 10


CODE = "import numpy as np\n%time x = 1\n\ndef f(x):\n    return '\u03bb?'\n"


def notebook_of(version):
    """Return a notebook with two code cells and a text, as nbformat writes it."""
    module = getattr(nbformat, f"v{version}")
    codes = [module.new_code_cell(CODE), module.new_code_cell("y")]
    if version == 1:
        document = module.new_notebook([codes[0], module.new_text_cell("x = 1"), codes[1]])
        return json.dumps(document)
    if version == 4:
        cells = [codes[0], module.new_markdown_cell("# x"), codes[1]]
        return nbformat.writes(module.new_notebook(cells=cells))
    sheets = [
        module.new_worksheet(cells=[codes[0], module.new_text_cell("markdown", "x = 1")]),
        module.new_worksheet(cells=[codes[1]]),
    ]
    return module.writes_json(module.new_notebook(worksheets=sheets))


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_nbformat_is_read_as_nbformat_reads_it(version, tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(notebook_of(version), encoding="utf-8")
    first, second = read_code_cells(path)
    assert tree(first.source) == tree(CODE.replace("%time ", ""))
    assert second.source == "y"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", [str, str.splitlines, lambda text: text.splitlines(True)])
def test_old_cells_may_be_lists_with_and_without_line_ends(form, end, tmp_path):
    path = tmp_path / "a.ipynb"
    cell = {"cell_type": "code", "input": form(CODE.replace("\n", end))}
    path.write_text(json.dumps({"worksheets": [{"cells": [cell]}], "nbformat": 3}))
    (read,) = read_code_cells(path)
    assert tree(read.source) == tree(CODE.replace("%time ", ""))


MARKS = ["# %%", "#%%", "# In[1]:", "# In[ ]:", "# <codecell>", "# %% a title", "#  %%"]


@pytest.mark.parametrize("mark", MARKS)
def test_marks_of_a_scripts_cells(mark, tmp_path):
    text = 'TEXT = """\n# %% no cell\n#%%\n"""'
    cells = ["import os", "def broken(:", text, "def f():\n    return 1"]
    path = tmp_path / "a.PY"
    path.write_text(f"#!/usr/bin/env python\n{mark}\n" + f"\n{mark}\n".join(cells) + "\n")
    _, *found = read_code_cells(path)
    assert [cell.source.strip() for cell in found] == cells
    assert [bool(cell.error) for cell in found] == [False, True, False, False]
    lines = path.read_text().split("\n")
    assert all(lines[cell.above] == cell.source.split("\n")[0] for cell in found)


def test_a_string_that_nothing_closes_breaks_its_own_cell_only(tmp_path):
    path = tmp_path / "a.py"
    broken = '# %%\nx = """oops\n'
    path.write_text(broken + "# %%\ndef f():\n    '''What?'''\n# %%\ny = 2\n" + broken)
    assert [bool(cell.error) for cell in read_code_cells(path)] == [False, True, False, False, True]
    start = time.perf_counter()
    path.write_text((broken + "# %%\n") * 20_000)
    read_code_cells(path)
    assert time.perf_counter() - start < 20
