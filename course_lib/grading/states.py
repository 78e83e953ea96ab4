"""What the judge can say about one function: the states and the verdict."""

from dataclasses import dataclass, field, fields
from enum import Enum

from .classroom.names import plain_text


class State(Enum):
    """The states of a submitted function; the value is what a report prints."""

    RIGHT = "right"
    NOT_ATTEMPTED = "not attempted"
    UNFINISHED = "unfinished"
    KNOWN_MISTAKE = "known mistake"
    WRONG = "wrong"
    RAISED = "raised"
    BLOCKED = "blocked"
    SYNTAX = "syntax"
    MISSING = "missing"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    CRASHED = "crashed"
    UNREADABLE = "unreadable"
    NEEDS_REVIEW = "needs review"

    @property
    def is_open(self) -> bool:
        """True where there is nothing to correct in this function yet."""
        return self in (State.NOT_ATTEMPTED, State.UNFINISHED, State.BLOCKED)


@dataclass(frozen=True)
class Verdict:
    """The judge's answer on one function.

    Parameters
    ----------
    task : str
        Name of the graded function.
    state : State
        One of the fifteen states.
    headline : str
        One sentence that says what happened.
    hint : str
        What to look at next; empty where there is nothing to add.
    evidence : str
        Numbers of the smallest probe that fails, as lines of plain text.
    notes : tuple of str
        Remarks that do not change the state, such as a function defined twice.
    printed : str
        What the function printed while it was judged, cut to a few lines.
    mistakes : tuple of str
        Names of the catalogued mistakes that were recognised.
    """

    task: str
    state: State
    headline: str
    hint: str = ""
    evidence: str = ""
    notes: tuple[str, ...] = ()
    printed: str = ""
    mistakes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Make what students wrote harmless for terminals, for all reports at once."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str):
                object.__setattr__(self, each.name, plain_text(value))
            elif isinstance(value, tuple):
                object.__setattr__(self, each.name, tuple(map(plain_text, value)))

    def as_text(self) -> str:
        """Return the verdict as lines of plain text."""
        parts = [f"{self.task}: {self.state.value}. {self.headline}".rstrip()]
        parts += [part for part in (self.hint, self.evidence) if part]
        parts += [f"Note: {note}" for note in self.notes]
        if self.printed:
            parts.append(f"It printed:\n{self.printed}")
        return "\n\n".join(parts)
