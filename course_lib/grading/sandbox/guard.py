"""Inside the worker's child: no answers, no other programs, no files of other people.

An audit hook cannot be removed by Python code, which makes this a fence against accidents and
casual cheating. Code that calls C directly gets round it: marks that matter want a container.
"""

import os
import sys

from .outcomes import REVIEW_STATUS

STARTS_PROGRAMS = frozenset([
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system",
    "pty.spawn", "subprocess.Popen"
])  # fmt: skip
USES_NETWORK = frozenset(["socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto"])
READS_PATH = frozenset(["open", "os.link", "os.symlink"])
CHANGES_PATH = frozenset([
    "os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate",
    "shutil.move", "shutil.rmtree"
])  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


def arm(package: str, helpers: list[str], hidden: list[str], writable: str, report) -> None:
    """Fence this process in. There is no way back.

    Parameters
    ----------
    package : str
        Name of the library that holds answers. Importing it, or a module of it, is reported.
    helpers : list of str
        Modules of the library that the task needs and that stay importable.
    hidden : list of str
        Folders that hold answers. Looking into them is reported.
    writable : str
        The only folder in which files may be changed.
    report : callable
        Called with the reason when code reaches for an answer; the process then ends at once.
    """
    if helpers:
        helpers = [*helpers, f"{package}.checks"]  # they import it, and it holds no answer
    hidden = [os.path.realpath(folder) for folder in hidden]
    harmless = os.path.realpath(os.path.dirname(__file__))  # tracebacks quote these sources
    writable = os.path.realpath(writable)
    leave, realpath, separator, own = os._exit, os.path.realpath, os.sep, os.getpid()

    def inside(path: str, folder: str) -> bool:
        return path == folder or path.startswith(folder + separator)

    def is_helper(path: str) -> bool:
        if inside(path, harmless):
            return True
        folder, _, name = path.replace(separator + "__pycache__", "").rpartition(separator)
        stem = name.split(".")[0]
        module = f"{folder}{separator}{stem}".replace(separator, ".")
        return bool(helpers) and (stem == "__init__" or module.endswith(tuple(helpers)))

    def caught(reason: str):
        try:
            report(reason)
        finally:
            leave(REVIEW_STATUS)

    def hook(event: str, arguments: tuple) -> None:
        if event in STARTS_PROGRAMS:
            raise PermissionError("the judge does not start other programs or processes")
        if event in USES_NETWORK:
            raise PermissionError("the judge has no network")
        if event in ("os.kill", "os.killpg") and arguments[0] != own:
            raise PermissionError("the judge does not send signals to other processes")
        if event in READS_PATH or event in CHANGES_PATH:
            for path in resolved(arguments[:1] if event == "open" else arguments[:2]):
                if any(inside(path, folder) for folder in hidden) and not is_helper(path):
                    caught(f"it opens {os.path.basename(path)}, in a folder that holds answers")
                allowed = path == os.devnull or inside(path, writable)
                if changes(event, arguments) and not allowed:
                    raise PermissionError("the judge does not let a function change files")

    def resolved(paths: tuple) -> list[str]:
        kinds = (str, bytes, os.PathLike)
        return [realpath(os.fsdecode(path)) for path in paths if isinstance(path, kinds)]

    def changes(event: str, arguments: tuple) -> bool:
        if event == "open":
            return bool((arguments[2] or 0) & WRITING)
        return event in CHANGES_PATH

    sys.meta_path.insert(0, AnswerBlocker(package, helpers, caught))
    sys.addaudithook(hook)


class AnswerBlocker:
    """An import hook that reports every import of the library but its helpers."""

    def __init__(self, package: str, helpers: list[str], caught):
        self.package, self.caught = package, caught
        self.allowed = {package} if helpers else set()
        for helper in helpers:
            parts = helper.split(".")
            self.allowed |= {".".join(parts[: end + 1]) for end in range(len(parts))}

    def find_spec(self, name, path=None, target=None) -> None:
        """Let every other module through; end the process where an answer is imported."""
        if name.split(".")[0] == self.package and name not in self.allowed:
            self.caught(f"it imports {name}, where answers are kept")
