"""Exact algebra of finite Markov decision processes (chapters 1, 3 and 4).

No sampling and no network: every quantity is the solution of a small linear system, in float64. A
policy is an array of shape ``(S, A)`` whose rows are the action probabilities of the S states. The
process never ends; an episode that terminates is a state which leads to itself and pays nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROUNDING = 1e-8  # how far a row of probabilities may be from summing to one


@dataclass(frozen=True, eq=False)
class MDP:
    """A finite Markov decision process. Its arrays are copied, and read-only from then on.

    Parameters
    ----------
    transitions : array_like, shape (S, A, S)
        ``transitions[s, a, s2]`` is the probability of reaching s2 from s by action a.
    rewards : array_like, shape (S, A)
        Expected reward of action a in state s.
    gamma : float in [0, 1)
        Discount factor.
    initial : array_like, shape (S,)
        Distribution of the first state.

    Raises
    ------
    ValueError
        If a shape does not fit, a number is not finite, a distribution is negative somewhere or
        does not sum to one, or gamma lies outside [0, 1).
    """

    transitions: NDArray
    rewards: NDArray
    gamma: float
    initial: NDArray

    def __post_init__(self) -> None:
        for name in ("transitions", "rewards", "initial"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        shape = self.transitions.shape
        if len(shape) != 3 or shape[0] != shape[2] or 0 in shape:
            raise ValueError(f"transitions must have shape (S, A, S), not {shape}")
        if self.rewards.shape != shape[:2]:
            raise ValueError(
                f"rewards must have shape (S, A) = {shape[:2]}, not {self.rewards.shape}"
            )
        if self.initial.shape != shape[:1]:
            raise ValueError(
                f"initial must have shape (S,) = {shape[:1]}, not {self.initial.shape}"
            )
        if not np.isfinite(self.rewards).all():
            raise ValueError("rewards must be finite")
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"gamma must lie in [0, 1), not {self.gamma!r}: sums run to infinity")
        check_distribution("transitions", self.transitions)
        check_distribution("initial", self.initial)

    @property
    def n_states(self) -> int:
        """S, the number of states."""
        return self.rewards.shape[0]

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return self.rewards.shape[1]


class Values(NamedTuple):
    """What `policy_evaluation` returns."""

    v: NDArray  #: (S,), value of each state
    q: NDArray  #: (S, A), value of each action
    advantage: NDArray  #: (S, A), q - v


def random_mdp(
    rng: np.random.Generator,
    n_states: int = 5,
    n_actions: int = 3,
    gamma: float = 0.9,
    concentration: float = 0.5,
) -> MDP:
    """A random MDP: Dirichlet transitions and initial states, standard normal rewards.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_states, n_actions : int, at least 1
    gamma : float in [0, 1)
    concentration : float, positive
        Of the Dirichlet distribution: small makes transitions nearly deterministic, 1 uniform.
    """
    alpha = np.full(n_states, concentration)
    return MDP(
        transitions=rng.dirichlet(alpha, size=(n_states, n_actions)),
        rewards=rng.standard_normal((n_states, n_actions)),
        gamma=gamma,
        initial=rng.dirichlet(alpha),
    )


def random_policy(
    rng: np.random.Generator, n_states: int, n_actions: int, concentration: float = 1.0
) -> NDArray:
    """A random policy, shape (S, A): each row drawn from a Dirichlet distribution."""
    return rng.dirichlet(np.full(n_actions, concentration), size=n_states)


def policy_evaluation(mdp: MDP, policy: ArrayLike) -> Values:
    """V, Q and the advantage of a policy, from the Bellman equation ``(I - gamma P) V = R``.

    Raises
    ------
    ValueError
        If the policy is not a distribution over A actions in each of S states.

    References
    ----------
    Sutton and Barto (2018), Eq. (4.4).
    """
    policy = check_policy(mdp, policy)
    rewards = (policy * mdp.rewards).sum(axis=1)
    v = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * _chain(mdp, policy), rewards)
    q = mdp.rewards + mdp.gamma * mdp.transitions @ v
    return Values(v, q, q - v[:, None])


def expected_return(mdp: MDP, policy: ArrayLike) -> float:
    """J: the discounted return that the policy earns on average from the initial states."""
    return float(mdp.initial @ policy_evaluation(mdp, policy).v)


def visitation(mdp: MDP, policy: ArrayLike) -> NDArray:
    """Unnormalised discounted visitation ``rho(s) = sum_t gamma^t P(s_t = s)``, shape (S,).

    It sums to ``1 / (1 - gamma)``.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, section 2.
    """
    policy = check_policy(mdp, policy)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * _chain(mdp, policy).T, mdp.initial)


def state_distribution(mdp: MDP, policy: ArrayLike) -> NDArray:
    """Discounted state distribution ``d = (1 - gamma) rho``, shape (S,); sums to one.

    References
    ----------
    Achiam et al. (2017), arXiv:1705.10528, section 2.
    """
    return (1.0 - mdp.gamma) * visitation(mdp, policy)


def undiscounted_distribution(mdp: MDP, policy: ArrayLike, horizon: int) -> NDArray:
    """How often each state is met in the first ``horizon`` steps, shape (S,); sums to one.

    This is where the states of a batch come from in practice, against `state_distribution` in
    theory.

    Raises
    ------
    ValueError
        If the horizon is not a positive integer.
    """
    policy = check_policy(mdp, policy)
    if not horizon >= 1 or horizon % 1 != 0:  # infinity fails here too
        raise ValueError(f"horizon counts steps and must be a positive integer, not {horizon!r}")
    chain = _chain(mdp, policy)
    now = mdp.initial
    total = np.zeros(mdp.n_states)
    for _ in range(int(horizon)):
        total += now
        now = now @ chain
    return total / horizon


def performance_difference(mdp: MDP, old: ArrayLike, new: ArrayLike) -> tuple[float, float]:
    """Both sides of the performance-difference lemma, each computed without the other.

    Returns
    -------
    difference : float
        ``J(new) - J(old)``.
    advantage : float
        ``sum_s rho_new(s) sum_a new(a|s) A_old(s, a)``, which the lemma says is the same number.

    References
    ----------
    Kakade and Langford (2002), Lemma 6.1; Schulman et al. (2015), arXiv:1502.05477, Eq. (1).
    """
    difference = expected_return(mdp, new) - expected_return(mdp, old)
    return difference, float(visitation(mdp, new) @ mean_advantage(mdp, old, new))


def surrogate(mdp: MDP, old: ArrayLike, new: ArrayLike) -> float:
    """L_old(new): the lemma with the *old* policy's states, so that it can be estimated from data.

    ``J(old) + sum_s rho_old(s) sum_a new(a|s) A_old(s, a)``. Since rho_old is unnormalised, the
    factor 1/(1-gamma) of the form with d_old is inside.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (3).
    """
    gain = visitation(mdp, old) @ mean_advantage(mdp, old, new)
    return expected_return(mdp, old) + float(gain)


def mean_advantage(mdp: MDP, old: ArrayLike, new: ArrayLike) -> NDArray:
    """Old advantage of the new policy's actions, ``sum_a new(a|s) A_old(s, a)``, shape (S,)."""
    return (check_policy(mdp, new) * policy_evaluation(mdp, old).advantage).sum(axis=1)


def check_policy(mdp: MDP, policy: ArrayLike) -> NDArray:
    """The policy as a float64 array (S, A), or a ValueError that says what is wrong with it."""
    policy = np.asarray(policy, dtype=np.float64)
    if policy.shape != mdp.rewards.shape:
        raise ValueError(
            f"the policy has shape {policy.shape}, but this MDP needs (S, A) = {mdp.rewards.shape}"
        )
    check_distribution("the policy", policy)
    return policy


def _chain(mdp: MDP, policy: NDArray) -> NDArray:
    """Transition matrix (S, S) of the Markov chain that the policy makes of the MDP."""
    return np.einsum("sa,sat->st", policy, mdp.transitions)


def check_distribution(name: str, p: NDArray) -> None:
    """Raise a ValueError unless p is made of distributions along its last axis."""
    if not (p >= 0).all():  # NaN fails here too
        raise ValueError(f"{name} must hold probabilities, but the smallest entry is {p.min()}")
    worst = np.abs(p.sum(axis=-1) - 1.0).max()
    if worst > _ROUNDING:
        raise ValueError(f"{name} must sum to one along the last axis; it is off by {worst:.3g}")
