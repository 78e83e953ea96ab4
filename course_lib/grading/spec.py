"""What the judge knows about one graded function."""

import copy
import functools
import inspect
import secrets
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from .answers import as_arrays, distance
from .catalogue import Mistake
from .sandbox.wire import pack

PUBLIC_SEED = 2026
AGAIN = 4  # so many of the first probes, which are small, are called again


@dataclass(frozen=True)
class Probe:
    """One call of the graded function.

    Parameters
    ----------
    title : str
        What is special about the inputs, for the student: "the episode terminates at t = 2".
    arguments : tuple
        Numbers, arrays, and lists, tuples or dicts of them: the arguments of the graded function,
        or of the task's harness.
    unit : float
        The size below which a number of the answer counts as small: errors are measured against the
        largest number of the expected answer, or against `unit` where that is larger. Where
        everything about a probe is tiny, so is its unit.
    extreme : bool
        Whether it is there for what only long, tiny or huge inputs show. A known mistake that has
        such a weakness besides is recognised by the other probes.
    """

    title: str
    arguments: tuple
    unit: float = 1.0
    extreme: bool = False


@dataclass(frozen=True)
class Spec:
    """Everything about one graded function.

    Parameters
    ----------
    name : str
        The function's name, unique in the book.
    exercise : str
        Stem of its notebook, ``02_advantage_estimation``.
    parameters : tuple of str
        Names of the stub's positional parameters.
    probes : callable
        ``probes(generator)`` returns the calls, the smallest and plainest first.
    oracle : callable
        The right answer, worked out in another way than the library does.
    variant : callable
        The right answer with options that commit mistakes, by another algorithm than `oracle`.
    mistakes : tuple of Mistake
        The catalogue.
    tolerance : float
        Largest error that is right, as a fraction of the largest number of the expected answer
        (of the probe's unit where that is smaller). The default leaves room for float32.
    harness : callable, optional
        ``harness(function, *arguments)`` calls the graded function and returns what is compared. It
        is for tensors, for functions as arguments and for gradients as part of the answer. Its
        source is sent to the sandbox: it may use ``np`` and the functions of `sandbox.tools`,
        imports everything else itself, and holds no answer.
    parts : tuple of str
        Names of the parts of the answer where it is a tuple: ``("loss", "gradient")``.
    rows : str
        What the first axis of an answer counts, for the tables: ``t``, ``state``, ``entry``.
    printed : callable, optional
        For a task that asks for a repair: the function as it was printed, which is its stub.
    helpers : tuple of str
        Modules of the library that a solution may import.
    seconds, megabytes : float, int
        Limits of one run in the sandbox.
    """

    name: str
    exercise: str
    parameters: tuple[str, ...]
    probes: Callable[[np.random.Generator], Sequence[Probe]]
    oracle: Callable
    variant: Callable
    mistakes: tuple[Mistake, ...]
    tolerance: float = 1e-5
    harness: Callable | None = None
    parts: tuple[str, ...] = ()
    rows: str = "t"
    printed: Callable | None = None
    helpers: tuple[str, ...] = ()
    seconds: float = 10.0
    megabytes: int = 1024
    _kept: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    def draw(self, seed: int = PUBLIC_SEED) -> list[Probe]:
        """Return the probes that belong to `seed`; the same seed gives the same probes."""
        key = (seed, "probes")
        if key not in self._kept:
            digits = [seed, *self.name.encode()]
            self._kept[key] = list(self.probes(np.random.default_rng(digits)))
        return list(self._kept[key])

    def calls(self, seed: int = PUBLIC_SEED) -> list[Probe]:
        """Return the probes, and then the first ones once more, in another order.

        A function that counts its calls, or that keeps something from one call to the next, answers
        them differently. The order is one that nobody can know before: it changes from one process
        to the next, but not within one.
        """
        key = (seed, "again")
        probes = self.draw(seed)
        if key not in self._kept:
            first = list(range(min(len(probes), AGAIN)))
            turn = 1 + secrets.randbelow(len(first) - 1) if len(first) > 1 else 0
            self._kept[key] = first[turn:] + first[:turn]
        return probes + [probes[number] for number in self._kept[key]]

    def again(self, seed: int = PUBLIC_SEED) -> list[int]:
        """Return the numbers of the probes that `calls` repeats at its end."""
        self.calls(seed)
        return self._kept[seed, "again"]

    def packed(self, seed: int = PUBLIC_SEED) -> list[list]:
        """Return the arguments of `calls` as the sandbox wants them; packed once, then kept."""
        key = (seed, "packed")
        if key not in self._kept:
            self._kept[key] = [[pack(a) for a in probe.arguments] for probe in self.calls(seed)]
        return self._kept[key]

    def expected(self, seed: int = PUBLIC_SEED) -> list:
        """Return the right answers to the probes of a seed; worked out once, then kept."""
        key = (seed, "right")
        if key not in self._kept:
            self._kept[key] = [self.oracle(*probe.arguments) for probe in self.draw(seed)]
        return self._kept[key]

    def agree(self, probe: Probe, expected, actual, tolerance: float | None = None) -> bool:
        """Tell whether an answer to a probe is another one, up to the tolerance."""
        tolerance = self.tolerance if tolerance is None else tolerance
        return distance(expected, actual, probe.unit) <= tolerance

    def answer(self, function: Callable, probe: Probe):
        """Return what `function` answers to a probe, as arrays; the probe stays as it is."""
        arguments = copy.deepcopy(probe.arguments)
        if self.harness is None:
            return as_arrays(function(*arguments))
        return as_arrays(self.harness(function, *arguments))

    def harness_source(self) -> list[str] | None:
        """Return the harness as [name, source] for the sandbox, None if the task has none."""
        if self.harness is None:
            return None
        return [self.harness.__name__, textwrap.dedent(inspect.getsource(self.harness))]

    def mistaken(self, *mistakes: Mistake) -> Callable:
        """Return a function that commits these mistakes and is right otherwise."""
        if len(mistakes) == 1 and mistakes[0].function is not None:
            return mistakes[0].function
        flags = {key: value for mistake in mistakes for key, value in mistake.flags.items()}
        fixed = {key: value for mistake in mistakes for key, value in mistake.arguments.items()}
        if not fixed:
            return functools.partial(self.variant, **flags)

        def function(*arguments):
            given = dict(zip(self.parameters, arguments, strict=False))
            return self.variant(**{**given, **fixed}, **flags)

        return function

    def fingerprint(self, mistakes: Sequence[Mistake], seed: int, number: int, probe: Probe):
        """Return what these mistakes answer to a probe of a seed; worked out once, then kept.

        A class asks for the same answers hundreds of times.
        """
        key = (seed, number, *(mistake.name for mistake in mistakes))
        if key not in self._kept:
            self._kept[key] = self.answer(self.mistaken(*mistakes), probe)
        return self._kept[key]

    def pairs(self) -> list[tuple[Mistake, Mistake]]:
        """Return the mistakes that can be committed together: they set different options."""
        flagged = [mistake for mistake in self.mistakes if mistake.flags]
        return [
            (one, other)
            for one, other in combinations(flagged, 2)
            if not one.flags.keys() & other.flags.keys()
        ]
