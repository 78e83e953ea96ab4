"""Verdicts on disk, one JSON line per judged file, so that a run can be resumed.

The file lies beside the class folder, never in it: what students hand in is not a place to read
verdicts from. A line is found by a key that covers everything a verdict depends on, and it carries
a checksum made with a secret in a file beside it, which no submission can read.
"""

import contextlib
import errno
import hashlib
import hmac
import importlib.metadata
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from ..notebook import MAX_BYTES
from ..sandbox import fence
from ..states import State, Verdict

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LIBRARY = Path(__file__).resolve().parents[2]
MAX_LINE = 4_000_000  # bytes
SECRET_BYTES = 32


class LedgerError(RuntimeError):
    """The file that verdicts would be kept in is something else."""


class Ledger:
    """The verdicts of earlier runs, and where those of this run are written.

    Parameters
    ----------
    path : Path or None
        The file; it is made when the first verdict is written. None: nothing is kept.
    fresh : bool
        Whether earlier verdicts are left unread.

    Attributes
    ----------
    damaged : int
        Lines of the file that no run wrote as they stand; they are not used.
    problem : str
        Why verdicts of this run could not be kept; empty if they could.

    Raises
    ------
    LedgerError
        If the file exists and holds something else, which is left as it is.
    """

    def __init__(self, path: Path | None, fresh: bool = False):
        self.path, self.problem, self.damaged = path, "", 0
        self.lines: dict[str, dict] = {}
        self.secret = secret_of(path) if path is not None else None
        if path is not None:
            lines, self.damaged = read_lines(path, self.secret)
            self.lines = {} if fresh else lines

    def get(self, key: str) -> tuple[str, list[Verdict]] | None:
        """Return the exercise and the verdicts that belong to a key, None if there are none."""
        try:
            line = self.lines[key]
            return line["exercise"], [read_verdict(verdict) for verdict in line["verdicts"]]
        except (KeyError, TypeError, ValueError):
            return None

    def add(self, key: str, exercise: str, verdicts: list[Verdict]) -> None:
        """Write verdicts down; after this returns they survive the end of this process.

        Where they cannot be written, on a full disk perhaps, they are kept for this run alone, and
        `problem` says why.
        """
        line = {"key": key, "exercise": exercise, "verdicts": [as_dict(v) for v in verdicts]}
        self.lines[key] = line
        if self.path is None:
            return
        try:
            self.secret = self.secret or new_secret(self.path)
            append(self.path, {**line, "check": checksum(line, self.secret)})
        except OSError as error:
            self.problem = error.strerror or type(error).__name__


def append(path: Path, line: dict) -> None:
    """Add a line to a file, or raise OSError; a line that was cut off is not taken for one."""
    with open(path, "a+b", buffering=0) as file:
        cut = file.tell() > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        # One write: a run that is killed leaves whole lines, or a last one that is skipped.
        row = b"\n" * cut + json.dumps(line).encode() + b"\n"
        if file.write(row) != len(row):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_lines(path: Path, secret: bytes | None) -> tuple[dict[str, dict], int]:
    """Return the lines of a file by their keys, and the number of those that nobody vouches for.

    Raises
    ------
    LedgerError
        If the file is no list of verdicts at all.
    """
    lines, damaged, known = {}, 0, False
    if not path.exists():
        return {}, 0
    if not path.is_file():
        raise LedgerError(f"{path} is no file that verdicts could be kept in")
    with open(path, "rb") as file:
        while row := file.readline(MAX_LINE):
            if not row.strip():
                continue
            known = known or row.startswith(b'{"key": ')
            line = read_line(row, secret)
            if line is None:
                damaged += 1
            else:
                lines[line["key"]] = line
    if damaged and not known:
        raise LedgerError(
            f"{path} holds no verdicts, but something else. Nothing was changed: move it away, or "
            "name another file with --verdicts"
        )
    return lines, damaged


def read_line(row: bytes, secret: bytes | None) -> dict | None:
    """Return a line as it was written, None if it was changed since or is not ours."""
    try:
        line = json.loads(row)
        check = line.pop("check")
        if secret and hmac.compare_digest(check, checksum(line, secret)):
            return line
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return None


def checksum(line: dict, secret: bytes) -> str:
    """Return what only those can write below a line who know the secret."""
    return hmac.new(secret, json.dumps(line).encode(), hashlib.sha256).hexdigest()


def secret_file(path: Path) -> Path:
    """Return the file that holds the secret of a file of verdicts."""
    return path.with_name(f"{path.name}.key")


def secret_of(path: Path) -> bytes | None:
    """Return the secret of a file of verdicts, None if there is none yet."""
    with contextlib.suppress(OSError, ValueError):
        secret = bytes.fromhex(secret_file(path).read_text("ascii"))
        return secret if len(secret) == SECRET_BYTES else None
    return None


def new_secret(path: Path) -> bytes:
    """Make a secret and write it down, for this user's eyes only."""
    secret = secrets.token_bytes(SECRET_BYTES)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(os.open(secret_file(path), flags, 0o600), "w", encoding="ascii") as file:
        file.write(secret.hex())
    return secret


@contextlib.contextmanager
def alone(path: Path | None, say: Callable[[str], object]) -> Iterator[None]:
    """Wait until no other run uses a file of verdicts, and keep others waiting meanwhile.

    Where the system cannot lock a file, nobody waits: runs at the same time judge files twice, and
    write the same verdicts.
    """
    if path is None or fcntl is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            descriptor = os.open(secret_file(path), os.O_RDWR | os.O_CREAT, 0o600)
            stack.callback(os.close, descriptor)
            said = False
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not said:
                        say(f"Another run is using {path}. Waiting until it ends.")
                    said = True
                    time.sleep(0.2)
        yield


def as_dict(verdict: Verdict) -> dict:
    """Return a verdict as JSON can hold it."""
    return {**asdict(verdict), "state": verdict.state.value}


def read_verdict(fields: dict) -> Verdict:
    """Return the verdict that `as_dict` wrote."""
    several = {name: tuple(fields[name]) for name in ("notes", "mistakes")}
    return Verdict(**{**fields, **several, "state": State(fields["state"])})


def key_of(digest: str, suffix: str, exercise: str, settings: str) -> str:
    """Return what a verdict on a file depends on, as one hash; empty without a digest.

    Parameters
    ----------
    digest : str
        `digest_of` the file's contents.
    suffix : str
        How its name ends.
    exercise : str
        Its exercise, empty if that is not known yet.
    settings : str
        Everything else: the seed, the limits, the fence and `judge_version`.
    """
    text = f"{settings}\0{exercise}\0{suffix}\0{digest}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest() if digest else ""


def digest_of(path: Path, keep: int = 0) -> tuple[str, bytes | None]:
    """Return a hash of a file's contents, empty if it cannot be judged, and the contents.

    Parameters
    ----------
    path : Path
        A submitted file.
    keep : int
        Contents of more bytes are not returned.
    """
    digest, kept = hashlib.sha256(), []
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            return "", None
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                if size <= keep:
                    kept.append(block)
    except OSError:
        return "", None
    contents = b"".join(kept)
    return digest.hexdigest(), contents if size <= keep else None


def judge_version() -> str:
    """Return a hash of the library's sources and of what else a verdict may depend on."""
    digest = hashlib.sha256(repr((sys.version_info[:3], fence.kernel())).encode())
    for package in ("numpy", "torch"):
        try:
            digest.update(importlib.metadata.version(package).encode())
        except importlib.metadata.PackageNotFoundError:
            digest.update(b"missing")
    for path in sorted(LIBRARY.rglob("*.py")):
        digest.update(str(path.relative_to(LIBRARY)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
