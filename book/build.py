"""Build the book: ``python -m book.build`` (what ``make book`` runs).

1. Run the notebooks of the table of contents that are not in Jupyter Book's cache, two at a time,
   and refuse what a reader should not see: an error, text on stderr (so: a Python warning), a widget.
2. Let Jupyter Book make the pages from that cache, with every warning an error.
3. Check that each page of the table of contents is there, and that every link within the book leads
   to a page and an anchor. Links to elsewhere are listed in ``_build/html/links.txt``. Then write llms.txt.

If nothing changed since the last good build, none of it is repeated. A failed build leaves no book.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import yaml

from book.links import list_links
from book.llms import write_index
from book.notebooks import LIBRARY, BuildError, fingerprint, run_notebooks

# What the pages depend on besides what the notebooks' outputs depend on.
SOURCES = ("_config.yml", "_toc.yml", "book", "chapters", "exercises", "appendices", "images")


def build(root: Path) -> Path:
    """Build the book in ``root`` unless it is fresh, and return the path of its ``index.html``."""
    output = root / "_build"
    stamp, html = output / "stamp", output / "html"
    pages = table_of_contents(root)
    inputs = fingerprint(root, (*LIBRARY, *SOURCES, *pages))
    fresh = stamp.is_file() and stamp.read_text() == inputs
    if not (fresh and not missing_pages(pages, html)):
        stamp.unlink(missing_ok=True)
        # Always from nothing: incremental builds keep stale links and removed pages.
        for made in ("html", ".doctrees", "jupyter_execute"):
            shutil.rmtree(output / made, ignore_errors=True)
        run_notebooks(root, [page for page in pages if is_executed(page, root)])
        run_jupyter_book(root)
        if missing := missing_pages(pages, html):
            raise BuildError(f"these pages of _toc.yml were not built: {', '.join(missing)}")
        if broken := list_links(html):
            raise BuildError("these links are broken:\n" + "\n".join(broken))
        write_index(root, html)
        stamp.write_text(inputs)
    return html / "index.html"


def table_of_contents(root: Path) -> list[str]:
    """The source files of ``_toc.yml``, in order, as paths below ``root``."""
    contents = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    names = [contents["root"]]

    def collect(entries: list[dict]) -> None:
        for entry in entries:
            names.extend([entry["file"]] if "file" in entry else [])
            for key in ("parts", "chapters", "sections", "entries", "subtrees"):
                collect(entry.get(key, []))

    collect([contents])
    return [source_of(name, root) for name in names]


def source_of(name: str, root: Path) -> str:
    """The file behind a name of the table of contents."""
    for candidate in (name, f"{name}.ipynb", f"{name}.md", f"{name}.rst"):
        if (root / candidate).is_file():
            return candidate
    raise BuildError(f"_toc.yml lists {name}, but there is no such file")


def is_executed(page: str, root: Path) -> bool:
    """Whether a page is a notebook that the book runs (exercise notebooks are not)."""
    config = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    excluded = config.get("execute", {}).get("exclude_patterns", [])
    path = PurePosixPath(page)
    return path.suffix == ".ipynb" and not any(path.match(pattern) for pattern in excluded)


def run_jupyter_book(root: Path) -> None:
    """Make the pages, strictly; the whole log is kept in ``_build/jupyter-book.log``."""
    strictly = ["-W", "-n", "--keep-going", "--all"]
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", str(root), *strictly]
    result = subprocess.run(
        command, cwd=root, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    log = root / "_build" / "jupyter-book.log"
    log.write_text(f"{result.stdout}\n{result.stderr}", "utf-8")
    if result.returncode:
        shutil.rmtree(root / "_build" / "html", ignore_errors=True)
        raise BuildError(f"Jupyter Book found fault with the pages:\n{result.stderr.strip()}")


def missing_pages(pages: list[str], html: Path) -> list[str]:
    """The pages of the table of contents that have no HTML file."""
    expected = {page: html / PurePosixPath(page).with_suffix(".html") for page in pages}
    missing = [page for page, file in expected.items() if not file.is_file()]
    return missing if (html / "index.html").is_file() else ["index.html", *missing]


def main() -> int:
    """Build the book of the current folder, and print where it is."""
    parser = argparse.ArgumentParser(prog="python -m book.build", description="Build the book.")
    parser.add_argument(
        "--clean", action="store_true", help="forget all earlier builds and outputs first"
    )
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    if arguments.clean:
        shutil.rmtree(root / "_build", ignore_errors=True)
    try:
        print(build(root))
    except BuildError as error:
        print(f"\nThe book was not built.\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
