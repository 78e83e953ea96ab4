"""`progress`: how far a notebook is, one line for each of its tasks."""

import html
import sys

from . import specs
from .inline import PACKAGE, judge_here, show_both
from .report import COLOURS, SIGNS, group_of
from .spec import Spec
from .states import State, Verdict

NONE_YET = "No task is defined in this notebook yet. Run the cells that define the functions, then this one."


def progress() -> None:
    """Judge every task of this notebook's exercise, and show which are right, wrong and open.

    Notes
    -----
    The exercise is the one that most of the notebook's own functions belong to. A task whose cell has
    not been run counts as open. Each function is judged as `check` judges it, and nothing is raised.
    """
    names = sys._getframe(1).f_globals
    verdicts = standing(names)
    show_both(as_text(verdicts), as_html(verdicts))


def standing(names: dict) -> list[Verdict]:
    """The verdicts on all tasks of the exercise that a notebook's variables belong to, in order.

    Empty if none of its functions is a task.
    """
    tasks = exercise_in(names)
    return [
        judge_here(names[task.name], names)
        if is_own(names.get(task.name))
        else Verdict(task.name, State.NOT_ATTEMPTED, "Its cell has not been run.")
        for task in tasks
    ]


def exercise_in(names: dict) -> list[Spec]:
    """The tasks of the exercise that most of the notebook's own functions belong to."""
    found = [spec.exercise for name, spec in specs.SPECS.items() if is_own(names.get(name))]
    return specs.of_exercise(max(found, key=found.count)) if found else []


def is_own(function: object) -> bool:
    """Whether something is a function, and not the library's."""
    module = str(getattr(function, "__module__", ""))
    return callable(function) and module.split(".")[0] != PACKAGE


def in_words(verdicts: list[Verdict]) -> str:
    """How many are right, wrong and open: "2 of 3 right, 1 open"."""
    groups = [group_of(verdict.state) for verdict in verdicts]
    others = [f"{groups.count(g)} {g}" for g in ("wrong", "open") if g in groups]
    return ", ".join([f"{groups.count('right')} of {len(groups)} right", *others])


def line_of(verdict: Verdict) -> str:
    """The state of a task, and the judge's sentence unless the state says it all."""
    if verdict.state is State.RIGHT or not verdict.headline:
        return verdict.state.value
    return f"{verdict.state.value}. {verdict.headline}"


def as_text(verdicts: list[Verdict]) -> str:
    """The lines of a terminal."""
    if not verdicts:
        return NONE_YET
    width = max(len(verdict.task) for verdict in verdicts)
    lines = [f"{SIGNS[group_of(v.state)]} {v.task.ljust(width)}  {line_of(v)}" for v in verdicts]
    return "\n".join([in_words(verdicts), *lines])


def as_html(verdicts: list[Verdict]) -> str:
    """A small table, which reads well on light and dark pages."""
    if not verdicts:
        return html.escape(NONE_YET)
    rows = "".join(
        f"<tr><td style='color:{COLOURS[group_of(v.state)]}'>{SIGNS[group_of(v.state)]}</td>"
        f"<td style='text-align:left'><code>{html.escape(v.task)}</code></td>"
        f"<td style='text-align:left'>{html.escape(line_of(v))}</td></tr>"
        for v in verdicts
    )
    return f"<div><b>{in_words(verdicts)}</b></div><table>{rows}</table>"
