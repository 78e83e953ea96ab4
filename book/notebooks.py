"""Run the book's notebooks into the cache that Jupyter Book reads, and judge their outputs."""

import contextlib
import copy
import hashlib
import json
import multiprocessing
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from book.used import digests, is_fresh

if TYPE_CHECKING:
    from jupyter_cache.base import JupyterCacheAbstract

PROCESSES = 2
# What the pages depend on besides their own text.
LIBRARY = ("course_lib", "results", "requirements.txt")
# What every notebook's output depends on; what else it used is known from its kernel (book/used.py).
# jupyter-cache only knows its code.
ENVIRONMENT = ("requirements.txt",)


# Set in the environment: run each notebook's cells twice, and compare what they print. "all" runs the
# slow ones twice too; otherwise these only give back what they worked with.
AGAIN = "BOOK_RUN_CELLS_TWICE"
SLOW = 5.0  # seconds; slower cells are named by the build


class BuildError(Exception):
    """The book cannot be built; the message says which page is to blame."""


def fingerprint(root: Path, names: tuple[str, ...]) -> str:
    """A hash over the names and contents of files and folders, and over Python's version."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in sorted(set(names)):
        path = root / name
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if (
                file.is_file()
                and "__pycache__" not in file.parts
                and ".ipynb_checkpoints" not in file.parts
            ):
                digest.update(file.relative_to(root).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def run_notebooks(root: Path, pages: list[str]) -> None:
    """Execute what is not in the cache, or used something that changed, two at a time."""
    folder = root / "_build" / ".jupyter_cache"
    environment, seen = fingerprint(root, ENVIRONMENT), folder / "environment"
    if not seen.is_file() or seen.read_text() != environment:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        seen.write_text(environment)
    with open_cache(folder) as cache:
        waiting = stale_pages(root, pages, cache)
        if not waiting:
            return
        # On a new machine the first import builds this cache, and says so on stderr: not in a page.
        import matplotlib.font_manager  # noqa: F401

        problems = []
        with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
            outcomes = pool.map(partial(execute, root), waiting)
            for page, (notebook, seconds, found, used) in zip(waiting, outcomes, strict=True):
                total = sum(seconds.values())
                slow = [f"{cell} {s:.0f}" for cell, s in seconds.items() if s >= SLOW]
                said = f"{page}: {'failed' if found else 'ran'} in {total:.0f} s"
                print(f"{said} ({', '.join(slow)})" if slow else said, flush=True)
                problems += found
                if not found:
                    keep(cache, notebook, str(root / page), total, used)
    if problems:
        raise BuildError("\n\n".join(problems))


def stale_pages(root: Path, pages: list[str], cache: "JupyterCacheAbstract") -> list[str]:
    """The pages that must run; Jupyter Book would take old outputs, so they leave the cache."""
    import nbformat

    records = {record.hashkey: record.pk for record in cache.list_cache_records()}
    stale = []
    for page in pages:
        _, key = cache.create_hashed_notebook(nbformat.read(root / page, as_version=4))
        if key not in records:
            stale.append(page)
        elif not is_fresh(root, used_by(cache, key)):
            stale.append(page)
            cache.remove_cache(records.pop(key))
    return stale


def keep(cache: "JupyterCacheAbstract", notebook, uri: str, seconds: float, used: dict) -> None:
    """Put an executed notebook into the cache, and beside it what it used."""
    from jupyter_cache.base import CacheBundleIn

    bundle = CacheBundleIn(notebook, uri, data={"execution_seconds": seconds})
    record = cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    file = used_by(cache, record.hashkey)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(used, indent=1))


def used_by(cache: "JupyterCacheAbstract", key: str) -> Path:
    """The file that says what a cached notebook used."""
    return Path(cache.path) / "used" / f"{key}.json"


@contextlib.contextmanager
def open_cache(folder: Path) -> Iterator["JupyterCacheAbstract"]:
    """Jupyter Book's cache; its database is closed at the end, which jupyter-cache leaves open."""
    from jupyter_cache import get_cache

    cache = get_cache(folder)
    try:
        yield cache
    finally:
        cache.db.dispose()


def execute(root: Path, page: str) -> tuple[dict, dict[str, float], list[str], dict[str, str]]:
    """Run one notebook in an empty folder.

    Return it, the seconds of each cell, what is wrong, and digests of what it used of the repository.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    environment = {
        **os.environ,
        # The library whose hash is in the cache's key is the one that runs.
        "PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # whatever the shell has set
        "TQDM_DISABLE": "1",  # progress bars write to stderr
        "OMP_NUM_THREADS": "1",  # two notebooks share two cores
        "MKL_NUM_THREADS": "1",
    }
    notebook = nbformat.read(root / page, as_version=4)
    count = len(notebook.cells)
    again = os.environ.get(AGAIN)
    if again:
        notebook.cells += copy.deepcopy(notebook.cells)
    kept: set[int] = set()  # places of cells that do not run again
    begun: dict[int, float] = {}
    seconds: dict[str, float] = {}

    def begin(cell, cell_index):
        begun[cell_index] = time.monotonic()

    def end(cell, cell_index, execute_reply):
        if cell_index < count:
            seconds[cell.id] = time.monotonic() - begun[cell_index]
            if again and again != "all" and seconds[cell.id] >= SLOW:
                kept.add(cell_index)
                second = notebook.cells[count + cell_index]
                second.source = f"__import__('book.again').again.give_back({cell.source!r})"

    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as reports,
        (root / "_build/kernels.log").open("ab") as log,
    ):
        report = Path(reports) / "used.json"
        record = f"__import__('book.used').used.record({str(root)!r}, {str(report)!r})"
        lines = [record, "__import__('book.again').again.begin()"] if again else [record]
        client = NotebookClient(
            notebook,
            timeout=600,
            record_timing=False,  # it would become metadata, which is part of jupyter-cache's key
            on_cell_execute=begin,
            on_cell_executed=end,
            resources={"metadata": {"path": folder}},
            extra_arguments=[f"--IPKernelApp.exec_lines={line}" for line in lines],
        )
        try:
            client.execute(env=environment, stderr=log)
            problems = problems_of(page, notebook)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            problems = problems_of(page, notebook) or [
                f"{page}: {str(error).strip()} (the kernel's log: _build/kernels.log)"
            ]
        used = {} if problems else digests(root, report)
    problems += differences(page, notebook.cells[:count], notebook.cells[count:], kept)
    del notebook.cells[count:]
    return notebook, seconds, problems, used


def differences(page: str, first: list, second: list, kept: set[int]) -> list[str]:
    """What a second run of the cells, in the same kernel, printed otherwise than the first.

    A reader goes back and runs a cell again. Cells tagged ``timing`` may print other numbers, and
    those that were kept did not run again.
    """
    problems = []
    for place, (cell, again) in enumerate(zip(first, second, strict=False)):
        free = place in kept or "timing" in cell.metadata.get("tags", [])
        if not free and printed(cell) != printed(again):
            problems.append(
                f"{page}, cell {place + 1} prints something else when the cells run again:\n"
                f"    {printed(cell)!r:.300}\n    {printed(again)!r:.300}"
            )
    return problems


def printed(cell) -> str:
    """The text that a cell left: what it printed, and its last value."""
    texts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "execute_result":
            value = output.data.get("text/plain", "")
            texts.append("" if " object at 0x" in value or value.startswith("<") else value)
    return "".join(texts)


def problems_of(page: str, notebook) -> list[str]:
    """What a reader should not find in an executed notebook, one message for each cell."""
    problems = []
    for number, cell in enumerate(notebook.cells, start=1):
        tags = cell.metadata.get("tags", [])
        for output in cell.get("outputs", []):
            found = ""
            if output.output_type == "error" and "raises-exception" not in tags:
                found = f"{output.ename}: {output.evalue}"
            elif output.output_type == "stream" and output.name == "stderr":
                found = f"text on stderr: {output.text.strip()}"
            elif "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                found = "a widget (or tqdm's bar) needs a kernel: tag the cell skip-execution"
            if found:
                code = "\n".join(f"    {line}" for line in cell.source.splitlines()[:12])
                problems.append(f"{page}, cell {number}: {found}\n{code}")
    return problems
