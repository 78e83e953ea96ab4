"""The committed measurements that chapters read: ``evidence("trpo-live")``.

They live in ``results/``. A notebook may run where only the package is installed, as in Colab, so
the package holds a copy, ``evidence.json``, which ``python -m course_lib.training.evidence`` writes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .study_records import load_runs

RESULTS = Path(__file__).resolve().parents[2] / "results"
PACKAGED = Path(__file__).with_name("evidence.json")


def _rows(file: Path) -> Any:
    return json.loads(file.read_text())["rows"]


def _benchmark(task: str, kind: str) -> list[dict[str, Any]]:
    """The runs of one side of `make benchmarks` on one task, by seed."""
    folder = RESULTS / "benchmarks" / "pieces" / "solve" / task
    files = sorted(folder.glob(f"{kind}-*.json"))
    return [{"seed": int(f.stem.rsplit("-", 1)[1]), **json.loads(f.read_text())} for f in files]


#: Name -> how to read it from ``results/``.
SOURCES: dict[str, Callable[[], Any]] = {
    "trpo-live": lambda: load_runs(RESULTS / "trpo-live" / "runs"),
    "trpo-swingup-ten": lambda: _benchmark("CartPoleSwingUp-v0", "trpo-numpy"),
    "vine": lambda: _rows(RESULTS / "vine" / "runs" / "vine.json"),
    "gap-ledger": lambda: _rows(RESULTS / "gap-ledger" / "runs" / "gap_ledger.json"),
}


def evidence(name: str) -> Any:
    """Committed measurements, from ``results/`` or from the package's copy.

    Parameters
    ----------
    name : str
        One of `SOURCES`: ``"trpo-live"`` gives the records of that study's runs (see
        `study_run.run_job`), ``"trpo-swingup-ten"`` the benchmark's ten runs (``seed``, ``arrived``,
        ``steps``, and ``scores``: steps, CPU seconds, mean of 20 deterministic episodes),
        ``"vine"`` and ``"gap-ledger"`` the rows of `exact_studies`.

    Raises
    ------
    ValueError
        If there are none of that name.
    """
    if name not in SOURCES:
        raise ValueError(f"no evidence {name!r}; there is: {', '.join(SOURCES)}")
    return SOURCES[name]() if RESULTS.is_dir() else json.loads(PACKAGED.read_text())[name]


def main() -> None:
    """Write the package's copy."""
    lines = [f'"{name}": {json.dumps(read())}' for name, read in SOURCES.items()]
    PACKAGED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
