"""The command ``study``: run a study's file, and say how the arms ended."""

import argparse
import tomllib
from pathlib import Path

import numpy as np

from ..show.study_pages import write_exact_page, write_page
from ..training.exact_studies import run_exact_study
from ..training.statistics import bootstrap_interval
from ..training.study import run_study
from ..training.study_file import read_study
from ..training.study_records import load_runs


def run_study_file(options: argparse.Namespace) -> None:
    """Run what is missing.

    Raises
    ------
    ValueError
        If a smaller version of a study on exact MDPs is asked for: there is none.
    RuntimeError
        If a run did not come to an end; the others did, and are kept.
    """
    file = Path(options.file)
    table = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if "driver" in table:
        given = [
            f"--{name}" for name in ("seeds", "steps", "arm", "dask") if getattr(options, name)
        ]
        if given:
            raise ValueError(
                f"{file} is a study on exact MDPs, which runs whole and on this machine: leave out "
                f"{', '.join(given)}"
            )
        records = run_exact_study(table, folder_of(file, options))
        page = write_exact_page(file, records, page_of(records.parent))
        if not options.quiet:
            print(f"records are in {records}")
            print(f"tables are in {page}")
        return
    whole = read_study(file).smaller(options.seeds, options.steps)
    study = whole.smaller(arms=options.arm)
    failed = run_study(
        study,
        folder_of(file, options),
        processes=options.processes,
        dask=options.dask,
        progress=not options.quiet,
    )
    page = write_page(  # the other arms' runs, too, stay on it
        whole, folder_of(file, options), page_of(folder_of(file, options)), _shown(file)
    )
    if not options.quiet:
        print(f"tables are in {page}")
        _summarise(folder_of(file, options), {job.arm for job in study.jobs})
    if failed:
        reasons = "; ".join(f"{job.name}: {reason}" for job, reason in failed.items())
        raise RuntimeError(f"{len(failed)} of {len(study.jobs)} runs did not end: {reasons}")


def folder_of(file: Path, options: argparse.Namespace) -> Path:
    """Where the runs go: a smaller version never mixes with the study's own."""
    if options.out:
        return Path(options.out)
    parts = [f"{n}-{name}" for name in ("seeds", "steps") if (n := getattr(options, name))]
    return Path("runs", file.parent.name, *parts) if parts else file.parent / "runs"


def page_of(runs: Path) -> Path:
    """Where the tables go: beside the folder of the runs, or into that of a smaller version."""
    return runs.parent if runs.name == "runs" else runs


def _shown(file: Path) -> str:
    return f"python -m course_lib study {file.as_posix()}"


def _summarise(folder: Path, arms: set[str]) -> None:
    for arm in sorted(arms):
        runs = load_runs(folder, [arm])
        final = [np.mean(r["final"]["deterministic"]) for r in runs if not r["diverged"]]
        words = f"{arm}: {len(runs)} runs"
        if final:
            value, low, high = bootstrap_interval([final])
            words += f", IQM of final returns {value:.1f} (95 % interval {low:.1f} to {high:.1f})"
        print(f"{words}, {len(runs) - len(final)} diverged")
    print(f"records are in {folder}")
