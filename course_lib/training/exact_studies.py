"""Studies on exact MDPs: no networks, no seeds to train, seconds instead of hours.

Their ``study.toml`` names one of `DRIVERS`; its other keys are the driver's arguments.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..exact import gaps
from ..exact.ledger import ledger_features, ledger_mdp, policy_gradient
from ..exact.path_estimates import single_path, vine
from ..files import write_atomically


def gap_ledger(
    updates: int, max_kl: float, clip_range: float, damping: float, samples: int, seeds: int
) -> list[dict[str, Any]]:
    """Exact J after every update, for the reference and for each entry of the ledger.

    Returns
    -------
    list of dict
        ``entry``, ``seed`` and ``returns``; entries that sample have one row for each seed.
    """
    rate = gaps.clip_rate(max_kl, clip_range)
    exact, region = gaps.exact_data, gaps.trust_region
    entries: dict[str, Callable] = {
        "reference": lambda t: region(t, exact(t), max_kl),
        "theory: max KL": lambda t: region(t, exact(t), max_kl, worst=True),
        "theory: penalty C": lambda t: gaps.penalty(t, exact(t)),
        "quadratic model": lambda t: gaps.natural(t, exact(t), max_kl),
        "quadratic model, 2 CG iterations": lambda t: gaps.natural(t, exact(t), max_kl, 0.0, 2),
        "quadratic model, damping": lambda t: gaps.natural(t, exact(t), max_kl, damping),
        "undiscounted states": lambda t: region(t, gaps.undiscounted_data(t), max_kl),
        "normalised advantages": lambda t: region(t, gaps.normalised(exact(t)), max_kl),
        "clipping instead of a constraint": lambda t: gaps.clipped(t, exact(t), clip_range, rate),
    }
    rows = [
        {"entry": name, "seed": 0, "returns": _rounded(gaps.trace(step, updates))}
        for name, step in entries.items()
    ]
    for seed in range(seeds):
        step = _sampled_step(max_kl, samples, np.random.default_rng(seed))
        returns = _rounded(gaps.trace(step, updates))
        rows.append({"entry": "sampled states", "seed": seed, "returns": returns})
    return rows


def _sampled_step(max_kl: float, samples: int, rng: np.random.Generator) -> Callable:
    return lambda theta: gaps.trust_region(theta, gaps.sampled_data(theta, samples, rng), max_kl)


def vine_estimates(
    steps: int, look: int, counts: list[int], repeats: int, seed: int
) -> list[dict[str, Any]]:
    """Bias and variance of gradient estimates at the uniform policy of the ledger's MDP.

    Returns
    -------
    list of dict
        ``estimate``, ``paths`` (how many are averaged), ``q_samples`` and ``simulator_steps`` of an
        estimate, ``bias`` (norm of the mean error), ``bias_error`` (its standard error, the root of
        variance / repeats), ``variance`` (sum over components), ``variance_error`` (its standard
        error) and ``relative_error`` (root mean
        squared error over the gradient's norm).
    """
    mdp, features = ledger_mdp(), ledger_features()
    theta = np.zeros((features.shape[1], mdp.rewards.shape[1]))
    truth = (1.0 - mdp.gamma) * policy_gradient(mdp, theta, features)
    actions = theta.shape[1]

    def row(name: str, paths: int, q: int, cost: int, draw: Callable) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        estimates = np.mean([draw(rng) for _ in range(paths)], axis=0)
        deviations = np.square(estimates - estimates.mean(axis=0)).sum(axis=(1, 2))
        variance = float(deviations.sum() / (repeats - 1))
        bias = float(np.linalg.norm(estimates.mean(axis=0) - truth))
        mse = float(np.square(estimates - truth).sum(axis=(1, 2)).mean())
        return {
            "estimate": name,
            "paths": paths,
            "q_samples": paths * q,
            "simulator_steps": paths * cost,
            **{
                k: float(f"{x:.5g}")
                for k, x in {
                    "bias": bias,
                    "bias_error": np.sqrt(variance / repeats),
                    "variance": variance,
                    "variance_error": deviations.std(ddof=1) / np.sqrt(repeats),
                    "relative_error": np.sqrt(mse) / np.linalg.norm(truth),
                }.items()
            },
        }

    rows = []
    for count in counts:
        q_samples, cost = count * actions, steps + count * actions * (look + 1)
        for name, common in (("vine", True), ("vine, independent branches", False)):
            rows.append(
                row(name, 1, q_samples, cost, lambda rng, c=common, n=count: vine(
                    mdp, theta, features, steps, look, n, repeats, rng, common=c))
            )  # fmt: skip
        equal_q, equal_steps = max(1, q_samples // steps), max(1, cost // (steps + look))
        for name, baseline in (("single path", False), ("single path, exact V", True)):
            for paths in dict.fromkeys((equal_q, equal_steps)):
                rows.append(
                    row(name, paths, steps, steps + look, lambda rng, b=baseline: single_path(
                        mdp, theta, features, steps, look, repeats, rng, baseline=b))
                )  # fmt: skip
    return rows


DRIVERS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "gap_ledger": gap_ledger,
    "vine": vine_estimates,
}


def run_exact_study(table: dict[str, Any], folder: str | os.PathLike) -> Path:
    """Run the driver that a study's table names, unless its file is there; returns the file.

    Raises
    ------
    ValueError
        If there is no such driver, its arguments are others, or the file was made with others.
    """
    asked = {k: v for k, v in table.items() if k != "title"}
    arguments = dict(asked)
    name = arguments.pop("driver")
    if name not in DRIVERS:
        raise ValueError(f"no driver {name!r}; there are: {', '.join(DRIVERS)}")
    file = Path(folder) / f"{name}.json"
    if file.is_file():
        if json.loads(file.read_text())["study"] != asked:
            raise ValueError(f"{file} was made with other numbers than these: move it away")
        return file
    try:
        rows = DRIVERS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"the driver {name} was given other arguments: {error}") from error
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    text = f'{{"study": {json.dumps(asked)}, "rows": [\n{lines}\n]}}\n'
    write_atomically(file, text.encode())
    return file


def _rounded(values: Any) -> list[float]:
    return [float(f"{x:.6g}") for x in values]
