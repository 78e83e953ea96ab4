"""The committed measurements that chapters read: ``evidence("vine")``.

They live in ``results/``. A notebook may run where only the package is installed, as in Colab, so
the package holds a copy, ``evidence.json``, which ``python -m course_lib.training.evidence`` writes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import ablation_evidence, ladder_evidence
from .study_records import load_runs

RESULTS = Path(__file__).resolve().parents[2] / "results"
PACKAGED = Path(__file__).with_name("evidence.json")


def _rows(file: Path) -> Any:
    return json.loads(file.read_text())["rows"]


def _benchmark(algorithm: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Runs of `make benchmarks`: task -> side ("ours", "SB3") -> runs by seed."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for task in sorted((RESULTS / "benchmarks" / "pieces" / "solve").iterdir()):
        for side, kinds in {"ours": ("numpy", "gymnasium"), "SB3": ("sb3",)}.items():
            files = sorted(f for kind in kinds for f in task.glob(f"{algorithm}-{kind}-*.json"))
            runs = [{"seed": int(f.stem[-1]), **json.loads(f.read_text())} for f in files]
            if runs:
                found.setdefault(task.name, {})[side] = runs
    return found


#: Name -> how to read it from ``results/``.
SOURCES: dict[str, Callable[[], Any]] = {
    "trpo-benchmarks": lambda: _benchmark("trpo"),
    "vine": lambda: _rows(RESULTS / "vine" / "runs" / "vine.json"),
    "swingup-36": lambda: load_runs(RESULTS / "swingup-36" / "runs"),
    "swingup-seeds": lambda: load_runs(RESULTS / "tuning" / "ppo_seeds" / "runs", ["ppo"]),
    "ablation": lambda: ablation_evidence.ablation(RESULTS),
    "tanh-alone": lambda: ablation_evidence.ablation(RESULTS, "tanh-alone"),
    "normalized-alone": lambda: ablation_evidence.ablation(RESULTS, "normalized-alone"),
    "ladder": lambda: ladder_evidence.ladder(RESULTS),
    "one-norm": lambda: ladder_evidence.one_norm(RESULTS),
    "trpo-radius": lambda: ladder_evidence.falling_radius(RESULTS),
    "pace": lambda: ladder_evidence.pace(RESULTS),
    "ladder-quiz": lambda: ladder_evidence.quiz(RESULTS),
    "tuning": lambda: ladder_evidence.tuning(RESULTS),
    "benchmark-times": lambda: ladder_evidence.benchmark_times(RESULTS),
    "gap-ledger": lambda: _rows(RESULTS / "gap-ledger" / "runs" / "gap_ledger.json"),
}


def evidence(name: str) -> Any:
    """Committed measurements, from ``results/`` or from the package's copy.

    Parameters
    ----------
    name : str
        One of `SOURCES`: ``"trpo-benchmarks"`` gives the benchmark's runs by task and side
        (``seed``, ``arrived``, ``steps``, and ``scores``: steps, CPU seconds, mean of 20
        deterministic episodes), ``"vine"`` the rows of that exact study,
        ``"swingup-36"`` the records of that study's runs (see `study_run.run_job`),
        ``"swingup-seeds"`` those of PPO's earlier preset on seeds 110 to 116, ``"gap-ledger"`` the
        rows of that exact study, ``"ablation"``, ``"tanh-alone"`` and ``"normalized-alone"`` what
        `ablation_evidence` makes of those studies, and ``"ladder"``, ``"one-norm"``,
        ``"trpo-radius"``, ``"pace"``, ``"ladder-quiz"``, ``"tuning"`` and ``"benchmark-times"`` what
        `ladder_evidence` makes of them.

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
