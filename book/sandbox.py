"""Train the policies of the sandbox page: ``python -m book.sandbox [RUN ...]`` (minutes).

Each run leaves two files in ``results/sandbox``: the weights of its policy at some steps of training
(safetensors), and how they were made, with measured returns (JSON). Delete both to train it again.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.numpy
from numpy.typing import NDArray

from book.sandbox_page import read_runs
from course_lib.algorithms.agent import Agent
from course_lib.algorithms.presets import preset
from course_lib.files import write_atomically
from course_lib.training.evaluation import evaluate
from course_lib.training.study_run import versions
from course_lib.training.train import train

FOLDER = Path(__file__).resolve().parent.parent / "results" / "sandbox"
EPISODES = 100  # of each evaluation; its seed is the run's, and shares no episode with training


@dataclass(frozen=True)
class Recipe:
    """One training run, with the preset's settings but for some changes.

    Attributes
    ----------
    algorithm, env_id : str
    seed, total_steps : int
        The learning rate falls to 0 over all steps; training ends with the last policy that is kept.
    kept : tuple of int
        The steps of training whose policies are kept; each is the end of an update, or 0.
    changes : mapping
        Settings that differ from the preset.
    """

    algorithm: str
    env_id: str
    seed: int
    total_steps: int
    kept: tuple[int, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)


#: A narrow start that now and then crashes for good: the page shows both fates.
NARROW = {"initial_log_std": 0.5, "entropy_coef": -0.005, "learning_rate": 2e-3}
RECIPES = {
    "swingup-ppo-112": Recipe(
        "ppo",
        "CartPoleSwingUp-v0",
        112,
        1_000_000,
        (0, 32_768, 65_536, 98_304, 131_072, 229_376, 491_520),
        NARROW,
    ),
    "swingup-ppo-115": Recipe(
        "ppo", "CartPoleSwingUp-v0", 115, 1_000_000, (98_304, 262_144), NARROW
    ),
    "cartpole-ppo-0": Recipe(
        "ppo", "CartPole-v1", 0, 100_000, (0, 6_144, 10_240, 20_480, 40_960, 100_352)
    ),
}


def main(names: Sequence[str] = ()) -> None:
    """Train what is missing of some runs, or of all, and write the folder's README.md from what is there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or RECIPES:
        if not (FOLDER / f"{name}.json").is_file():
            write_run(name, RECIPES[name])
    write_atomically(FOLDER / "README.md", readme(read_runs(FOLDER)).encode())
    print(FOLDER / "README.md")


def write_run(name: str, recipe: Recipe) -> None:
    """Train one run, and keep its policies."""
    settings = replace(preset(recipe.algorithm, recipe.env_id), **recipe.changes)
    weights: dict[str, NDArray] = {}
    checkpoints: list[dict[str, Any]] = []

    def keep(step: int, agent: Agent) -> bool:
        if step in recipe.kept:
            for key, tensor in agent.policy.state_dict().items():
                weights[f"{step}/{key}"] = tensor.numpy().copy()
            returns = {
                kind: summary(evaluate(agent, recipe.env_id, EPISODES, recipe.seed, greedy))
                for kind, greedy in (("deterministic", True), ("sampled", False))
            }
            checkpoints.append({"step": step, "returns": returns})
        return step >= max(recipe.kept)

    history = train(
        recipe.env_id, settings, recipe.total_steps, recipe.seed, progress=False, callback=keep
    )
    if left := set(recipe.kept) - {checkpoint["step"] for checkpoint in checkpoints}:
        raise ValueError(f"no update of {name} ends at step {sorted(left)}")
    if history.agent.normalizer is not None:
        raise ValueError(f"{name} sees normalised observations, which the page does not know")
    record = {
        "algorithm": recipe.algorithm,
        "env": recipe.env_id,
        "seed": recipe.seed,
        "total_steps": recipe.total_steps,
        "sizes": list(history.agent.policy.net.sizes),
        "activation": settings.activation,
        "settings": asdict(settings),
        "made": versions(),
        "episodes": EPISODES,
        "checkpoints": checkpoints,
    }
    write_atomically(FOLDER / f"{name}.safetensors", safetensors.numpy.save(weights))
    write_atomically(FOLDER / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())


def summary(returns: NDArray) -> dict[str, float]:
    """Mean, standard deviation and range of returns (E,), to two decimals."""
    numbers = {"mean": returns.mean(), "sd": returns.std(), "low": returns.min()}
    return {key: round(float(x), 2) for key, x in {**numbers, "high": returns.max()}.items()}


def readme(runs: Mapping[str, dict[str, Any]]) -> str:
    """The text of the folder's README.md, all numbers from the records."""
    lines = [
        "# Policies of the sandbox",
        "Written by `python -m book.sandbox` from the records beside it; do not edit. The weights of "
        "policies at some steps of training, which the page `sandbox.md` runs. Each run was trained "
        "with the library's preset of its algorithm and environment, on swing-up with a narrower "
        "start, twice its learning rate and a price on noise; the JSON files hold all settings. Returns are means over that many fresh episodes (and their standard deviation), "
        "first with the most probable action, then with actions drawn from the policy.",
    ]
    for name, run in runs.items():
        made = ", ".join(f"{key} {value}" for key, value in run["made"].items())
        lines += [
            f"## {name}",
            f"{run['algorithm']} on {run['env']}, seed {run['seed']}, a schedule of {run['total_steps']:,} steps. "
            f"Made with {made}.",
            f"| step | most probable, {run['episodes']} episodes | sampled |\n"
            "| ---: | ---: | ---: |\n"
            + "\n".join(
                f"| {c['step']:,} | {words(c['returns']['deterministic'])} "
                f"| {words(c['returns']['sampled'])} |"
                for c in run["checkpoints"]
            ),
        ]
    return "\n\n".join(lines) + "\n"


def words(returns: Mapping[str, float]) -> str:
    """Mean and standard deviation, as in a table."""
    return f"{returns['mean']:.1f} (sd {returns['sd']:.1f})"


if __name__ == "__main__":
    main(sys.argv[1:])
