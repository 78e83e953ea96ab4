"""One writer per folder: a lock that the system itself lets go of when its process dies."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

NAME = ".lock"


class FolderInUseError(RuntimeError):
    """Another run is writing in the folder."""


class FolderLock:
    """A held lock; see `locked`."""

    def __init__(self, directory: Path, file: int) -> None:
        self.directory, self.file = directory, file

    def require_held(self) -> None:
        """Check that the folder is still the one that was locked.

        Raises
        ------
        FolderInUseError
            If it was removed or replaced, so that another run may be there now.
        """
        if not _same_file(self.file, self.directory / NAME):
            raise FolderInUseError(
                f"{self.directory} was removed or replaced while the run was writing there; "
                "nothing more is saved in it"
            )


@contextlib.contextmanager
def locked(directory: str | os.PathLike) -> Iterator[FolderLock]:
    """Hold a folder for one run; it is made if it does not exist.

    Raises
    ------
    FolderInUseError
        If another run holds it, in this process or another.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / NAME
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _try_lock(file):
                holder = os.read(file, 100).decode(errors="replace") or "another process"
                raise FolderInUseError(
                    f"{directory} is in use: {holder} is writing there; wait for its end, or "
                    "choose another folder"
                )
            # Whoever held it may have removed the file between our opening and our locking.
            if _same_file(file, path):
                break
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    try:
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()}".encode())
        yield FolderLock(directory, file)
    finally:
        if _same_file(file, path):
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(file)


def _same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def _try_lock(file: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            os.lseek(file, 1000, os.SEEK_SET)  # beyond the text, which others may want to read
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        except OSError:
            os.lseek(file, 0, os.SEEK_SET)
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing can be promised there
        return True
    return True
