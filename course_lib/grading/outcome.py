"""What one call of a submission led to, read from the sandbox's plain report."""

from dataclasses import dataclass, field

from .answers import Answer, read_answer

MAX_ARGUMENTS = 64
ERROR_FIELDS = ("type", "message", "where", "line", "function", "name")


@dataclass(frozen=True)
class Outcome:
    """One call: an answer, an error, or a limit that was hit.

    Parameters
    ----------
    answer : Answer or None
        What the call returned.
    error : dict
        The exception's ``type``, ``message``, ``where``, ``line``, ``function`` and ``name``.
    limit : str
        ``memory``, ``output``, ``size`` (the answer is enormous), or empty.
    changed : tuple of int
        Positions of arguments that the call changed in place; -1 for anything else it was given.
    gradients : tuple of int
        Positions of arguments in whose `.grad` the call changed something.
    """

    answer: Answer | None = None
    error: dict = field(default_factory=dict)
    limit: str = ""
    changed: tuple[int, ...] = ()
    gradients: tuple[int, ...] = ()


def read_outcome(raw) -> Outcome:
    """Return one entry of `sandbox.run.run_probes`. Never fails: the report may be forged."""
    if not isinstance(raw, dict):
        return Outcome(Answer(None, "unknown"))
    changed, gradients = (positions(raw.get(name)) for name in ("changed", "gradients"))
    if raw.get("memory"):
        return Outcome(limit="memory")
    if raw.get("too_large"):
        return Outcome(limit="size")
    if "raised" in raw:
        return read_error(raw["raised"], changed)
    return Outcome(read_answer(raw.get("value")), changed=changed, gradients=gradients)


def positions(raw) -> tuple[int, ...]:
    """Return what is a list of positions, -1 among them; a forged report may hold anything."""
    places = raw[:MAX_ARGUMENTS] if isinstance(raw, list) else []
    return tuple(p for p in places if type(p) is int and -1 <= p < MAX_ARGUMENTS)


def read_error(raw, changed: tuple[int, ...] = ()) -> Outcome:
    """Return an exception's description as an outcome."""
    if not isinstance(raw, dict):
        raw = {}
    limit = "memory" if raw.get("memory") else "output" if raw.get("output") else ""
    error = {name: text_of(raw.get(name)) for name in ERROR_FIELDS}
    error["type"] = error["type"] or "Exception"
    return Outcome(error=error, limit=limit, changed=changed)


def text_of(value, length: int = 500) -> str:
    """Return the beginning of a text, and nothing for whatever is no text."""
    return value[:length] if isinstance(value, str) else ""
