"""What a teacher reads after a run: who is how far, what goes wrong, what needs a person's eyes."""

from collections import Counter
from collections.abc import Sequence

from .. import specs
from ..report import group_of
from ..spec import Spec
from ..states import State, Verdict
from .names import printable
from .result import ClassResult, Graded

TOP_MISTAKES = 3  # per task
MAX_STRANGERS = 5  # per student
HINT_WIDTH = 88
EYES = (State.NEEDS_REVIEW, State.UNREADABLE)


def summary(result: ClassResult) -> str:
    """Return the result of a class as plain text."""
    parts = [heading(result), students_table(result), tasks_table(result)]
    parts += [for_a_person(result), not_graded(result)]
    parts += [f"Fence round the submissions: {result.fence}."] if result.fence else []
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(result: ClassResult) -> str:
    """Return how much there was to do."""
    tasks = sum(len(specs.of_exercise(exercise)) for exercise in result.exercises)
    numbers = (
        counted(len(result.students), "student"),
        counted(len(result.exercises), "exercise"),
        counted(tasks, "task"),
    )
    earlier = f", {result.remembered} known from an earlier run" if result.remembered else ""
    return f"{', '.join(numbers)}. {counted(result.judged, 'file')} judged{earlier}."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def students_table(result: ClassResult) -> str:
    """Return a line per student: right/wrong/open per exercise, and the points."""
    if not result.graded:
        return ""
    rows = [["student", *result.exercises, "points"]]
    for student in result.students:
        own = [graded for graded in result.graded if graded.student == student]
        cells = [right_wrong_open(graded) for graded in own]
        rows.append([student, *cells, str(sum(graded.points for graded in own))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "Right/wrong/open tasks of each student (- if nothing was handed in):\n" + "\n".join(
        f"  {line}".rstrip() for line in lines
    )


def right_wrong_open(graded: Graded) -> str:
    """Return ``4/1/0``, or a dash if there is no file."""
    if not graded.file:
        return "-"
    groups = Counter(group_of(verdict.state) for verdict in graded.verdicts)
    return "/".join(str(groups[group]) for group in ("right", "wrong", "open"))


def tasks_table(result: ClassResult) -> str:
    """Return per task how many are right, and what most often goes wrong."""
    lines = []
    for exercise in result.exercises:
        handed_in = [g for g in result.graded if g.exercise == exercise and g.file]
        lines.append(f"  {exercise}: {counted(len(handed_in), 'submission')}")
        for number, spec in enumerate(specs.of_exercise(exercise)):
            verdicts = [graded.verdicts[number] for graded in handed_in]
            right = sum(verdict.state is State.RIGHT for verdict in verdicts)
            lines.append(f"    {spec.name}: {right} right")
            lines += [f"      {line}" for line in what_goes_wrong(spec, verdicts)]
    return "Tasks, and what most often goes wrong:\n" + "\n".join(lines) if lines else ""


def what_goes_wrong(spec: Spec, verdicts: Sequence[Verdict]) -> list[str]:
    """Return the most frequent mistakes with the start of their hints, and the other states."""
    mistakes = Counter(name for verdict in verdicts for name in verdict.mistakes)
    hints = {mistake.name: mistake.hint for mistake in spec.mistakes}
    lines = []
    for name, number in mistakes.most_common(TOP_MISTAKES):
        hint = shortened(hints.get(name, ""))
        lines.append(f"{number} x {name}" + (f": {hint}" if hint else ""))
    if len(mistakes) > TOP_MISTAKES:
        rest = counted(len(mistakes) - TOP_MISTAKES, "rarer mistake")
        lines.append(f"and {rest}")
    told = (State.RIGHT, State.KNOWN_MISTAKE)
    states = Counter(v.state.value for v in verdicts if v.state not in told)
    if states:
        lines.append(", ".join(f"{number} {state}" for state, number in states.most_common()))
    return lines


def shortened(text: str) -> str:
    """Return the beginning of a hint, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= HINT_WIDTH else line[:HINT_WIDTH].rsplit(" ", 1)[0] + " ..."


def for_a_person(result: ClassResult) -> str:
    """Return what a person should look at: suspicious, unreadable and missing files, copies."""
    lines = []
    for exercise in result.exercises:
        without = [g.student for g in result.graded if g.exercise == exercise and not g.file]
        if without:
            lines.append(f"{exercise}: missing from {len(without)}: {', '.join(without)}")
    for graded in result.graded:
        where = f"{graded.student}, {graded.exercise}"
        said = [
            (v.task, f"{v.state.value}. {printable(v.headline)}")
            for v in graded.verdicts
            if v.state in EYES
        ]
        if len(said) == len(graded.verdicts) and len({text for _, text in said}) == 1:
            lines.append(f"{where}: {said[0][1]}")  # it is about the file
        else:
            lines += [f"{where}, {task}: {text}" for task, text in said]
        if graded.copies:
            others = ", ".join(graded.copies)
            lines.append(f"{where}: {graded.file} counts, the best of several. Others: {others}.")
    return "For a person's eyes:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def not_graded(result: ClassResult) -> str:
    """Return the files that are no exercise."""
    owners: dict[str, list[str]] = {}
    for stranger in result.strangers:
        reason = printable(stranger.reason).rstrip(".")
        owners.setdefault(stranger.student, []).append(f"{stranger.name} ({reason})")
    lines = []
    for owner, names in owners.items():
        more = len(names) - MAX_STRANGERS
        listed = ", ".join(names[:MAX_STRANGERS]) + (f", and {more} more" if more > 0 else "")
        lines.append(f"  {owner}: {listed}" if owner else f"  {listed}")
    return "Not graded:\n" + "\n".join(lines) if lines else ""
