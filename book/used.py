"""What a notebook really used of the repository, known from its kernel after it ran.

The kernel of a notebook calls `record` before the first cell. When it ends, it leaves a list of the
library's modules that it imported, of other files that it opened, and of folders that it listed. A
notebook that starts programs of its own is taken to have used everything: what they open is not
seen from here.
"""

import atexit
import hashlib
import json
import os
import re
import sys
from pathlib import Path

STARTS_PROGRAMS = ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.spawn", "os.system")
LISTS_FOLDERS = ("os.listdir", "os.scandir", "glob.glob")


def record(root: str, report: str) -> None:
    """Write to ``report``, when this process ends, what it used below ``root``."""
    top = os.path.realpath(root) + os.sep
    opened: set[str] = set()
    programs: set[str] = set()

    def hook(event: str, arguments: tuple) -> None:
        if event in STARTS_PROGRAMS:
            programs.add(event)
        elif event == "open" or event in LISTS_FOLDERS:
            path = arguments[0]
            if isinstance(path, str | os.PathLike):
                opened.add(os.fspath(path))

    def leave() -> None:
        modules = [getattr(m, "__file__", None) for m in list(sys.modules.values())]
        paths = {os.path.realpath(p) for p in (*opened, *filter(None, modules))}
        below = {p.removeprefix(top) for p in paths if p.startswith(top)}
        # An import lists the folders of the library; only a listing of results tells something.
        kept = re.compile(r"course_lib/.*\.py$|results(/|$)")
        used = [p for p in sorted(below) if kept.match(p) and os.path.exists(top + p)]
        Path(report).write_text(json.dumps({"used": used, "programs": sorted(programs)}))

    sys.addaudithook(hook)
    atexit.register(leave)


def digest(path: Path) -> str:
    """A hash of a file's contents, or of the names in a folder; empty if it is gone."""
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.name != "__pycache__")
        return hashlib.sha256("\0".join(names).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def digests(root: Path, report: Path) -> dict[str, str]:
    """The digest of everything that a report names; of everything there is, if it cannot tell."""
    found = json.loads(report.read_text()) if report.is_file() else None
    if found is None or found["programs"]:
        tops = [root / "course_lib", root / "results"]
        paths = [p for top in tops for p in (top, *sorted(top.rglob("*")))]
        names = [p.relative_to(root).as_posix() for p in paths if "__pycache__" not in p.parts]
    else:
        names = found["used"]
    return {name: digest(root / name) for name in names}


def is_fresh(root: Path, known: Path) -> bool:
    """Whether everything that was used is as it was."""
    if not known.is_file():
        return False
    return all(digest(root / n) == d for n, d in json.loads(known.read_text()).items())
