"""Every notebook of the book: the same first cell, no outputs, Markdown that every reader renders."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from course_lib.grading.first_cell import first_cell

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("chapters", "exercises", "solutions")
NOTEBOOKS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.ipynb"))
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.name}")
def notebook(request):
    """Each notebook, as parsed JSON."""
    return json.loads(request.param.read_text(encoding="utf-8"))


def cells(notebook, kind):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_are_notebooks_in_every_folder():
    assert {path.parent.name for path in NOTEBOOKS} == set(FOLDERS)


def test_first_code_cell_is_the_common_one(notebook):
    assert source(cells(notebook, "code")[0]) == first_cell(REPOSITORY)


def test_it_is_valid_and_for_the_ordinary_kernel(notebook):
    nbformat.validate(nbformat.from_dict(notebook))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_no_outputs_and_no_counts(notebook):
    for cell in cells(notebook, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_cells_have_ids_of_their_own(notebook):
    ids = [cell["id"] for cell in notebook["cells"]]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in ids)
    assert len(set(ids)) == len(ids)


def test_markdown_is_the_kind_that_every_reader_renders(notebook):
    for cell in cells(notebook, "markdown"):
        text = source(cell)
        assert not re.search(r"^\s*(:::|```\{)", text, re.MULTILINE), text[:200]
        assert not re.search(r"\{[a-z][a-z:-]*\}`", text), text[:200]
        assert not re.search(r"^\([\w-]+\)=\s*$", text, re.MULTILINE), text[:200]


def test_the_only_repository_address_is_the_configured_one(notebook):
    slug = REPOSITORY.split("://")[1].partition("/")[2]
    for cell in notebook["cells"]:
        text = source(cell)
        for found in re.findall(r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)", text):
            assert found == slug
        if re.search(r"owner-not-set-", text):
            assert "owner-not-set-" in REPOSITORY
            assert slug in text


def test_the_title_comes_first_and_opens_in_colab(notebook, request):
    path = request.node.callspec.params["notebook"]
    first = source(notebook["cells"][0])
    assert re.match(r"# \S", first)
    if path.parent.name != "chapters":
        assert f"/blob/main/{path.parent.name}/{path.name})" in first


def test_the_first_cell_survives_both_line_lengths_and_does_not_prompt():
    text = first_cell("https://example.org/a/b")
    assert 'REPOSITORY = "https://example.org/a/b"' in text
    assert ".git" not in text.replace("git+", "")
    compile(text, "first cell", "exec")
    owner = "owner-not-set-run-make-repository-URL-first"
    assert len(owner) > 39  # GitHub's limit: nobody can register it
    if "owner-not-set" in REPOSITORY:
        assert f"/{owner}/" in REPOSITORY
