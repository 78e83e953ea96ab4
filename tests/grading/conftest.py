"""Notebooks made of a few cells, and one sandbox for all tests of the judge."""

import ast
import json
from pathlib import Path

import pytest

from course_lib.grading import specs
from course_lib.grading.notebook import read_code_cells
from course_lib.grading.sandbox.client import Sandbox

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = "02_advantage_estimation"


@pytest.fixture(scope="session")
def sandbox():
    """One worker for the whole run, as in `pytest exercises/`."""
    with Sandbox(fork=True, hidden=(ROOT / "solutions",)) as shared:
        yield shared


def solution_cells(spec):
    """Return the code cells of the solution, a notebook or a script, that holds a task."""
    paths = [ROOT / "solutions" / f"{spec.exercise}{suffix}" for suffix in (".ipynb", ".py")]
    (path,) = [path for path in paths if path.exists()]
    return read_code_cells(path)


@pytest.fixture(scope="session")
def solution_sources():
    """Return the source of every graded function's cell in its solution."""
    sources = {}
    for spec in specs.TASKS:
        cells = solution_cells(spec)
        (source,) = [cell.source for cell in cells if f"def {spec.name}(" in cell.source]
        sources[spec.name] = source
    return sources


@pytest.fixture(scope="session")
def solution_names():
    """Return, per task, the names that its solution may use: imports and the other functions."""
    names = {}
    for spec in specs.TASKS:
        found: dict = {}
        for cell in solution_cells(spec):
            wanted = [
                fragment
                for fragment in cell.statements
                if isinstance(fragment, (ast.Import, ast.ImportFrom, ast.FunctionDef))
            ]
            exec(compile(ast.Module(wanted, []), spec.exercise, "exec"), found)
        names[spec.name] = found
    return names


@pytest.fixture
def write_notebook(tmp_path):
    """Return a function that writes a notebook of code cells and returns its path."""

    def write(*sources: str) -> Path:
        cells = [
            {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
            for source in sources
        ]
        path = tmp_path / f"{EXERCISE}.ipynb"
        path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}))
        return path

    return write
