"""What chapter 13 reads of the ladder, of its tuning and of the benchmarks, in a compact form."""

import json
from pathlib import Path
from typing import Any

from .study_file import read_study
from .study_records import load_runs
from .study_tables import final_score

#: The runs of the chapter's quiz, in its order: arm and seed.
QUIZ = (
    ("swingup-a2c", 0),
    ("cartpole-a2c", 1),
    ("swingup-ppo", 4),
    ("swingup-reinforce", 4),
    ("cartpole-reinforce", 1),
    ("swingup-npg", 0),
    ("cartpole-a2c", 2),
    ("cartpole-a2c", 4),
)
KEPT = ("mean_return", "kl", "entropy", "explained_variance", "value_loss", "effective_sample_size")


def ladder(results: Path) -> dict[str, Any]:
    """Bars and arms of the ladder; an arm that has no runs yet has an empty list of them.

    Returns
    -------
    dict
        ``solved``: environment id -> return; ``arms``: name -> ``algorithm``, ``env_id``,
        ``steps``, ``settings`` and ``runs``, by seed: ``seed``, ``step`` and ``mean`` of its
        evaluations, ``score`` and ``sampled`` (final means without and with noise),
        ``cpu_seconds`` (evaluations left out), ``diverged``, and ``accepted``, the share of updates
        that passed TRPO's line search.
    """
    study = read_study(results / "ladder" / "study.toml")
    asked = {(job.arm, job.seed) for job in study.jobs}
    arms: dict[str, Any] = {}
    for job in study.jobs:
        about = job.described()
        kept = {key: about[key] for key in ("algorithm", "env_id", "steps", "settings")}
        arms.setdefault(job.arm, {**kept, "runs": []})
    for record in load_runs(results / "ladder" / "runs"):
        arm, seed = record["job"]["arm"], record["job"]["seed"]
        if (arm, seed) in asked:
            arms[arm]["runs"].append(_compact(record))
    return {"solved": dict(study.solved), "arms": arms}


def _compact(record: dict[str, Any]) -> dict[str, Any]:
    score = round(final_score(record), 2)
    noisy = score if record["diverged"] else round(final_score(record, "sampled"), 2)
    return {
        "seed": record["job"]["seed"],
        "step": record["evaluations"]["step"],
        "mean": [round(x, 1) for x in record["evaluations"]["mean"]],
        "score": score,
        "sampled": noisy,
        "cpu_seconds": record["made"]["cpu_seconds"],
        "diverged": bool(record["diverged"]),
        "accepted": _share(record["updates"].get("accepted")),
    }


def _share(accepted: list[float] | None) -> float | None:
    """Of updates that passed the line search; none for an algorithm that has none."""
    return round(sum(accepted) / len(accepted), 4) if accepted else None


def one_norm(results: Path) -> dict[str, list[float]]:
    """Final scores on CartPole without the clip of the gradient's norm: algorithm -> score by seed."""
    scores: dict[str, list[float]] = {}
    for record in load_runs(results / "one-norm" / "runs"):
        scores.setdefault(record["job"]["algorithm"], []).append(round(final_score(record), 2))
    return scores


def falling_radius(results: Path) -> list[dict[str, Any]]:
    """Runs of TRPO on swing-up whose radius falls to 0, by seed, as `ladder` has those of an arm."""
    return [_compact(record) for record in load_runs(results / "trpo-radius" / "runs")]


def pace(results: Path) -> dict[str, float]:
    """CPU seconds per environment step, evaluations left out, of a run alone on an idle machine: arm -> pace."""
    found = load_runs(results / "pace" / "runs")
    return {r["job"]["arm"]: r["made"]["cpu_seconds"] / r["evaluations"]["step"][-1] for r in found}


def quiz(results: Path) -> list[dict[str, Any]]:
    """The runs of `QUIZ` with their instruments, as far as they are there.

    The instruments, ``updates``, are `KEPT` by ``step``; all are empty for a run that diverged.
    """
    found = {}
    for record in load_runs(results / "ladder" / "runs", [arm for arm, _ in QUIZ]):
        updates = {key: record["updates"].get(key, []) for key in ("step", *KEPT)}
        key = record["job"]["arm"], record["job"]["seed"]
        found[key] = {**_compact(record), "arm": key[0], "updates": updates}
    return [found[key] for key in QUIZ if key in found]


def tuning(results: Path) -> list[dict[str, Any]]:
    """What was spent on choosing settings: ``algorithm``, ``env_id``, ``settings``, ``runs``, ``steps``."""
    spent: dict[tuple[str, str], dict[str, Any]] = {}
    for folder in sorted((results / "tuning").glob("*/runs")):
        for record in load_runs(folder):
            job = record["job"]
            line = spent.setdefault(
                (job["algorithm"], job["env_id"]), {"tried": set(), "runs": 0, "steps": 0}
            )
            line["tried"].add((folder.parent.name, job["arm"]))
            line["runs"] += 1
            line["steps"] += job["steps"]
    return [
        {"algorithm": a, "env_id": e, "settings": len(x["tried"]), "runs": x["runs"], "steps": x["steps"]}
        for (a, e), x in sorted(spent.items())
    ]  # fmt: skip


def benchmark_times(results: Path) -> list[dict[str, Any]]:
    """Runs of `make benchmarks` until they solve: task, algorithm, side, seconds, steps, arrived."""
    kinds = {"numpy": "ours", "gymnasium": "ours", "sb3": "SB3"}
    rows = []
    for file in sorted((results / "benchmarks" / "pieces" / "solve").glob("*/*.json")):
        algorithm, kind, seed = file.stem.split("-")
        if kind in kinds:
            about = {"task": file.parent.name, "algorithm": algorithm, "side": kinds[kind]}
            run = json.loads(file.read_text())
            kept = {key: run[key] for key in ("cpu_seconds", "steps", "arrived")}
            rows.append({**about, "seed": int(seed), **kept})
    return rows
