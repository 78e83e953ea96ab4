"""The chapters that exist, and what their notebooks say in words."""

import json
from pathlib import Path


def chapters(root: Path) -> dict[int, Path]:
    """The notebooks of the chapters, by their number."""
    return {int(path.name[:2]): path for path in sorted((root / "chapters").glob("[0-9]*.ipynb"))}


def prose(path: Path) -> str:
    """The Markdown of a notebook, cell after cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def heading(path: Path) -> str:
    """The title of a notebook."""
    return prose(path).splitlines()[0].lstrip("# ")
