"""Verdicts on disk, one JSON line per judged file, so that a run can be resumed.

The file lies beside the class folder, never in it: what students hand in is not a place to read
verdicts from. A line is found by a key that covers everything a verdict depends on.
"""

import hashlib
import importlib.metadata
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from ..notebook import MAX_BYTES
from ..states import State, Verdict

LIBRARY = Path(__file__).resolve().parents[2]


class Ledger:
    """The verdicts of earlier runs, and where those of this run are written.

    Parameters
    ----------
    path : Path or None
        The file; it is made when the first verdict is written. None: nothing is kept.
    fresh : bool
        Whether earlier verdicts are left unread.
    """

    def __init__(self, path: Path | None, fresh: bool = False):
        self.path = path
        self.lines = {} if path is None or fresh else read_lines(path)

    def get(self, key: str) -> tuple[str, list[Verdict]] | None:
        """Return the exercise and the verdicts that belong to a key, None if there are none."""
        line = self.lines.get(key)
        try:
            return line["exercise"], [read_verdict(verdict) for verdict in line["verdicts"]]
        except (KeyError, TypeError, ValueError):
            return None

    def add(self, key: str, exercise: str, verdicts: list[Verdict]) -> None:
        """Write verdicts down; after this returns they survive the end of this process."""
        line = {"key": key, "exercise": exercise, "verdicts": [as_dict(v) for v in verdicts]}
        self.lines[key] = line
        if self.path is None:
            return
        with open(self.path, "a+b", buffering=0) as file:
            cut = file.tell() > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
            # One write: a run that is killed leaves whole lines, or a last one that is skipped.
            file.write(b"\n" * cut + json.dumps(line).encode() + b"\n")


def read_lines(path: Path) -> dict[str, dict]:
    """Return the lines of a file by their keys; lines that were cut off are left out."""
    lines = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    for row in text.splitlines():
        try:
            line = json.loads(row)
            lines[line["key"]] = line
        except (ValueError, KeyError, TypeError):
            continue
    return lines


def as_dict(verdict: Verdict) -> dict:
    """Return a verdict as JSON can hold it."""
    return {**asdict(verdict), "state": verdict.state.value}


def read_verdict(fields: dict) -> Verdict:
    """Return the verdict that `as_dict` wrote."""
    several = {name: tuple(fields[name]) for name in ("notes", "mistakes")}
    return Verdict(**{**fields, **several, "state": State(fields["state"])})


def key_of(path: Path, exercise: str, settings: str) -> str:
    """Return what a verdict on a file depends on, as one hash; empty if it cannot be read.

    Parameters
    ----------
    path : Path
        The submitted file.
    exercise : str
        Its exercise, empty if that is not known yet.
    settings : str
        Everything else: the seed, the limits and `judge_version`.
    """
    digest = hashlib.sha256(f"{settings}\0{exercise}\0{path.suffix}\0".encode())
    try:
        if path.stat().st_size > MAX_BYTES:
            return ""
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def judge_version() -> str:
    """Return a hash of the library's sources and of the versions a verdict may depend on."""
    digest = hashlib.sha256(repr(sys.version_info[:3]).encode())
    for package in ("numpy", "torch"):
        try:
            digest.update(importlib.metadata.version(package).encode())
        except importlib.metadata.PackageNotFoundError:
            digest.update(b"missing")
    for path in sorted(LIBRARY.rglob("*.py")):
        digest.update(str(path.relative_to(LIBRARY)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
