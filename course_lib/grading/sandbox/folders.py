"""The empty folder of one submission: made, watched and removed, however full it gets."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator

from .outcomes import MAX_FILES, MAX_STORED


@contextlib.contextmanager
def empty_folder(scratch: str | None = None) -> Iterator[str]:
    """Yield the path of a new folder, which is removed afterwards.

    Raises
    ------
    OSError
        If there is no room for one.
    """
    folder = tempfile.mkdtemp(dir=scratch)
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: str) -> None:
    """Remove a folder as far as the system lets us.

    What lies two levels below is moved up first: `shutil.rmtree` gives up on folders that are
    nested deeper than Python's recursion, the limit on open files or that on a path's length.
    """
    with contextlib.suppress(OSError):
        for _ in range(1 << 20):
            entries = list(os.scandir(folder))
            if not entries:
                break
            for entry in entries:
                with contextlib.suppress(OSError):
                    empty(entry, folder)
        os.rmdir(folder)


def empty(entry: os.DirEntry, folder: str) -> None:
    """Remove a file, or a folder whose contents move up into `folder`."""
    if not entry.is_dir(follow_symlinks=False):
        os.unlink(entry.path)
        return
    os.chmod(entry.path, 0o700)
    for inner in os.scandir(entry.path):
        os.rename(inner.path, os.path.join(folder, uuid.uuid4().hex))
    os.rmdir(entry.path)


def overfull(folder: str) -> bool:
    """Tell whether a folder holds more than any solution writes."""
    waiting, files, stored = [folder], 0, 0
    while waiting:
        with contextlib.suppress(OSError):
            for entry in os.scandir(waiting.pop()):
                files += 1
                stored += entry.stat(follow_symlinks=False).st_size
                if files > MAX_FILES or stored > MAX_STORED:
                    return True
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return False
