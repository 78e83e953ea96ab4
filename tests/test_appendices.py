"""Appendices B, D, E and I: a row for every equation and result, and none that points at nothing."""

import ast
import functools
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from book.appendices import (
    REFERENCES,
    displayed,
    equations,
)
from book.reproducing import PAGE as REPRODUCING
from course_lib.grading import specs
from tests.pattern import TAG, cells_of, text_of
from tests.test_pattern import EARLIER

ROOT = Path(__file__).resolve().parent.parent
ROWS = [
    pytest.param(number, row, id=number)
    for rows in equations(ROOT).values()
    for number, row in rows.items()
]


def test_every_work_of_a_reading_list_is_a_reference():
    page = (ROOT / REFERENCES).read_text(encoding="utf-8")
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        text = text_of(cells_of(json.loads(path.read_text(encoding="utf-8"))))
        reading = text.partition("## Further reading")[2]
        titles = re.findall(r"\*([^*]+)\*", reading)
        links = re.findall(r"https?://(?:arxiv|doi)[^)]+", reading)
        assert [t for t in titles if t.lower() not in page.lower()] == []
        assert [x for x in links if x not in page] == []


@pytest.mark.parametrize("name", equations(ROOT))
def test_the_page_of_formulas_has_every_equation_once(name):
    numbers = [number for number, _ in displayed(ROOT, name)]
    assert sorted(numbers) == sorted(equations(ROOT)[name])


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda p: p.stem)
def test_every_tagged_equation_has_a_row_and_every_row_an_equation(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    tags = [f"{a}.{b}" for a, b in TAG.findall(text_of(cells_of(notebook)))]
    if path.stem not in EARLIER:
        assert sorted(equations(ROOT)[path.name]) == sorted(tags)


@functools.cache
def names_in(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("number", "row"), ROWS)
def test_a_row_points_at_what_exists(number, row):
    assert row["says"]
    assert set(row) <= {"says", "code", "test", "exercise"}
    if code := row.get("code"):
        module, _, name = code.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))
        assert row.get("test"), "a function needs a test that holds it to its equation"
    if test := row.get("test"):
        file, _, name = test.partition("::")
        assert name in names_in(file)
    if exercise := row.get("exercise"):
        assert exercise in specs.SPECS


# Modules whose names nobody imports by hand.
INSIDE = {
    *("checks", "registration", "spaces", "training.environment"),
    *("experience.contract", "experience.envs.base", "experience.envs.making"),
    *("experience.envs.pool", "experience.envs.recorder", "experience.envs.replay"),
    *("experience.envs.visible_state", "show.study_pages", "show.tuning_page"),
    *("training.exact_studies", "training.history", "training.interrupts", "training.keeper"),
    *("training.lock", "training.loop", "training.run", "training.study_records"),
    *("training.study_run", "training.study_tables"),
}


def test_the_library_page_has_every_module():
    page = (ROOT / "appendices" / "f_api.md").read_text(encoding="utf-8")
    shown = re.findall(r"automodule:: course_lib\.(\S+)", page)
    files = [
        path.relative_to(ROOT / "course_lib").with_suffix("")
        for path in (ROOT / "course_lib").rglob("*.py")
        if not path.name.startswith("_")
    ]
    modules = {".".join(file.parts) for file in files}
    modules = {m for m in modules if m.split(".")[0] not in ("grading", "command_line")}
    assert sorted(modules - INSIDE) == sorted(shown)
    assert modules >= INSIDE


def test_the_result_to_copy_and_paste_comes_out_the_same(tmp_path):
    page = (ROOT / REPRODUCING).read_text(encoding="utf-8")
    block = re.search(r"```bash\n(python .*?)```", page, re.S)[1]
    (tmp_path / "results").symlink_to(ROOT / "results")
    script = f'python() {{ "{sys.executable}" -W ignore "$@"; }}\n{block}'
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "the same table", done.stdout + done.stderr


def test_every_folder_of_results_with_runs_has_a_row():
    page = (ROOT / REPRODUCING).read_text(encoding="utf-8")
    for runs in (ROOT / "results").rglob("runs"):
        assert f"`{runs.parent.relative_to(ROOT / 'results').as_posix()}`" in page
