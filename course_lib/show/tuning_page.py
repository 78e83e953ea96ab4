"""``python -m course_lib.show.tuning_page results/tuning``: write results/tuning.md from the runs."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from ..algorithms import settings_from
from ..algorithms.presets import PRESETS
from ..training.study_file import read_study
from ..training.study_records import load_runs
from ..training.study_tables import final_score, markdown

INTRODUCTION = """# Tuning

Written by `make tuning` from the runs in `tuning/*/runs`; do not edit. `tuning/*/study.toml` says what
is to be tried, all of it on seeds that no study reports; the line below each title says how much of it
has been. The grids of A2C, REINFORCE, the natural gradient and PPO-penalty are equal in settings, seeds
and steps, but for A2C's wide start on swing-up. PPO-clip on swing-up was tried longer and far more
often, at full length: the question there was what keeps a run from crashing for good, and whoever
compares it with the others should know. Settings that had done worse than another were given up before
all of their seeds had run; some were never started. TRPO on swing-up was tried at full length as well, and its preset did not
change. What a grid does not name was not tuned here: it is what PPO or TRPO have, or had, on the same task. Those
two were chosen earlier, by hand, on seeds 10 to 28, which are among the reported ones, but for PPO's
start, learning rate and price on noise on swing-up, which were chosen below; `algorithms/presets.py` says how.

Score: mean return of the last episodes with the most probable action, seed by seed. A star marks the
settings that the presets have."""


def tuning_page(folder: Path) -> str:
    """The page as Markdown; a setting whose runs are not there yet has no row."""
    parts = [INTRODUCTION]
    for file in sorted(folder.glob("*/study.toml")):
        study, records = read_study(file), load_runs(file.parent / "runs")
        asked = {job.arm: job for job in study.jobs}
        tried = len({r["job"]["arm"] for r in records})
        parts.append(f"## {study.title}")
        parts.append(
            f"{tried} of {len(asked)} settings have runs, {len(records)} of {len(study.jobs)}."
        )
        rows = []
        for arm, job in asked.items():
            runs = [r for r in records if r["job"]["arm"] == arm]
            if not runs:
                continue
            found = runs[0]["job"]
            settings = settings_from(found["algorithm"], found["settings"])
            is_preset = PRESETS.get((found["algorithm"], job.env_id)) == settings
            rows.append(
                {
                    "settings": arm + (" *" if is_preset else ""),
                    "steps": f"{job.steps:,}",
                    "seeds": ", ".join(str(r["job"]["seed"]) for r in runs),
                    "scores": ", ".join(f"{final_score(r):.1f}" for r in runs),
                    "mean": f"{np.mean([final_score(r) for r in runs]):.1f}",
                }
            )
        if rows:
            parts.append(markdown(pd.DataFrame(rows)))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    folder = Path(sys.argv[1])
    folder.with_suffix(".md").write_text(tuning_page(folder), encoding="utf-8")


if __name__ == "__main__":
    main()
