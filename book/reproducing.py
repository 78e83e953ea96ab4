"""Appendix D: how every result was made, from what stands in ``results/``."""

import json
import tomllib
from pathlib import Path

from course_lib.training.study_file import read_study
from course_lib.training.study_records import load_runs

PAGE = Path("appendices/d_reproducing.md")
HEAD = """# Appendix D: How every result was made, and how to make it again

Figures that train in seconds are computed when the page is built. What takes longer is read from the
folder `results/` of the repository, and this page says where each of these files comes from. The
table below is generated from the files themselves (`make exercises`).

## One result, by copy and paste

The gap ledger, which chapter 1 opens, needs no training: nine of its ten rows are exact, and one
averages 200 seeded samples. So it can be made again on any machine, in about fifteen seconds. Run this in the repository's folder, once `make book` or `pip install -r requirements.txt` has
set things up (`make` users: put `.venv/bin/` before `python`):

```bash
python -m course_lib study results/gap-ledger/study.toml --out again/gap-ledger
diff again/gap-ledger/README.md results/gap-ledger/README.md && echo "the same table"
```

The last line that it prints is `the same table`. The raw file beside it may differ in the fifth decimal,
because processors round in different orders; the table has three.

## What stands in `results/`

"""
TAIL = """
## Make a study again

A study is a small file, `results/NAME/study.toml`: algorithms, environments, seeds, steps. This runs
what is missing of it, and nothing if nothing is:

```bash
make results STUDY=swingup-36
```

Without make it is `python -m course_lib study results/swingup-36/study.toml`. To make it from nothing,
give another folder: `--out again/swingup-36`. One file is written for every run that has ended, with
its settings, versions, commit and seconds, so a study may be killed at any moment: start it again, and
it goes on with what is missing and ends with the same numbers. A smaller version of a study takes
minutes. It has a folder of its own, so it never mixes with the whole one:

```bash
make results STUDY=swingup-36 OPTIONS="--seeds 3 --steps 50000"
```

Runs are equal to the last digit on the same machine with the same versions: everything random comes
from the seed, and a run computes on one thread, however many run side by side. On another processor the
last digit of a sum differs, and after enough updates one run is another run. Its seed then means
nothing, but the distribution over seeds stays, and that is what the tables are about.

## Extend one

More seeds: change `seeds = [0, 36]` to `[0, 72]` and run it again; the first 36 are kept. Another
setting, environment or algorithm: add an arm; `course_lib/training/study_file.py` shows every key. If a
setting of an arm changes, its old runs are refused rather than mixed with new ones: move them away, or
give the arm another name. The arms of other people's programs in `ladder`, those with `sb3` in their
name, need `.venv/bin/python -m pip install -e '.[compare]'` first. On a cluster, start a Dask
scheduler and workers, and add `--dask tcp://HOST:8786`. A run that keeps killing its worker is reported, and the others finish.

What `make tuning` tries runs on seeds that no study reports; `results/tuning.md` says what was tried
and how often. Some of PPO's and TRPO's settings were chosen earlier, by hand, on seeds of which some
are reported, and chapter 15's on two of its five seeds.
"""


def reproduction_page(root: Path) -> str:
    """The page."""
    lines = ["| folder | what it is | runs there | CPU time | made by |", "|---|---|---|---|---|"]
    for folder in sorted(p for p in (root / "results").iterdir() if p.is_dir()):
        lines += _rows(folder, folder.name)
    return HEAD + "\n".join(lines) + "\n" + TAIL


def _rows(folder: Path, name: str) -> list[str]:
    """A row for a folder with a study, or for each study in a folder of studies, if it has runs."""
    if name in OTHERS:
        what, command = OTHERS[name]
        return [
            f"| `{name}` | {what} | {len(list(folder.rglob('*.json')))} files | | `{command}` |"
        ]
    rows = []
    for file in sorted(folder.rglob("study.toml")):
        inner = file.parent.relative_to(folder.parent).as_posix()
        command = f"make results STUDY={name}" if inner == name else f"make {name}"
        command += QUIET if inner == "pace" else ""
        if kept := _of_study(file):
            rows.append(f"| `{inner}` | {' | '.join(kept)} | `{command}` |")
    return rows


#: What the study of seconds needs besides: one run at a time.
QUIET = ' OPTIONS="--processes 1"'

#: Folders whose files are made by a command of their own.
OTHERS = {
    "benchmarks": ("Times and steps beside other libraries", "make benchmarks"),
    "films": ("Films of learning: before, half way, after", "make films"),
    "language": ("Runs of chapter 15", "python -m course_lib.language.study"),
    "sandbox": ("Policies of the sandbox page", "python -m book.sandbox"),
}


def _of_study(file: Path) -> tuple[str, str, str] | None:
    """Title, "runs there of runs asked for", CPU time; None if there is no run yet."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    if "driver" in table:
        kept = list((file.parent / "runs").glob("*.json"))
        rows = sum(len(json.loads(f.read_text())["rows"]) for f in kept)
        return table["title"], f"{rows} rows", "seconds"
    study, records = read_study(file), load_runs(file.parent / "runs")
    if not records:
        return None
    seconds = sum(r["made"]["cpu_seconds"] for r in records)
    return study.title, f"{len(records)} of {len(study.jobs)}", f"{seconds / 60:.0f} min"
