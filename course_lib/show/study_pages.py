"""The page of a study: README.md, cost.md and figures, all of them made from its runs."""

import json
import tomllib
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..training.statistics import bootstrap_interval, interquartile_mean
from ..training.study_file import Study
from ..training.study_records import load_runs
from ..training.study_tables import arms_table, cost_table, curve, final_score, markdown, words

METHOD = (
    "Every seed counts. A run's score is the mean return of its last {final} episodes with the "
    "policy's most probable action. IQM is the mean of the seeds without the lowest and the highest "
    "quarter, rounded down (of three seeds, the mean of all), with its 95 % stratified bootstrap "
    "interval{bar}. The score of a run that diverged is its last evaluation. What the runs cost stands "
    "in `cost.md`."
)
BAR = (
    "; failure is a score below the bar, with Wilson's 95 % interval; "
    "a run has collapsed if it evaluated at the bar on the way (mean of {episodes} episodes every "
    "{every} steps) and ended below it. The last episodes are more than an evaluation has, so a run "
    "near the bar may count without having changed. A run that diverged is a failure and counts as "
    "collapsed"
)


def write_page(study: Study, folder: Path, page: Path, shown: str) -> Path:
    """Write a study's page from the runs that are there.

    Parameters
    ----------
    study : Study
    folder : Path
        Where its runs are.
    page : Path
        The folder that ``README.md``, ``cost.md`` and the figures go to; made if it does not exist.
    shown : str
        How it was run, for the first line.

    Returns
    -------
    Path
        Of ``README.md``. It depends on the runs' numbers only; what they cost stands in ``cost.md``.
    """
    page.mkdir(parents=True, exist_ok=True)  # where every run failed, none has made it
    asked = {(job.arm, job.seed) for job in study.jobs}
    records = [r for r in load_runs(folder) if (r["job"]["arm"], r["job"]["seed"]) in asked]
    job = study.jobs[0]
    paces = sorted({job.evaluate_every for job in study.jobs})
    about_bar = BAR.format(
        episodes=job.episodes,
        every=" to ".join(f"{pace:,}" for pace in dict.fromkeys((paces[0], paces[-1]))),
    )
    method = METHOD.format(final=job.final_episodes, bar=about_bar if study.solved else "")
    parts = [
        f"# {study.title}",
        f"Written by `{shown}` from the runs beside it; do not edit. "
        f"{len(records)} of {len(study.jobs)} runs are there.",
        method,
    ]
    for env_id in dict.fromkeys(job.env_id for job in study.jobs):
        table = arms_table(study, records, env_id)
        if table.empty:
            continue
        bar = study.solved.get(env_id)
        parts += [f"## {env_id}", markdown(_readable(table, bar))]
        picture = page / f"{env_id}.png"
        caption = _draw(study, records, table, env_id, picture)
        parts += [f"![{caption}]({picture.name})", caption]
    if records:
        cost = f"# What it cost\n\n{markdown(cost_table(records))}\n"
        (page / "cost.md").write_text(cost, encoding="utf-8")
    file = page / "README.md"
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return file


def _readable(table: pd.DataFrame, bar: float | None) -> pd.DataFrame:
    shown = pd.DataFrame(
        {
            "arm": table["arm"],
            "seeds": table["seeds"],
            "steps": [f"{n:,}" for n in table["steps"]],
            "IQM of final returns (95 %)": [_iqm(row) for row in table.itertuples()],
            "with the policy's noise": [_iqm(row, "sampled") for row in table.itertuples()],
        }
    )
    if bar is not None:
        shown[f"below {bar:g}"] = table["failed"]
        shown["failure rate (95 %)"] = [words(x, 2) for x in table["failures"]]
        shown["collapsed"] = table["collapsed"]
    return shown.assign(diverged=table["diverged"])


def _iqm(row: Any, kind: str = "iqm") -> str:
    """With its interval, which one seed does not have."""
    estimate = getattr(row, kind)
    return words(estimate) if row.seeds > 1 else f"{estimate.value:.1f}"


def _seeds(number: int) -> str:
    return f"{number} seed" if number == 1 else f"{number} seeds"


def _draw(
    study: Study, records: list[dict[str, Any]], table: pd.DataFrame, env_id: str, file: Path
) -> str:
    """Learning curves of every seed, and the final scores; returns the caption."""
    columns = min(4, len(table))
    rows = -(-len(table) // columns)
    size = 3.2 * columns, 2.3 * rows
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    bar = study.solved.get(env_id)
    for axis in axes.flat[len(table) :]:
        axis.set_axis_off()
    for axis, row in zip(axes.flat, table.itertuples(), strict=False):
        runs = [r for r in records if r["job"]["arm"] == row.arm]
        steps, means = curve(runs)
        axis.plot(steps, means.T, color="C0", alpha=0.3, linewidth=0.6)
        if len(means):
            axis.plot(steps, interquartile_mean(means), color="C1", linewidth=1.8)
        last = [final_score(r) for r in runs]
        axis.plot(np.full(len(last), row.steps * 1.04), last, "k_", markersize=5)
        if bar is not None:
            axis.axhline(bar, color="grey", linewidth=0.8, linestyle=":")
        axis.set_title(f"{row.arm}, {_seeds(row.seeds)}", fontsize=7)
        axis.tick_params(labelsize=6)
    figure.supxlabel("environment steps", fontsize=8)
    figure.supylabel("deterministic return", fontsize=8)
    figure.savefig(file, dpi=80, metadata={"Software": None})
    plt.close(figure)
    return (
        f"{env_id}: every seed's evaluated return (thin), their interquartile mean (bold), final "
        "scores (dashes at the right)"
        + ("" if bar is None else f", the bar of {bar:g} (dotted)")
        + ". Per arm: "
        + "; ".join(
            f"{r.arm}: {_seeds(r.seeds)}, {r.steps:,} steps, IQM {_iqm(r)}"
            + ("" if bar is None else f", failure rate {words(r.failures, 2)}")
            for r in table.itertuples()
        )
        + "."
    )


def write_exact_page(file: Path, records: Path, page: Path) -> Path:
    """Write the page of a study that `exact_studies` ran."""
    title = tomllib.loads(file.read_text(encoding="utf-8"))["title"]
    kept = json.loads(records.read_text())
    numbers = ", ".join(f"{k} {v}" for k, v in kept["study"].items() if k != "driver")
    kind = kept["study"]["driver"]
    table = _ledger_table(kept["rows"]) if kind == "gap_ledger" else pd.DataFrame(kept["rows"])
    text = (
        f"# {title}\n\nWritten by `make results STUDY={page.name}` from `{records.name}`; do not edit. "
        f"Numbers of the study: {numbers}.\n\n{markdown(table)}\n"
    )
    (page / "README.md").write_text(text, encoding="utf-8")
    return page / "README.md"


def _ledger_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Exact J at the start, half way and at the end, and what the entry costs at the end.

    An entry that samples has the mean of its seeds, with a bootstrap interval.
    """
    returns = {
        entry: np.array([r["returns"] for r in rows if r["entry"] == entry])
        for entry in dict.fromkeys(r["entry"] for r in rows)
    }
    reference, updates = returns["reference"][0], len(rows[0]["returns"]) - 1
    half, lines = updates // 2, []
    for entry, J in returns.items():
        cost = bootstrap_interval([reference[-1] - J[:, -1]], statistic=np.mean)
        lines.append(
            {
                "entry": entry,
                "seeds": len(J),
                "J after 1 update": f"{J[:, 1].mean():.3f}",
                f"J after {half}": f"{J[:, half].mean():.3f}",
                f"J after {updates}": f"{J[:, -1].mean():.3f}",
                "cost in J at the end": words(cost, 3) if len(J) > 1 else f"{cost.value:.3f}",
            }
        )
    return pd.DataFrame(lines)
