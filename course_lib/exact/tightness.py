"""How tight can a bound be? Constructed worst cases and an adversarial search (chapter 4).

Random MDPs say little about the constant of a bound: at gamma = 0.9 the gaps of a thousand of them
stay below a twentieth of the KL bound. Here the MDP and the policies are chosen against the bound. Only the old policy's advantages enter the gap, so the constructions choose those
(as rewards whose mean under the old policy is zero, which makes V zero) rather than rewards.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bounds import all_bounds, gap
from .mdp import MDP

#: What `worst_case` approaches as ``shift`` goes to zero, as a function of gamma.
LIMITS = {
    "achiam": lambda gamma: 1.0,
    "kakade_langford": lambda gamma: 1.0,
    "cpi": lambda gamma: 1.0,
    "tv": lambda gamma: 1.0,
    "kl": lambda gamma: np.sqrt((1 - gamma) / (1 + gamma)),
    "kl_paper": lambda gamma: np.sqrt((1 - gamma) / (1 + gamma)) / 2,
    "sqrt_kl": lambda gamma: np.sqrt(1 - gamma),
}


class Case(NamedTuple):
    """An MDP and two policies, chosen to make one bound tight."""

    mdp: MDP
    old: NDArray  #: (S, A)
    new: NDArray  #: (S, A)

    def tightness(self, bound: str) -> float:
        """Gap over bound, in [0, 1]; 0 where the bound is zero or infinite."""
        value = all_bounds(self.mdp, self.old, self.new)[bound]
        return float(gap(self.mdp, self.old, self.new) / value) if 0 < value < np.inf else 0.0


def worst_case(bound: str, gamma: float, shift: float = 0.01) -> Case:
    """The worst case known for a bound, by construction.

    Parameters
    ----------
    bound : str
        A key of `all_bounds`.
    gamma : float in (0, 1)
    shift : float in (0, 0.25]
        How far the new policy is from the old one. The smaller, the closer to `LIMITS`.

    Returns
    -------
    Case
        ``achiam``, ``sqrt_kl``: a fork. The first step leads to a good or a bad state for ever, and
        only there do the policies differ noticeably.
        ``kakade_langford``, ``cpi``: an escape. The action mixed in leaves the bad state for good.
        ``tv``: a drift. Most actions stay; the others jump to the good or to the bad state.
        ``kl``, ``kl_paper``: a random walk. Pinsker's inequality is tight only for two equally
        likely actions, so nothing can stay: good and bad are the two halves of a corridor.

    Raises
    ------
    ValueError
        If the bound is unknown, or gamma or shift is out of range.
    """
    if bound not in LIMITS:
        raise ValueError(f"bound must be one of {sorted(LIMITS)}, not {bound!r}")
    if not 0.0 < gamma < 1.0 or not 0.0 < shift <= 0.25:
        raise ValueError(f"need 0 < gamma < 1 and 0 < shift <= 0.25, not {gamma!r} and {shift!r}")
    if bound in ("achiam", "sqrt_kl"):
        return _fork(gamma, shift)
    if bound in ("kakade_langford", "cpi"):
        return _escape(gamma, shift)
    return _drift(gamma, shift) if bound == "tv" else _walk(gamma, shift)


def tightest(
    bound: str,
    rng: np.random.Generator,
    gamma: float = 0.5,
    n_states: int = 3,
    n_actions: int = 2,
    steps: int = 1000,
    start: Case | None = None,
) -> Case:
    """Search for the MDP and policies that bring the gap closest to a bound.

    A (1+1) evolution strategy on all probabilities (as logits) and advantages at once: change
    everything a little, keep the change if the bound got tighter, and adapt how much is a little.

    Parameters
    ----------
    bound : str
        A key of `all_bounds`.
    rng : numpy.random.Generator
    gamma, n_states, n_actions
        Of the MDP to find; taken from ``start`` if that is given.
    steps : int, at least 1
        Number of candidates.
    start : Case, optional
        Where to begin, such as a `worst_case`; a random point by default.

    Returns
    -------
    Case
    """
    if start is not None:
        gamma, (n_states, n_actions) = start.mdp.gamma, start.old.shape
        point = _encode(start)
    else:
        size = n_states * (n_actions * (n_states + 3) + 1)
        point = 2.0 * rng.standard_normal(size)
    best = _decode(point, gamma, n_states, n_actions)
    score, scale = best.tightness(bound), 0.5
    for _ in range(steps):
        # One in four coordinates: with all of them, almost every change spoils something.
        change = rng.standard_normal(point.size) * (rng.random(point.size) < 0.25)
        candidate = _decode(point + scale * change, gamma, n_states, n_actions)
        if (found := candidate.tightness(bound)) > score:
            point, best, score = point + scale * change, candidate, found
            scale = min(2.0 * scale, 2.0)
        else:
            scale = max(0.87 * scale, 1e-3)  # balances one success in six: the 1/5 rule, roughly
    return best if start is None or score > start.tightness(bound) else start


def _fork(gamma: float, shift: float) -> Case:
    start, good, bad = range(3)
    transitions = _deterministic([[good, bad], [good, good], [bad, bad]])
    old = np.full((3, 2), 0.5)
    new = old.copy()
    new[start] += shift, -shift
    slight = shift**2  # enough: the advantages there are as large as this is small
    new[[good, bad]] += slight, -slight
    advantages = np.array([[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]]) / (2.0 * slight)
    return Case(MDP(transitions, advantages, gamma, np.array([1.0, 0.0, 0.0])), old, new)


def _escape(gamma: float, shift: float) -> Case:
    bad, good = range(2)
    transitions = _deterministic([[good, bad], [good, good]])
    rare = shift**2  # the old policy hardly ever escapes
    old = np.array([[rare, 1.0 - rare]] * 2)
    new = (1.0 - shift) * old + shift * np.array([1.0, 0.0])
    escape = np.array([-1.0, 1.0])  # of each state; the other action makes up for it on average
    advantages = np.stack((escape, -escape * rare / (1.0 - rare)), axis=1)
    return Case(MDP(transitions, advantages, gamma, np.array([1.0, 0.0])), old, new)


def _drift(gamma: float, shift: float) -> Case:
    good, bad = range(2)
    transitions = _deterministic([[good, bad, good], [good, bad, bad]])  # the last action stays
    old = np.array([[shift, shift, 1.0 - 2.0 * shift]] * 2)
    new = old + shift / 2.0 * np.array([1.0, -1.0, 0.0])
    advantages = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])
    return Case(MDP(transitions, advantages, gamma, np.array([0.5, 0.5])), old, new)


def _walk(gamma: float, shift: float) -> Case:
    n_states = 2 * int(np.ceil(3.0 / np.sqrt(1.0 - gamma)))  # a discounted walk gets no further
    here = np.arange(n_states)
    down, up = np.maximum(here - 1, 0), np.minimum(here + 1, n_states - 1)
    transitions = _deterministic(np.stack((down, up), axis=1))
    old = np.full((n_states, 2), 0.5)
    side = np.where(here < n_states / 2, -1.0, 1.0)
    advantages = side[:, None] * np.array([-1.0, 1.0])
    initial = np.isin(here, (n_states // 2 - 1, n_states // 2)) / 2.0
    return Case(MDP(transitions, advantages, gamma, initial), old, old + np.array([-shift, shift]))


def _deterministic(successors: ArrayLike) -> NDArray:
    """Transitions (S, A, S) that lead from s by a to ``successors[s][a]`` for certain."""
    successors = np.asarray(successors)
    return np.eye(len(successors))[successors]


def _encode(case: Case) -> NDArray:
    """A case as one flat vector: logits of its distributions, and its advantages."""
    logits = [
        np.log(np.maximum(p, 1e-9))
        for p in (case.mdp.transitions, case.mdp.initial, case.old, case.new)
    ]
    return np.concatenate([x.ravel() for x in (*logits, case.mdp.rewards)])


def _decode(point: NDArray, gamma: float, n_states: int, n_actions: int) -> Case:
    shapes = (n_states, n_actions, n_states), (n_states,), *[(n_states, n_actions)] * 3
    parts = np.split(point, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
    *logits, advantages = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
    transitions, initial, old, new = (_softmax(x) for x in logits)
    advantages = advantages - (old * advantages).sum(axis=1, keepdims=True)
    return Case(MDP(transitions, advantages, gamma, initial), old, new)


def _softmax(x: NDArray) -> NDArray:
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
