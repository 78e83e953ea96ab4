"""The runs of chapter 15 that its minutes do not hold: ``python -m course_lib.language.study``.

One file for each finished run, ``results/language/ARM/SEED.json``, written whole or not at all.
What is there is not run again, unless its settings have changed: then it says so and stops.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..files import write_atomically
from .grpo import GRPO
from .ppo import PPO
from .rloo import RLOO
from .supervised import pretrained
from .task import addition, split
from .training import Settings, improve
from .trpo import TRPO

OFF = float("inf")
HELD_OUT = 2000
RESULTS = Path(__file__).resolve().parents[2] / "results" / "language"
#: A notebook may run where only the package is installed, as in Colab.
PACKAGED = Path(__file__).with_name("summary.json")
#: Sixteen passes of four minibatches over each batch, and no region yet.
PASSES = GRPO(epochs=16, pieces=4, learning_rate=3e-4)
FREE_PASSES = replace(PASSES, clip_low=OFF, clip_high=OFF)
ONE_PASS = GRPO(epochs=1, pieces=1)


@dataclass(frozen=True)
class Arm:
    """Runs that differ in their seed only; the fields are those of `training.improve`."""

    settings: Settings
    batches: int
    seeds: int = 5
    lag: int = 0
    remember_sampler: bool = True

    def described(self, seed: int) -> dict[str, Any]:
        """What a record says about how it was made."""
        settings = {k: repr(v) for k, v in dataclasses.asdict(self.settings).items()}
        return {
            "algorithm": self.settings.name, "settings": settings, "batches": self.batches,
            "lag": self.lag, "remember_sampler": self.remember_sampler, "seed": seed,
        }  # fmt: skip


ARMS = {
    "rloo": Arm(RLOO(), 300),
    "ppo": Arm(PPO(), 160),
    "grpo": Arm(GRPO(), 240),
    "passes-free": Arm(FREE_PASSES, 20),
    "passes-clip": Arm(PASSES, 20),
    "passes-clip-stop": Arm(replace(PASSES, max_kl=0.03), 20),
    "passes-stop": Arm(replace(FREE_PASSES, max_kl=0.03), 20),
    "passes-trpo": Arm(TRPO(), 20),
    "stale-ignored": Arm(ONE_PASS, 120, lag=8, remember_sampler=False),
    "stale-clip": Arm(ONE_PASS, 120, lag=8),
}


def run_arm(arm: Arm, seed: int, start: nn.Module) -> dict[str, Any]:
    """One run, as its record."""
    train, held_out = split(addition(), HELD_OUT)
    run = improve(
        start, train, held_out, arm.settings, arm.batches, seed, measured=20,
        lag=arm.lag, remember_sampler=arm.remember_sampler,
    )  # fmt: skip
    kept = {k: [round(step[k], 5) for step in run.steps] for k in run.steps[0]}
    return {
        "job": arm.described(seed), "samples": run.samples, "accuracy": run.accuracy,
        "greedy": run.greedy, "seconds": round(run.seconds, 1), "torch": torch.__version__, **kept,
    }  # fmt: skip


def waiting(folder: Path, arms: Sequence[str]) -> Iterator[tuple[int, str, Path]]:
    """The runs that have no record yet: seed, arm, file; seed by seed.

    Raises
    ------
    ValueError
        If a record was made with other settings, or there is no such arm.
    """
    if unknown := set(arms) - set(ARMS):
        raise ValueError(f"no arm {', '.join(sorted(unknown))}; there are: {', '.join(ARMS)}")
    for seed in range(max(ARMS[name].seeds for name in arms)):
        for name in arms:
            file = folder / name / f"{seed}.json"
            if seed >= ARMS[name].seeds:
                continue
            if not file.is_file():
                yield seed, name, file
            elif json.loads(file.read_text())["job"] != ARMS[name].described(seed):
                raise ValueError(f"{file} is a run with other settings: move it away")


def write_whole(record: dict[str, Any], file: Path) -> None:
    """Write a record, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps(record) + "\n").encode())


def load_records(folder: str | os.PathLike) -> dict[str, list[dict[str, Any]]]:
    """Arm -> the records of its finished runs, by seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(Path(folder).glob("*/*.json"), key=lambda f: (f.parent.name, int(f.stem))):
        found.setdefault(file.parent.name, []).append(json.loads(file.read_text()))
    return found


def write_summary(folder: Path) -> None:
    """What the chapter reads, in one file: ``summary.json``, arm -> runs by seed.

    Of each run the samples, the accuracy on the way, greedy accuracy, CPU seconds, and the largest
    ``kl``, ``tv`` and ``ratio`` of all its updates (`learner.step_size`).
    """
    kept = {
        arm: [
            {k: r[k] for k in ("samples", "greedy", "seconds")}
            | {"accuracy": [round(x, 4) for x in r["accuracy"]]}
            | {k: max(r[k]) for k in ("kl", "tv", "ratio")}
            for r in records
        ]
        for arm, records in load_records(folder).items()
    }
    write_whole(kept, folder / "summary.json")
    if folder.resolve() == RESULTS:
        write_whole(kept, PACKAGED)


def committed_runs() -> dict[str, list[dict[str, Any]]]:
    """The summary of the committed runs: the repository's, or the copy in an installed package."""
    file = RESULTS / "summary.json"
    found: dict[str, list[dict[str, Any]]] = json.loads(
        (file if file.is_file() else PACKAGED).read_text()
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, one run at a time on one core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arms", nargs="*", default=list(ARMS), metavar="ARM")
    parser.add_argument("--folder", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    train, _ = split(addition(), HELD_OUT)
    starts: dict[int, nn.Module] = {}
    for seed, name, file in waiting(given.folder, given.arms or list(ARMS)):
        if seed not in starts:
            starts[seed] = pretrained(train, seed=seed)
        record = run_arm(ARMS[name], seed, starts[seed])
        write_whole(record, file)
        write_summary(given.folder)
        ends = record["accuracy"]
        print(
            f"{name} seed {seed}: J {ends[0]:.3f} -> {ends[-1]:.3f}, {record['seconds']} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
