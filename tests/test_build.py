"""``make book`` on tiny books: what it builds, what it repeats, and how it fails."""

import shutil
from pathlib import Path

import pytest

import book.build
import book.notebooks
from book.build import build, is_executed, table_of_contents
from book.notebooks import BuildError, open_cache, run_notebooks, stale_pages
from book.repository import address

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupyter_book")
pytest.importorskip("jupyter_cache")

ROOT = Path(__file__).resolve().parent.parent
PARTS = "parts:\n- chapters:\n"


def make_book(root, notebooks, intro="# Hello\n\n## There\n"):
    """Write a book with the real configuration around a few notebooks, each a list of cells."""
    (root / "chapters").mkdir(parents=True)
    shutil.copy(ROOT / "_config.yml", root)
    (root / "book").symlink_to(ROOT / "book")
    (root / "course_lib").mkdir()
    (root / "course_lib" / "__init__.py").write_text("")
    (root / "course_lib" / "lesson.py").write_text("answer = 41\n")
    (root / "intro.md").write_text(intro)
    for name, cells in notebooks.items():
        write_notebook(root / "chapters" / f"{name}.ipynb", cells)
    listed = "".join(f"  - file: chapters/{name}\n" for name in notebooks)
    (root / "_toc.yml").write_text(
        f"format: jb-book\nroot: intro\n{PARTS + listed if listed else ''}"
    )
    return root


def write_notebook(path, cells):
    """Write a notebook with a heading and code cells, each its source or ``(source, tags)``."""
    pairs = [(cell, []) if isinstance(cell, str) else cell for cell in cells]
    notebook = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        cells=[
            nbformat.v4.new_markdown_cell("# 1. A chapter\n\n## A section", id="title"),
            *(
                nbformat.v4.new_code_cell(source, id=f"code-{i}", metadata={"tags": tags})
                for i, (source, tags) in enumerate(pairs)
            ),
        ],
    )
    nbformat.write(notebook, path)


def run(root):
    """Only execute a book's notebooks."""
    run_notebooks(root, [page for page in table_of_contents(root) if page.endswith(".ipynb")])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A small book that builds."""
    root = make_book(
        tmp_path_factory.mktemp("good"),
        {
            "01_first": [
                "import course_lib.lesson\nprint(course_lib.lesson.answer + 1)",
                "open('litter.txt', 'w').close()",
                ("print('never ' + 'shown')", ["skip-execution"]),
                ("raise KeyError('shown on purpose')", ["raises-exception"]),
            ]
        },
    )
    assert build(root) == root / "_build" / "html" / "index.html"
    return root


def test_a_page_shows_what_its_cells_printed(good):
    page = (good / "_build/html/chapters/01_first.html").read_text()
    assert ">42\n" in page
    assert "shown on purpose" in page
    assert "never shown" not in page


def test_files_that_cells_write_do_not_litter_the_repository(good):
    assert not list(good.rglob("litter.txt"))


def test_nothing_is_repeated_when_nothing_changed(good, monkeypatch):
    for step in ("run_notebooks", "run_jupyter_book"):
        monkeypatch.setattr(book.build, step, lambda *_, step=step: pytest.fail(f"{step} ran"))
    index = good / "_build/html/chapters/01_first.html"
    before = index.stat().st_mtime_ns
    build(good)
    assert index.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "name",
    ["_config.yml", "_toc.yml", "intro.md", "chapters/01_first.ipynb", "course_lib/lesson.py"],
)
def test_a_change_in_any_source_is_noticed(good, name, monkeypatch):
    rebuilt = []
    monkeypatch.setattr(book.build, "run_notebooks", lambda *_: rebuilt.append(name))
    monkeypatch.setattr(book.build, "run_jupyter_book", lambda _: None)
    copy = good.parent / f"copy-{name.replace('/', '-')}"
    shutil.copytree(good, copy, symlinks=True)
    (copy / name).write_text((copy / name).read_text() + "\n")
    with pytest.raises(BuildError, match="were not built"):
        build(copy)
    assert rebuilt


def test_a_cached_notebook_runs_again_when_the_library_changed(good, tmp_path, capsys):
    root = shutil.copytree(good, tmp_path / "copy", symlinks=True)
    run(root)
    assert capsys.readouterr().out == ""
    (root / "course_lib" / "lesson.py").write_text("raise RuntimeError('broken library')\n")
    with pytest.raises(BuildError, match="broken library"):
        run(root)


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A book whose four notebooks use different things; all of them have run."""
    cells = {
        "01_module": ["import course_lib.lesson"],
        "02_file": ["open('{root}/results/study/a.csv').close()"],
        "03_folder": ["import os; os.listdir('{root}/results/study');"],
        "04_program": ["import subprocess; subprocess.run(['true']);"],
    }
    root = tmp_path_factory.mktemp("used")
    root = make_book(root, {k: [c.format(root=root) for c in code] for k, code in cells.items()})
    (root / "course_lib" / "other.py").write_text("")
    (root / "results" / "study").mkdir(parents=True)
    (root / "results" / "study" / "a.csv").write_text("1")
    (root / "results" / "study" / "b.csv").write_text("1")
    run(root)
    return root


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("course_lib/other.py", "04_program"),
        ("course_lib/lesson.py", "01_module 04_program"),
        ("course_lib/new.py", "04_program"),
        ("results/study/a.csv", "02_file 04_program"),
        ("results/study/b.csv", "04_program"),
        ("results/study/c.csv", "03_folder 04_program"),
    ],
)
def test_only_notebooks_that_used_what_changed_run_again(used, tmp_path, change, again):
    root = shutil.copytree(used, tmp_path / "copy", symlinks=True)
    (root / change).write_text("changed = True\n")
    pages = [page for page in table_of_contents(root) if page.endswith(".ipynb")]
    with open_cache(root / "_build" / ".jupyter_cache") as cache:
        stale = stale_pages(root, pages, cache)
    assert " ".join(Path(page).stem for page in stale) == again


def test_a_change_of_the_lock_runs_everything_again(used, tmp_path, capsys):
    root = shutil.copytree(used, tmp_path / "copy", symlinks=True)
    run(root)
    assert capsys.readouterr().out == ""
    (root / "requirements.txt").write_text("torch==1\n")
    run(root)
    assert capsys.readouterr().out.count(": ran in") == 4


def test_two_notebooks_run_at_the_same_time(tmp_path):
    meet = """
import pathlib, time
mine, other = pathlib.Path({mine!r}), pathlib.Path({other!r})
mine.touch()
deadline = time.monotonic() + 500
while not other.exists():
    assert time.monotonic() < deadline, "the other notebook never came"
    time.sleep(0.05)
"""
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    cells = {"01_a": [meet.format(mine=a, other=b)], "02_b": [meet.format(mine=b, other=a)]}
    run(make_book(tmp_path / "book", cells))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["x = 1", "x += 1\nprint(x)"], ""),
        (["import itertools\nc = itertools.count() if 'c' not in globals() else c", "print(next(c))"],
         "cell 3 prints something else"),
        (["y = globals().get('y', 0) + 1", "y"], "cell 3 prints something else"),
        (["y = globals().get('y', 0) + 1", ("y", ["timing"])], ""),
    ],
)  # fmt: skip
def test_cells_that_print_something_else_the_second_time_are_named(
    tmp_path, monkeypatch, cells, message
):
    monkeypatch.setenv(book.notebooks.AGAIN, "1")
    root = make_book(tmp_path / "book", {"01_first": cells})
    if not message:
        run(root)
        return
    with pytest.raises(BuildError, match=message):
        run(root)


@pytest.mark.parametrize(("asked", "repeated"), [("1", False), ("all", True)])
def test_a_slow_cell_gives_back_its_names_unless_all_are_asked_for(
    tmp_path, monkeypatch, asked, repeated
):
    monkeypatch.setenv(book.notebooks.AGAIN, asked)
    monkeypatch.setattr(book.notebooks, "SLOW", 0.5)
    slow = "import random, time; time.sleep(0.5); drawn = made['it'] = random.random()"
    # A fast cell makes what the slow one puts something into; the last one binds its name again.
    cells = ["made = {}", slow, "print(drawn, made['it'])", "drawn = 2.0"]
    root = make_book(tmp_path / "book", {"01_first": cells})
    (root / "_build").mkdir()
    _, _, found, _ = book.notebooks.execute(root, "chapters/01_first.ipynb")
    assert len(found) == repeated


def test_the_seconds_of_each_cell_are_told(tmp_path):
    root = make_book(tmp_path / "book", {"01_first": ["import time; time.sleep(0.2)", "1"]})
    (root / "_build").mkdir()
    _, seconds, found, _ = book.notebooks.execute(root, "chapters/01_first.ipynb")
    assert found == []
    assert list(seconds) == ["code-0", "code-1"]
    assert seconds["code-0"] >= 0.2


FAULTS = {
    "01_error": ("1 / 0", "ZeroDivisionError: division by zero"),
    "02_warning": (
        "import warnings; warnings.warn('too old', FutureWarning)",
        "FutureWarning: too old",
    ),
    "03_stderr": ("import sys; print('psst', file=sys.stderr)", "text on stderr: psst"),
    "04_widget": ("import ipywidgets; ipywidgets.IntSlider()", "tag the cell skip-execution"),
    "05_death": ("import os; os._exit(3)", "Kernel died"),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A book whose every notebook has a fault in its third cell, and what is said about them."""
    cells = {name: ["print('fine')", code] for name, (code, _) in FAULTS.items()}
    root = make_book(tmp_path_factory.mktemp("faulty"), cells)
    with pytest.raises(BuildError) as error:
        run(root)
    return root, str(error.value).split("\n\n")


@pytest.mark.parametrize("name", FAULTS)
def test_a_notebook_with_a_fault_is_named_with_cell_and_error(faulty, name):
    code, complaint = FAULTS[name]
    (message,) = [message for message in faulty[1] if f"chapters/{name}.ipynb" in message]
    assert complaint in message
    if name != "05_death":  # a dead kernel cannot say which cell killed it
        assert message.startswith(f"chapters/{name}.ipynb, cell 3: ")
        assert message.endswith(f"\n    {code}")


def test_a_notebook_with_a_fault_is_not_cached(faulty):
    with open_cache(faulty[0] / "_build" / ".jupyter_cache") as cache:
        assert cache.list_cache_records() == []


def test_a_failed_build_leaves_no_book(good, tmp_path, monkeypatch):
    root = tmp_path / "copy"
    shutil.copytree(good, root, symlinks=True)
    write_notebook(root / "chapters" / "01_first.ipynb", ["1 / 0"])

    def fail(*_):
        raise BuildError("chapters/01_first.ipynb, cell 2: ZeroDivisionError")

    monkeypatch.setattr(book.build, "run_notebooks", fail)
    with pytest.raises(BuildError, match="ZeroDivisionError"):
        build(root)
    assert not (root / "_build" / "html").exists()
    assert not (root / "_build" / "stamp").exists()


@pytest.fixture(scope="module")
def complaint(tmp_path_factory):
    """What is said about a page with three faults."""
    intro = (
        "# Hello\n\n## There\n\n$$a = b \\tag{1.1}$$\n\n"
        "[a page](nowhere.md), Eq. (1.9), {py:func}`course_lib.nothing`\n"
    )
    root = make_book(tmp_path_factory.mktemp("broken"), {}, intro)
    with pytest.raises(BuildError) as error:
        build(root)
    assert not (root / "_build" / "html").exists()
    return str(error.value)


@pytest.mark.parametrize(
    "culprit", ["nowhere.md", "there is no equation (1.9)", "course_lib.nothing"]
)
def test_a_broken_reference_is_named_with_its_page(complaint, culprit):
    (line,) = [line for line in complaint.splitlines() if culprit in line]
    assert "intro.md" in line


def test_a_page_that_is_listed_but_has_no_file_is_named(tmp_path):
    root = make_book(tmp_path / "book", {"01_first": []})
    (root / "chapters" / "01_first.ipynb").unlink()
    with pytest.raises(BuildError, match=r"_toc\.yml lists chapters/01_first"):
        build(root)


def test_a_page_that_is_missing_from_the_output_is_named(tmp_path, monkeypatch):
    root = make_book(tmp_path / "book", {"01_first": []})

    def build_only_the_intro(root):
        (root / "_build" / "html").mkdir(parents=True)
        for name in ("index", "intro"):
            (root / "_build" / "html" / f"{name}.html").touch()

    monkeypatch.setattr(book.build, "run_notebooks", lambda *_: None)
    monkeypatch.setattr(book.build, "run_jupyter_book", build_only_the_intro)
    with pytest.raises(BuildError, match=r"not built: chapters/01_first\.ipynb$"):
        build(root)


def test_the_command_says_why_it_failed_and_returns_1(monkeypatch, capsys):
    def fail(_):
        raise BuildError("chapters/02_x.ipynb, cell 3: ValueError")

    monkeypatch.setattr(book.build, "build", fail)
    monkeypatch.setattr("sys.argv", ["book.build"])
    assert book.build.main() == 1
    assert "chapters/02_x.ipynb, cell 3: ValueError" in capsys.readouterr().err


def test_the_table_of_contents_is_read_in_order(tmp_path):
    root = make_book(tmp_path / "book", {"01_first": [], "02_second": []})
    expected = ["intro.md", "chapters/01_first.ipynb", "chapters/02_second.ipynb"]
    assert table_of_contents(root) == expected


def test_exercise_notebooks_are_pages_but_are_not_run():
    assert not book.build.is_executed("exercises/02_advantage_estimation.ipynb", ROOT)
    assert book.build.is_executed("chapters/02_advantage_estimation.ipynb", ROOT)
    assert not book.build.is_executed("intro.md", ROOT)


def test_the_books_own_files_are_read_as_utf_8_whatever_the_locale(tmp_path, monkeypatch):
    # Where no encoding is named, pathlib asks this function, which then says "locale".
    monkeypatch.setattr("io.text_encoding", lambda encoding, level=2: encoding or "ascii")
    (tmp_path / "größe.md").write_text("# Größe\n", "utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: größe\n", "utf-8")
    config = "title: Größe\nrepository:\n  url: https://github.com/o/n\n"
    (tmp_path / "_config.yml").write_text(config, "utf-8")
    assert table_of_contents(tmp_path) == ["größe.md"]
    assert not is_executed("größe.md", tmp_path)
    assert address(tmp_path) == "https://github.com/o/n"
