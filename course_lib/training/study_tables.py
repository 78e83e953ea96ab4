"""The tables of a study, from the records of its runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .statistics import Estimate, bootstrap_interval, failure_rate
from .study_file import Study


def final_score(record: dict[str, Any], kind: str = "deterministic") -> float:
    """Mean return of a run's last episodes; of a run that diverged, of its last evaluation."""
    if record["diverged"]:
        return record["evaluations"]["mean"][-1]
    return float(np.mean(record["final"][kind]))


def has_collapsed(record: dict[str, Any], threshold: float) -> bool:
    """Whether a run evaluated at the threshold on the way and ended below it, or diverged."""
    best = max(record["evaluations"]["mean"])
    return best >= threshold > final_score(record) or bool(record["diverged"])


def arms_table(study: Study, records: Sequence[dict[str, Any]], env_id: str) -> pd.DataFrame:
    """One row for each arm of an environment that has runs.

    Parameters
    ----------
    study : Study
    records : sequence of dict
        As `study_records.load_runs` gives them.
    env_id : str

    Returns
    -------
    DataFrame
        Columns ``arm``, ``seeds``, ``steps``, ``iqm`` and ``sampled`` (each an `Estimate`, of the
        final returns without and with the policy's noise) and ``diverged`` (a count). Where the
        study says what solves the environment, also ``failures`` (an `Estimate`), ``failed`` and
        ``collapsed`` (counts).
    """
    threshold, rows = study.solved.get(env_id), []
    for arm in dict.fromkeys(job.arm for job in study.jobs if job.env_id == env_id):
        runs = [r for r in records if r["job"]["arm"] == arm]
        if not runs:
            continue
        scores = [final_score(run) for run in runs]
        row = {
            "arm": arm,
            "seeds": len(runs),
            "steps": runs[0]["job"]["steps"],
            "iqm": bootstrap_interval([scores]),
            "sampled": bootstrap_interval([[final_score(r, "sampled") for r in runs]]),
            "diverged": sum(bool(run["diverged"]) for run in runs),
        }
        if threshold is not None:
            ended = np.array(
                [np.nan if r["diverged"] else s for r, s in zip(runs, scores, strict=True)]
            )
            row |= {
                "failures": failure_rate(ended, threshold),
                "failed": int(np.sum(~(ended >= threshold))),
                "collapsed": sum(has_collapsed(run, threshold) for run in runs),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def cost_table(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """CPU seconds of each arm's runs, evaluations left out, and commits they were made at."""
    rows = []
    for arm in dict.fromkeys(r["job"]["arm"] for r in records):
        runs = [r for r in records if r["job"]["arm"] == arm]
        seconds = np.array([r["made"]["cpu_seconds"] for r in runs])
        steps = np.array([r["evaluations"]["step"][-1] for r in runs])
        rows.append(
            {
                "arm": arm,
                "runs": len(runs),
                "CPU seconds of a run (median)": f"{np.median(seconds):.1f}",
                "CPU seconds per million steps": f"{np.median(seconds / steps) * 1e6:.0f}",
                "CPU hours in all": f"{seconds.sum() / 3600:.2f}",
                "commits": ", ".join(sorted({r["made"]["commit"] for r in runs})),
            }
        )
    return pd.DataFrame(rows)


def curve(records: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (K,) and evaluated means (N, K) of an arm's runs that did not diverge."""
    whole = [r for r in records if not r["diverged"]]
    if not whole:
        return np.empty(0), np.empty((0, 0))
    return np.array(whole[0]["evaluations"]["step"]), np.array(
        [r["evaluations"]["mean"] for r in whole]
    )


def words(estimate: Estimate, digits: int = 1) -> str:
    """``12.3 (11.0 to 13.0)``; what rounds to 0 has no sign."""
    value, low, high = (f"{x:z.{digits}f}" for x in estimate)
    return f"{value} ({low} to {high})"


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown's pipes."""
    lines = [list(table.columns), ["---"] * len(table.columns)]
    lines += [[str(x) for x in row] for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
