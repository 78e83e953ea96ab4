"""The page of the films, made from the records in ``results/films``; `films` puts the films beside it."""

import json
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from course_lib.algorithms import ALGORITHMS
from course_lib.show.films import TASKS, Shot
from course_lib.show.outcomes import SUCCESS
from course_lib.show.pausable import STYLE, with_button

from .films import FOLDER, SERVED

README = FOLDER / "README.md"
NAMES = {
    "reinforce": "REINFORCE",
    "a2c": "A2C",
    "npg": "Natural gradient",
    "trpo": "TRPO",
    "ppo_penalty": "PPO-penalty",
    "ppo": "PPO-clip",
}
TITLES = {"cartpole": "CartPole", "swingup": "Swing-up", "lander": "LunarLander"}
HEAD = """# Films of learning

Every algorithm of this book on three tasks, each trained once, with the settings that the library
has for it and seed 0. No run was chosen, and none left out. Each film shows the same start three
times: the agent before training, after half of it, and after all of it. It acts without noise. A panel
whose episode has ended stands still and says its return.

The sentence above a film is computed from {starts} starts, of which the film shows the first. One seed is
one run: whether an algorithm is good is a question for many seeds, and the studies of
[appendix D](appendices/d_reproducing.md) ask it.{missing}
"""
MISSING = " {} of {} films are there so far; the others have yet to be made."
NOTES = {
    "cartpole": "The pole begins upright. A step pays 1, and the episode ends when the pole is 12 degrees off, "
    "or the cart off its track, or after 500 steps.",
    "swingup": "The pole begins hanging. A step pays the cosine of its angle, at most 1 upright and "
    "\N{MINUS SIGN}1 hanging, for 500 steps of a hundredth of a second. The end of the track ends the "
    "episode, and with it the costs of hanging.",
    "lander": "Engines with a continuous throttle, and fuel that costs. Coming to rest pays 100, a crash costs "
    "100. To land means here to come to rest without the body touching the ground, between the flags "
    "or not. An episode has at most 1000 steps.",
}


def records(root: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """(task, algorithm) -> the record of a film that is there, in the order of the page."""
    found = {}
    for task in TASKS:
        for algorithm in ALGORITHMS:
            file = root / FOLDER / f"{Shot(task, algorithm, 0).name}.json"
            if file.is_file():
                found[task, algorithm] = json.loads(file.read_text())
    return found


def sentence(record: dict[str, Any]) -> str:
    """What the trained agent does from all starts, and how many of them the half-trained one mastered."""
    good = SUCCESS[record["job"]["env_id"]]
    _, half, end = record["moments"]
    total = len(end["starts"])
    at_half, at_end = (sum(s["outcome"] == good for s in m["starts"]) for m in (half, end))
    parts = [
        f"{outcome} from {count if count < total else f'all {total}'} start{'s' * (count != 1)}"
        for outcome, count in Counter(s["outcome"] for s in end["starts"]).most_common()
    ]
    verdict = "Works" if at_end == total else "Fails" if not at_end else "Not reliable"
    listed = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    before = (
        f"; half way, after {half['step']:,} steps, it {good} from {at_half}"
        if at_half or at_end
        else ""
    )
    return f"**{verdict}:** after {end['step']:,} steps it {listed}{before}."


def page(root: Path) -> str:
    """The page of the book."""
    found = records(root)
    wanted = len(TASKS) * len(ALGORITHMS)
    starts = max((len(r["moments"][0]["starts"]) for r in found.values()), default=0)
    parts = [
        HEAD.format(
            starts=starts,
            missing="" if len(found) == wanted else MISSING.format(len(found), wanted),
        ),
        f"```{{raw}} html\n<style>{STYLE}</style>\n```",
    ]
    for task in dict.fromkeys(task for task, _ in found):
        parts.append(f"## {TITLES[task]}\n\n{NOTES[task]}")
        for (of, algorithm), record in found.items():
            if of == task:
                parts.append(
                    f"### {NAMES[algorithm]} on {TITLES[task]}\n\n{sentence(record)}\n\n"
                    f"```{{raw}} html\n{figure(root, record)}\n```"
                )
    parts.append(
        "## How they were made\n\n`make films` makes what is missing. What is here took about "
        f"{sum(r['made']['cpu_seconds'] for r in found.values()) / 60:.0f} minutes of one processor. "
        "`results/films` holds a record for each: settings, versions, and the return and "
        "the end of every episode."
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def figure(root: Path, record: dict[str, Any]) -> str:
    """A film in HTML, with what it shows in words."""
    name, moments = _name(record), record["moments"]
    with Image.open(root / FOLDER / f"{name}.gif") as gif:
        width, height = gif.size
    image = (
        f'<img src="{SERVED}/{name}.gif" width="{width}" height="{height}" loading="lazy" '
        f'decoding="async" alt="{escape(alt(record))}">'
    )
    returns = ", ".join(_number(m["starts"][0]["return"]) for m in moments)
    means = ", ".join(_number(m["mean_return"]) for m in moments)
    return (
        f'<figure class="film learning">\n{with_button(image, f"{SERVED}/{name}.png")}\n'
        f"<figcaption>Before, half way, at the end: returns of the film {returns}; means of "
        f"{len(moments[0]['starts'])} starts {means}.</figcaption>\n</figure>"
    )


def alt(record: dict[str, Any]) -> str:
    """What is seen in a film."""
    seen = []
    for moment in record["moments"]:
        when = f"after {moment['step']:,} steps" if moment["step"] else "before training"
        shown = moment["starts"][0]
        seen.append(
            f"{when} it {shown['outcome']}, with a return of {_number(shown['return'])} in "
            f"{shown['steps']} steps"
        )
    job = record["job"]
    title = f"{NAMES[job['algorithm']]} on {TITLES[job['task']]}"
    return f"{title}, three panels from the same start: {'; '.join(seen)}."


def readme(root: Path) -> str:
    """The text of the folder's README.md."""
    found = records(root)
    lines = [
        "# Films of learning",
        "Written by `make films` from the records beside it; do not edit. A film for each algorithm and "
        "task, trained once with the library's preset and seed 0: the agent before, after half and after "
        "all of its training, from the same start (seed 0 of the environment), without noise. Beside each "
        "GIF stand its last frame and its record: settings, versions, and all episodes from twenty "
        "starts, whose mean returns are these.",
        "| film | steps | before | half way | at the end | at the end it | kB | CPU seconds |\n"
        "|---|---:|---:|---:|---:|---|---:|---:|\n"
        + "\n".join(
            f"| [{_name(r)}]({_name(r)}.gif) | {r['moments'][-1]['step']:,} | "
            + " | ".join(f"{m['mean_return']:.1f}" for m in r["moments"])
            + f" | {_ends(r)} | {r['bytes'] / 1000:.0f} | {r['made']['cpu_seconds']:.0f} |"
            for r in found.values()
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _ends(record: dict[str, Any]) -> str:
    ends = Counter(s["outcome"] for s in record["moments"][-1]["starts"])
    return "; ".join(f"{outcome} ({count})" for outcome, count in ends.most_common())


def _name(record: dict[str, Any]) -> str:
    job = record["job"]
    return Shot(job["task"], job["algorithm"], job["steps"]).name


def _number(value: float) -> str:
    return f"{value:.0f}".replace("-", "\N{MINUS SIGN}")
