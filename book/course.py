"""The teachers' schedule and learning goals, made from the chapters.

Both stand in ``teaching.md`` between markers. What is read and handed in each week is decided here;
how long it takes, and what it is good for, is what the chapters and exercises themselves say.
"""

import re
from pathlib import Path

from .prose import chapters, heading, prose

PAGE = Path("teaching.md")
ABILITY = re.compile(r"^\*\*You will be able to\*\* (.+)$", re.M)
TIME = re.compile(r"^\*\*Time:\*\* about (.+?) to read, (?:about )?(.+?) to run", re.M)
TASK = re.compile(r"^\|.*`\w+`.*\| (?:about )?([^|]*(?:minute|hour)[^|]*) \|$", re.M)

# Week by week: the chapters, and what happens besides. A chapter that is not written yet is left out.
WEEKS: tuple[tuple[tuple[int, ...], str], ...] = (
    ((1,), "Install, open a notebook, let everybody run one cell. Slides of Part I, first half."),
    ((2,), "Compute a GAE on the board, with an end of each kind. Slides of Part I, second half."),
    ((3,), "Predict in pairs what fifty steps on one rollout do, then run the cell."),
    ((4,), "Prove Theorem 4.2 together. Slides of Part II up to the smaller coefficient."),
    ((5,), "Two balls, with the slider. The rest of Part II."),
    ((6, 7), "Two steps of conjugate gradients by hand. Slides of Part III up to the line search."),
    (
        (8,),
        "The case of exercise 08: read the log in class, repair it at home. The rest of Part III.",
    ),
    ((9,), "A written test on chapters 1 to 8. Choose projects: an environment, two algorithms."),
    ((10,), "Dead or alive: sort samples by hand, then with the slider. Slides of Part IV."),
    ((11, 12), "Read the instruments of somebody else's run. Projects: first curves, five seeds."),
    ((13, 14), "Each group brings one published line that it does not trust. Slides of Part V."),
    ((15,), "Slides of Part VI. Projects are shown: all seeds, failures counted. Examination."),
)
WORDS = {
    "half a minute": 0.5, "a minute": 1.0, "one minute": 1.0, "a minute and a half": 1.5,
    "a quarter of an hour": 15.0, "half an hour": 30.0, "three quarters of an hour": 45.0,
    "an hour": 60.0, "an hour and a half": 90.0,
}  # fmt: skip


def minutes(words: str) -> float:
    """A time as the book states it, in minutes.

    Raises
    ------
    ValueError
        If the words are no time that is known here.
    """
    number = re.fullmatch(r"(\d+) (second|minute|hour)s?", words)
    if number:
        return int(number[1]) * {"second": 1 / 60, "minute": 1.0, "hour": 60.0}[number[2]]
    if words not in WORDS:
        raise ValueError(f"{words!r} is no time like '20 minutes' or one of {', '.join(WORDS)}")
    return WORDS[words]


def ability(path: Path) -> str:
    """What a chapter says its reader will be able to do."""
    found = ABILITY.search(prose(path))
    if found is None:
        raise ValueError(f"{path.name} does not say what its reader will be able to do")
    return found[1]


def goals(root: Path) -> str:
    """What a student can do after each chapter, in the chapters' own words."""
    return "\n".join(
        f"- **[{heading(path)}]({path.relative_to(root).as_posix()}).** Students {ability(path)}"
        for path in chapters(root).values()
    )


def schedule(root: Path) -> str:
    """The table of the term."""
    known = chapters(root)
    rows = [
        "| Week | Read | Reading | Running | Hand in | Writing | In class |",
        "|---|---|---|---|---|---|---|",
    ]
    for week, (numbers, besides) in enumerate(WEEKS, start=1):
        paths = [known[number] for number in numbers if number in known]
        read = [f"[{int(p.name[:2])}]({p.relative_to(root).as_posix()})" for p in paths]
        times = [TIME.search(prose(path)) for path in paths]
        if None in times:
            raise ValueError(f"a chapter of week {week} does not say how long it takes")
        reading, running = (sum(minutes(t[i]) for t in times if t) for i in (1, 2))
        handed, writing = [], 0.0
        for path in paths:
            notebook = root / "exercises" / path.name
            if notebook.is_file():
                handed.append(f"[{path.name[:2]}](exercises/{path.name})")
                writing += sum(minutes(time) for time in TASK.findall(prose(notebook)))
            else:
                handed.append(f"`exercises/{path.stem}.py`")
        cells = [
            str(week),
            ", ".join(read) or "-",
            f"{reading:.0f} min" if reading else "-",
            f"{running * 60:.0f} s" if running else "-",
            ", ".join(handed) or "-",
            f"{writing:.0f} min" if writing else "-",
            besides,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def page(root: Path) -> str:
    """The teachers' page with what is generated in its places."""
    text = (root / PAGE).read_text(encoding="utf-8")
    for name, generated in (("schedule", schedule(root)), ("goals", goals(root))):
        place = re.compile(f"(<!-- {name}: make exercises -->\n).*?(<!-- end -->)", re.S)
        if len(place.findall(text)) != 1:
            raise ValueError(f"{PAGE} has no place for the {name}, or more than one")
        text = place.sub(lambda found, new=generated: f"{found[1]}\n{new}\n\n{found[2]}", text)
    return text
