"""The records of a study on disk: one file for each finished run, written whole or not at all."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..algorithms import algorithm_of, completed
from ..files import write_atomically
from .outside import Outside
from .study_run import Job


def is_done(job: Job, folder: Path) -> bool:
    """Whether a run's file is there.

    A setting that is younger than the run was at its default then.

    Raises
    ------
    ValueError
        If it is, but of a run with other settings.
    """
    file = folder / job.file
    if not file.is_file():
        return False
    found, asked = json.loads(file.read_text())["job"], job.described()
    if not isinstance(job.settings, Outside):
        found["settings"] = completed(algorithm_of(job.settings), found["settings"])
    if found != asked:
        differs = [k for k in asked if found.get(k) != asked[k]]
        raise ValueError(
            f"{file} is a run with another {', '.join(differs)}: move it away, or give the arm "
            "another name"
        )
    return True


def write_run(record: dict[str, Any], file: Path) -> None:
    """Write a run's file, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for name, data in record.pop("agent", {}).items():
        kept = folder_of_agent(file) / name
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(data)
    write_atomically(file, (json.dumps(record, separators=(",", ":")) + "\n").encode())


def folder_of_agent(file: Path) -> Path:
    """Where the agent of a record is kept, for `agents.load_agent`."""
    return file.with_suffix(".agent")


def load_runs(folder: str | os.PathLike, arms: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The records of a study's finished runs, by arm and seed."""
    files = sorted(Path(folder).glob("*/*.json"))
    records = [json.loads(f.read_text()) for f in files if arms is None or f.parent.name in arms]
    return sorted(records, key=lambda r: (r["job"]["arm"], r["job"]["seed"]))
