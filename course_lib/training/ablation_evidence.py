"""What chapter 12 reads of the ablation, in a compact form."""

import re
from pathlib import Path
from typing import Any

from .study_file import read_study
from .study_records import load_runs
from .study_tables import final_score

#: Group of arms, baseline, and the switch that was turned from it, if one was.
_ARM = re.compile(r"(.+)-(all|none)(?:-(?:minus|plus)-(\w+))?")


def ablation(results: Path, name: str = "ablation") -> dict[str, Any]:
    """Groups of arms, each from two baselines; an arm without runs yet has an empty list of them.

    Parameters
    ----------
    results : Path
        The folder of all studies.
    name : str
        Which of them; ``"tanh-alone"`` and ``"normalized-alone"`` have arms of the same names.

    Returns
    -------
    dict
        Group such as ``"ppo-swingup"`` -> ``algorithm``, ``env_id``, ``steps``, ``bar``, and the
        baselines ``"all"`` and ``"none"``. A baseline maps ``""`` to its own runs, and the name of
        each of the nine switches to those of the arm in which it alone was turned off, or on. A run
        has ``seed``, ``step`` and ``mean`` of its evaluations, ``kl`` and ``explained_variance`` of
        the updates they followed (empty for a run that diverged), ``score`` and ``sampled`` (final
        means without and with noise), ``cpu_seconds`` (evaluations left out) and ``diverged``.
    """
    study = read_study(results / name / "study.toml")
    groups: dict[str, Any] = {}
    asked: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for job in study.jobs:
        named = _ARM.fullmatch(job.arm)
        if named is None:
            raise ValueError(f"{job.arm!r} is no arm of the ablation: it names no baseline")
        group, base, switch = named.groups(default="")
        about = {key: job.described()[key] for key in ("algorithm", "env_id", "steps")}
        about |= {"bar": study.solved[job.env_id], "all": {}, "none": {}}
        runs = groups.setdefault(group, about)[base].setdefault(switch, [])
        asked[job.arm, job.seed] = runs
    for record in load_runs(results / name / "runs"):
        key = record["job"]["arm"], record["job"]["seed"]
        if key in asked:
            asked[key].append(_compact(record))
    return groups


def _compact(record: dict[str, Any]) -> dict[str, Any]:
    score = round(final_score(record), 2)
    return {
        "seed": record["job"]["seed"],
        "step": record["evaluations"]["step"],
        "mean": [round(x, 1) for x in record["evaluations"]["mean"]],
        **{key: record["updates"].get(key, []) for key in ("kl", "explained_variance")},
        "score": score,
        "sampled": score if record["diverged"] else round(final_score(record, "sampled"), 2),
        "cpu_seconds": record["made"]["cpu_seconds"],
        "diverged": bool(record["diverged"]),
    }
