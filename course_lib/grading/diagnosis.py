"""From outcomes to a verdict: right, a known mistake, or the most telling fact.

A mistake is recognised by its fingerprint: the answers of a submission agree on *all* probes with
the answers of a function that commits exactly this mistake (or exactly these two).
"""

from collections.abc import Sequence

from . import facts
from .answers import Answer, comparable
from .evidence import evidence
from .outcome import Outcome
from .spec import PUBLIC_SEED, Mistake, Probe, Spec
from .states import State, Verdict

PLAIN_WORDS = {
    "EOFError": "It asks for keyboard input. Everything it needs comes in as arguments.",
    "SystemExit": "`exit()` and `quit()` end the whole program. A function ends with `return`.",
    "RecursionError": "It calls itself without end. Which case should stop it?",
    "PermissionError": "A graded function only computes: it opens, starts and sends nothing.",
}
FORGETS = "Called once more with the same arguments, it returns another answer."
REMEMBERS = (
    "Something stays from one call to the next: a default argument that is changed, a variable "
    "outside of the function, a counter. Or it draws random numbers of its own. The answer may depend "
    "on the arguments alone."
)
PAIR = "Your numbers are those of two mistakes together; your code may come to them in another way."
APART = 100  # tolerances by which a second mistake must change the answers of the first


def diagnose(spec: Spec, outcomes: Sequence[Outcome], seed: int = PUBLIC_SEED) -> Verdict:
    """Return the verdict on one function.

    Parameters
    ----------
    spec : Spec
        The task.
    outcomes : sequence of Outcome
        What the calls led to, in the order of ``spec.calls(seed)``, those that come once more
        perhaps left out; the last one may be an error.
    seed : int
        The seed whose probes were used.
    """
    probes, calls = spec.draw(seed), spec.calls(seed)
    answers: list[Answer] = []
    for number, outcome in enumerate(outcomes):
        answer = outcome.answer
        if outcome.limit or outcome.error or answer is None or is_nothing(answer):
            return interrupted(spec, outcome, calls[min(number, len(calls) - 1)])
        answers.append(answer)
    again = spec.again(seed)
    if len(outcomes) not in (len(probes), len(probes) + len(again)):
        return Verdict(spec.name, State.CRASHED, "It ended before all probes were answered.")

    expected = spec.expected(seed)
    answers, repeated = answers[: len(probes)], answers[len(probes) :]
    actual = [comparable(a, e) for a, e in zip(answers, expected, strict=True)]
    remarks, remedy = changed_arguments(spec, outcomes[: len(probes)])
    for number, answer in zip(again, repeated, strict=False):
        repeat = comparable(answer, expected[number])
        if not spec.agree(probes[number], actual[number], repeat):
            return Verdict(spec.name, State.WRONG, FORGETS, REMEMBERS)
    if agrees(spec, probes, expected, actual):
        if remarks:
            return Verdict(spec.name, State.WRONG, " ".join(remarks), remedy)
        return Verdict(spec.name, State.RIGHT, f"It agrees on all {len(probes)} probes.")

    recognised = recognise(spec, seed, probes, actual)
    if recognised:
        table = evidence(spec, probes, expected, actual)
        names = tuple(mistake.name for mistake in recognised)
        headline = "" if len(names) == 1 else PAIR
        hint = "\n".join(mistake.hint for mistake in recognised)
        return Verdict(
            spec.name, State.KNOWN_MISTAKE, headline, hint, table, remarks, mistakes=names
        )
    (headline, hint), first = facts.most_telling(spec, probes, expected, answers)
    table = evidence(spec, probes, expected, actual, first)
    return Verdict(spec.name, State.WRONG, headline, hint, table, remarks)


def is_nothing(answer: Answer) -> bool:
    """Tell whether a function returned None, alone or as the first part of a harness's answer."""
    return answer.kind == "none" or (bool(answer.parts) and answer.parts[0].kind == "none")


def agrees(spec: Spec, probes: Sequence[Probe], expected: Sequence, actual: Sequence) -> bool:
    """Tell whether all answers agree with all expected ones."""
    return all(map(spec.agree, probes, expected, actual))


def recognise(
    spec: Spec, seed: int, probes: Sequence[Probe], actual: Sequence
) -> tuple[Mistake, ...]:
    """Return the one mistake, or the two, whose answers are these; nothing if there are none.

    One cause is a better description than two, so pairs come last. A pair is only a reading of the
    numbers: it is named if no other pair fits, and if each of the two changes what the other does.
    Last comes the one mistake that fits all probes but the extreme ones, where it may have another
    weakness besides.
    """

    right = list(map(spec.agree, probes, spec.expected(seed), actual))
    telling = sorted(range(len(probes)), key=lambda n: (probes[n].extreme, right[n]))

    def fits(mistakes: Sequence[Mistake], numbers: Sequence[int] = telling) -> bool:
        # Lazily: most candidates disagree already on the first probe that shows something.
        return all(
            spec.agree(probes[n], spec.fingerprint(mistakes, seed, n, probes[n]), actual[n])
            for n in numbers
        )

    def apart(one: Sequence[Mistake], other: Sequence[Mistake]) -> bool:
        return not all(
            spec.agree(
                probe,
                spec.fingerprint(one, seed, n, probe),
                spec.fingerprint(other, seed, n, probe),
                limit,
            )
            for n, probe in enumerate(probes)
        )

    limit = APART * spec.tolerance
    for mistake in spec.mistakes:
        if fits((mistake,)):
            return (mistake,)
    pairs = [pair for pair in spec.pairs() if fits(pair)]
    if len(pairs) == 1 and all(apart((mistake,), pairs[0]) for mistake in pairs[0]):
        return pairs[0]
    plain = [n for n in telling if not probes[n].extreme]
    if all(right[n] for n in plain):
        return ()
    alike = [mistake for mistake in spec.mistakes if fits((mistake,), plain)]
    return tuple(alike) if len(alike) == 1 else ()


LOSES = (
    "The numbers it returns are right, but whoever calls it loses the originals. Work on a copy, or "
    "build a new array."
)
COLLECTS = (
    "The numbers it returns are right, but a caller may be collecting gradients there: what is "
    "stored is added to the next one, what is cleared is lost. `torch.autograd.grad` returns a "
    "derivative and stores nothing."
)


def changed_arguments(spec: Spec, outcomes: Sequence[Outcome]) -> tuple[tuple[str, ...], str]:
    """Return remarks on arguments that were changed in place, if any were, and what helps."""
    changed = named(spec, {p for outcome in outcomes for p in outcome.changed})
    gradients = named(spec, {p for outcome in outcomes for p in outcome.gradients})
    remarks = [f"It changes its argument {changed} in place."] if changed else []
    if gradients:
        remarks.append(f"It changes the `.grad` of its argument {gradients}, or cuts it off.")
    return tuple(remarks), LOSES if changed else COLLECTS


def named(spec: Spec, positions: set[int]) -> str:
    """Return the arguments at these positions in words."""
    names = [f"`{spec.parameters[p]}`" for p in sorted(positions) if 0 <= p < len(spec.parameters)]
    return " and ".join(names + ["that the judge made for it"] * (-1 in positions))


def interrupted(spec: Spec, outcome: Outcome, probe: Probe) -> Verdict:
    """Return the verdict on a call that gave no answer."""
    name, error = spec.name, outcome.error
    if outcome.limit == "memory":
        message = f"It needed more than {spec.megabytes} MB of memory."
        hint = "The rollouts are tiny: does an array grow in a loop?"
        return Verdict(name, State.MEMORY, message, hint)
    if outcome.limit == "size":
        return Verdict(name, State.OUTPUT, "It returned far more numbers than any answer has.")
    if outcome.limit == "output":
        return Verdict(name, State.OUTPUT, "It printed or wrote far too much.")
    if not error:
        hint = "Does its last line hand the result back with `return`?"
        return Verdict(name, State.UNFINISHED, "It returns nothing.", hint)
    if error["type"] == "NotImplementedError":
        inner = error["function"]
        if inner and inner != name:
            message = f"It calls `{inner}`, which is not written yet."
        else:
            message = "It still reaches `raise NotImplementedError`."
        return Verdict(name, State.UNFINISHED, message)
    headline = f"It raised {error['type']}: {error['message']}".rstrip(": ")
    if error["type"] == "SystemExit":
        headline = "Your function ended Python."
    where = f"In {error['where']}: {error['line']}".rstrip(": ") if error["where"] else ""
    shown = f"{where}\nThe probe: {probe.title}." if where else f"The probe: {probe.title}."
    return Verdict(name, State.RAISED, headline, PLAIN_WORDS.get(error["type"], ""), shown)
