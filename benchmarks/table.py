"""The table of ``results/benchmarks/README.md``, from the pieces that are there."""

import itertools
import json
import statistics
from collections.abc import Iterator
from pathlib import Path

from . import fisher
from .pieces import FOLDER, path_of
from .plan import LUNAR_LANDER, SEEDS, SWING_UP, SWING_UP_SEEDS

HEAD = """\
# Benchmarks

Written by `make benchmarks` from the measurements in `pieces/`; do not edit. Every comparison was
measured side by side in one run, on one thread. Times are CPU seconds. Other machines differ, and
the ratios move with them, so measure on your own: delete a piece, or all of them, and run it again.
"""

FAILURES = """\
## Swing-up: what a failing run does

Driving into the end of the track ends an episode after about 70 steps with a return of -23. Hanging
for 500 steps costs -491. So every run learns to crash first, and has to climb out: by swinging the
pole on its way to the wall, until turning round in time pays more. We watched the runs that did not
arrive, and counted after every 50,000 steps how many of twenty starts crash without noise.

With its earlier settings two of PPO's ten runs do not arrive, seeds 0 and 5. Both come within three points
of the bar again and again, and fall back where one to a dozen of the twenty starts crash. With the
preset of now all ten arrive.

TRPO's seed 7 ends in the same state: from step 550,000 on one to six starts crash, and the others
return 343 to 350.

TRPO's seed 2 has learned to balance with noise and not without. At step 700,000 the episodes of
training return 346 on average, while the mean action alone crashes from 17 of the twenty starts.
Sigma stays near 0.9 to the end, so the mean action is never tried alone: what is evaluated is not
what is trained. PPO's earlier settings put a small price on noise; in the run above sigma ends
at 0.12.

An earlier preset of TRPO (tanh, max_kl 0.02, damping 0.01, 32 environments) failed in a third way
with seed 4. Until step 200,000 every start crashed after 68 steps, and meanwhile sigma fell from 1.65
to 0.73. With so little noise left, the next 800,000 steps lengthened its episodes to 212 steps, for a
return of 63.
"""


def write_table() -> Path:
    """Write the table and return its path."""
    measured = (machine(), gae_section(), fisher_section(), solving_section())
    sections = [HEAD, *itertools.chain.from_iterable(measured), FAILURES]
    path = FOLDER.parent / "README.md"
    path.write_text("\n".join(sections).rstrip() + "\n", encoding="utf-8")
    return path


def piece(name: str) -> dict | None:
    """Return a piece, None if it was not measured."""
    path = path_of(name)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def row(*cells: object) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def head(*cells: str) -> list[str]:
    """Return the first two lines of a Markdown table."""
    return [row(*cells), row(*["---"] * len(cells))]


def machine() -> Iterator[str]:
    """Yield the machine and the versions."""
    described = piece("machine")
    if described:
        yield ", ".join(f"{name} {value}" for name, value in described.items()) + ".\n"


def gae_section() -> Iterator[str]:
    """Yield the comparison of GAE."""
    measured = piece("gae")
    if not measured:
        return
    yield "## Generalised advantage estimation\n"
    yield (
        "One call on the same rollout: `gae_scan` and `gae` of `course_lib.advantages`, and the "
        "rollout buffer of Stable-Baselines3. The difference is the largest between `gae_scan` and "
        "the buffer, as a share of the largest advantage (float32).\n"
    )
    yield from head("(T, N)", "gae_scan", "gae", "SB3 buffer", "SB3 / gae_scan", "difference")
    for r in measured["rows"]:
        scan, loop, theirs = (r[name] for name in ("gae_scan", "gae", "stable-baselines3"))
        yield row(
            tuple(r["shape"]),
            *(f"{1e6 * seconds:.0f} us" for seconds in (scan, loop, theirs)),
            f"{theirs / scan:.1f}",
            f"{r['difference']:.1e}",
        )
    yield ""


def fisher_section() -> Iterator[str]:
    """Yield the comparison of Fisher products and policy updates."""
    measured = piece("fisher")
    if not measured:
        return
    yield "## Fisher-vector products and TRPO's policy update\n"
    yield (
        f"Batch {fisher.BATCH}, a Gaussian policy 8-64-64-2 with tanh, {fisher.ITERATIONS} "
        f"iterations of conjugate gradients. Medians over {fisher.PROCESSES} fresh processes, with "
        "the range in brackets. Tuned: glibc keeps its memory (`benchmarks/fisher.py` says how). "
        "`network_fisher_operator` is what TRPO uses, `fisher_operator` leaves everything to "
        "autograd.\n"
    )
    yield from head("", "tuned", "default")
    rows = (
        ("sb3-contrib's product / ours", "sb3_product", "product"),
        ("sb3-contrib's product / ours by autograd", "sb3_product", "autograd_product"),
        ("our product / forward+backward", "product", "forward_backward"),
        ("our product by autograd / forward+backward", "autograd_product", "forward_backward"),
        ("sb3-contrib's policy update / ours", "sb3_update", "update"),
    )
    for title, one, other in rows:
        cells = []
        for allocator in ("tuned", "default"):
            every = fisher.ratios(measured[allocator], one, other)
            middle = statistics.median(every)
            cells.append(f"{middle:.2f} ({min(every):.2f}-{max(every):.2f})")
        yield row(title, *cells)
    names = ("forward_backward", "product", "autograd_product", "sb3_product", "update")
    for name in (*names, "sb3_update"):
        cells = [
            f"{1e3 * statistics.median(times[name] for times in measured[allocator]):.2f} ms"
            for allocator in ("tuned", "default")
        ]
        yield row(name, *cells)
    yield ""


def runs(library: str, algorithm: str, env_id: str, seeds: range) -> list[dict]:
    """Return the runs of one side that were made."""
    found = (piece(f"solve/{env_id}/{algorithm}-{library}-{seed}") for seed in seeds)
    return [run for run in found if run]


def solving_section() -> Iterator[str]:
    """Yield CPU seconds and steps to solve the three tasks."""
    yield "## CPU seconds to solve a task\n"
    yield (
        "CartPole-v1: a mean of 475 over the last 20 training episodes. LunarLanderContinuous-v3 "
        "and CartPoleSwingUp-v0: a mean of 200 and of 333 over 20 deterministic episodes, the same "
        "for all sides, tried every 20,000 steps and not counted in the time. A run that never "
        "arrives counts as 1M steps. SB3 is Stable-Baselines3 (PPO) and sb3-contrib (TRPO) with "
        "the settings of RL Baselines3 Zoo; ours are the presets of `course_lib.algorithms.presets`. "
        "PPO has two more rows on swing-up (`CHANGES` in `benchmarks/solving.py`): with twice the "
        "learning rate, and with the settings that the preset had earlier. The preset was chosen "
        "for runs that end well (`results/tuning.md`), not for an early first arrival. Medians "
        "over the seeds, with every seed's value in brackets; a star marks a run that never "
        "arrived.\n"
    )
    yield from head("task", "algorithm", "side", "CPU seconds", "steps", "arrived", "SB3 / ours")
    for env_id, ours, seeds in (
        ("CartPole-v1", ("numpy",), SEEDS),
        (LUNAR_LANDER, ("gymnasium", "envpool"), SEEDS),
        (SWING_UP, ("numpy", "quick", "earlier"), SWING_UP_SEEDS),
    ):
        for algorithm in ("ppo", "trpo"):
            theirs = runs("sb3", algorithm, env_id, seeds)
            for side in (*ours, "sb3"):
                made = runs(side, algorithm, env_id, seeds)
                if made:
                    yield solving_row(env_id, algorithm, side, made, theirs)
    yield ""


def solving_row(env_id: str, algorithm: str, side: str, made: list, theirs: list) -> str:
    """Return one line of the table."""

    def every(name: str, scale: float, digits: int) -> str:
        values = [run[name] / scale for run in made]
        shown = [
            f"{value:.{digits}f}{'' if run['arrived'] else '*'}"
            for value, run in zip(values, made, strict=True)
        ]
        return f"{statistics.median(values):.{digits}f} ({', '.join(shown)})"

    ratio = ""
    if theirs and side != "sb3":
        middle = [statistics.median(run["cpu_seconds"] for run in side) for side in (theirs, made)]
        ratio = f"{middle[0] / middle[1]:.1f}"
    names = {
        "sb3": "SB3",
        "envpool": "ours, EnvPool",
        "quick": "ours, learning rate x 2",
        "earlier": "ours, earlier settings",
    }
    name = names.get(side, "ours")
    first = (piece("machine") or {}).get("processor")
    for other in sorted({run.get("processor", first) for run in made} - {first}):
        name += f" (on {other})"
    arrived = f"{sum(run['arrived'] for run in made)} of {len(made)}"
    seconds, steps = every("cpu_seconds", 1, 1), every("steps", 1000, 0) + " k"
    return row(env_id, algorithm.upper(), name, seconds, steps, arrived, ratio)
