"""Run the book's notebooks into the cache that Jupyter Book reads, and judge their outputs."""

import hashlib
import multiprocessing
import os
import platform
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

PROCESSES = 2
# What a notebook's output depends on besides its own code; jupyter-cache only knows the code.
LIBRARY = ("course_lib", "results", "requirements.txt")


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
    """Execute what is not in the cache, two notebooks at a time."""
    import nbformat
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    folder = root / "_build" / ".jupyter_cache"
    library, seen = fingerprint(root, LIBRARY), folder / "library"
    if not seen.is_file() or seen.read_text() != library:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        seen.write_text(library)
    cache = get_cache(folder)

    known = {record.hashkey for record in cache.list_cache_records()}
    notebooks = {page: nbformat.read(root / page, as_version=4) for page in pages}
    waiting = [p for p, nb in notebooks.items() if cache.create_hashed_notebook(nb)[1] not in known]
    if not waiting:
        return
    # On a new machine the first import builds this cache, and says so on stderr: not in a notebook.
    import matplotlib.font_manager  # noqa: F401

    problems = []
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        for page, outcome in zip(waiting, pool.map(partial(execute, root), waiting), strict=True):
            notebook, seconds, found = outcome
            print(f"{page}: {'failed' if found else 'ran'} in {seconds:.0f} s", flush=True)
            problems += found
            if not found:
                bundle = CacheBundleIn(
                    notebook, str(root / page), data={"execution_seconds": seconds}
                )
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if problems:
        raise BuildError("\n\n".join(problems))


def execute(root: Path, page: str) -> tuple[dict, float, list[str]]:
    """Run one notebook in an empty folder; return it, the seconds it took, and what is wrong."""
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
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, (root / "_build/kernels.log").open("ab") as log:
        # Timings would become metadata of the cells, and those are part of jupyter-cache's key.
        where = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=600, record_timing=False, resources=where)
        try:
            client.execute(env=environment, stderr=log)
            problems = problems_of(page, notebook)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            problems = problems_of(page, notebook) or [
                f"{page}: {str(error).strip()} (the kernel's log: _build/kernels.log)"
            ]
    return notebook, time.monotonic() - started, problems


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
