"""The vine: several actions from one and the same state, by restoring it (chapter 9).

TRPO's second sampling scheme follows a policy for a while, picks a rollout set of S states on the
way, goes back to each of them K times, takes K actions there and sees what each is worth. The
branches of one state may share random numbers, so that some of the noise cancels between them.
It needs a simulator whose state can be set: here, a `BatchedEnv`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import require_unit_interval
from ..experience.envs import BatchedEnv
from ..policies import CategoricalPolicy, Policy
from ..spaces import ActionMap
from .trpo import PolicyStep, trpo_policy_step


class CommonRandomNumbers:
    """A random generator whose draws repeat in groups of K: one draw per state, for all branches.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the draws come from.
    branches : int, at least 1
        Rows that share a draw, K.
    """

    def __init__(self, rng: np.random.Generator, branches: int) -> None:
        self.rng, self.branches = rng, branches

    def gumbel(self, size: tuple[int, ...]) -> NDArray:
        """As in NumPy, with every draw repeated in K consecutive rows."""
        return np.repeat(self.rng.gumbel(size=self._fewer(size)), self.branches, axis=0)

    def standard_normal(self, size: tuple[int, ...], dtype: Any = np.float64) -> NDArray:
        """As in NumPy, with every draw repeated in K consecutive rows."""
        return np.repeat(self.rng.standard_normal(self._fewer(size), dtype), self.branches, axis=0)

    def _fewer(self, size: tuple[int, ...]) -> tuple[int, ...]:
        if size[0] % self.branches:
            raise ValueError(f"{size[0]} rows do not split into groups of {self.branches}")
        return (size[0] // self.branches, *size[1:])


@dataclass(frozen=True)
class RolloutSet:
    """S states of a trajectory, each with K actions and a sample of what they are worth.

    Attributes
    ----------
    states : ndarray, shape (state_size, S)
    observations : ndarray, shape (S, O), float32
    actions : ndarray, shape (S, K) int64 or (S, K, d) float32
    q_values : ndarray, shape (S, K)
        Discounted return of the branch that starts with the action and then follows the policy.
    simulator_steps : int
        Steps the branches took in all, for a fair comparison with other schemes.
    """

    states: NDArray
    observations: NDArray
    actions: NDArray
    q_values: NDArray
    simulator_steps: int


def visited_states(
    env: BatchedEnv, policy: Policy, count: int, steps: int, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Follow a policy and pick states it passes through, uniformly without replacement.

    Parameters
    ----------
    env : BatchedEnv
        Reset by the caller, with ``SAME_STEP`` autoreset.
    policy : Policy
    count, steps : int
        States to pick, S, out of ``steps`` steps of every copy.
    rng : numpy.random.Generator

    Returns
    -------
    states : ndarray, shape (state_size, S)
    elapsed : ndarray of int, shape (S,)
        Steps of its episode that had been taken in each.

    Raises
    ------
    ValueError
        If the environment was never reset.
    """
    act, to_environment = policy.sampler(rng), ActionMap(env.single_action_space)
    if env.state is None:
        raise ValueError("the environment was never reset, so there is no state to start from")
    visited, taken = [], []
    for _ in range(steps):
        visited.append(env.state)
        taken.append(env.elapsed)
        env.step(to_environment(act(env.observe(env.state))))
    states, elapsed = np.concatenate(visited, axis=1), np.concatenate(taken)
    chosen = rng.choice(states.shape[1], size=count, replace=False)
    return states[:, chosen], elapsed[chosen]


def branch(
    env: BatchedEnv,
    policy: Policy,
    states: NDArray,
    actions: NDArray,
    gamma: float,
    max_steps: int,
    rng: np.random.Generator,
    elapsed: NDArray | int = 0,
    common_random_numbers: bool = True,
) -> RolloutSet:
    """Take K given actions in each of S states, and follow the policy from there.

    Parameters
    ----------
    env : BatchedEnv
        With S K copies and ``SAME_STEP`` autoreset; its state is overwritten.
    policy : Policy
    states : ndarray, shape (state_size, S)
    actions : ndarray, shape (S, K) or (S, K, d)
        The first action of every branch, on the policy's scale.
    gamma : float in [0, 1]
    max_steps : int, at least 1
        Length at which a branch is cut, without a bootstrap: a bias of order gamma^max_steps.
    rng : numpy.random.Generator
        Of the later actions.
    elapsed : ndarray of int, shape (S,), or int
        Steps of each state's episode already taken, for the time limit.
    common_random_numbers : bool
        Give the branches of a state the same noise.

    Returns
    -------
    RolloutSet

    Raises
    ------
    ValueError
        If sizes do not fit, or gamma lies outside [0, 1].

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, section 5.2.
    """
    require_unit_interval(gamma=gamma)
    S, K = actions.shape[:2]
    if env.num_envs != S * K or states.shape[1] != S or max_steps < 1:
        raise ValueError(
            f"{S} states with {K} actions each need an environment of {S * K} copies, {S} states "
            f"and max_steps >= 1; given: {env.num_envs}, {states.shape[1]} and {max_steps}"
        )
    elapsed = np.repeat(np.broadcast_to(elapsed, (S,)), K)
    observations = env.place(np.repeat(states, K, axis=1), elapsed)
    act = policy.sampler(CommonRandomNumbers(rng, K) if common_random_numbers else rng)
    to_environment = ActionMap(env.single_action_space)
    chosen = actions.reshape(S * K, *actions.shape[2:])
    first_observations = observations[::K]
    q_values, alive, discount, steps = np.zeros(S * K), np.ones(S * K, dtype=bool), 1.0, 0
    for _ in range(max_steps):
        observations, rewards, terminated, truncated, _ = env.step(to_environment(chosen))
        q_values += discount * np.where(alive, rewards, 0.0)
        steps += int(alive.sum())
        alive &= ~(terminated | truncated)
        if not alive.any():
            break
        discount *= gamma
        chosen = act(observations)
    return RolloutSet(states, first_observations, actions, q_values.reshape(S, K), steps)


def finite_action_surrogate(probabilities: Tensor, q_values: Tensor) -> Tensor:
    """L_n(theta) = sum_k pi_theta(a_k | s_n) Q(s_n, a_k), where all K actions were tried.

    Parameters
    ----------
    probabilities : Tensor, shape (S, K)
        Of every action in every state, under the new policy.
    q_values : Tensor, shape (S, K)
        One sample each.

    Returns
    -------
    Tensor, shape (S,)
        Unbiased. A constant added to a state's Q-values changes it by a constant.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (15).
    """
    _check(probabilities=probabilities, q_values=q_values)
    return (probabilities * q_values).sum(-1)


def self_normalised_surrogate(
    log_probs: Tensor, proposal_log_probs: Tensor, q_values: Tensor
) -> Tensor:
    """L_n(theta): the mean of Q under weights pi_theta / q that are divided by their own sum.

    Parameters
    ----------
    log_probs : Tensor, shape (S, K)
        Of the K sampled actions, under the new policy.
    proposal_log_probs : Tensor, shape (S, K)
        Under the distribution that they were drawn from.
    q_values : Tensor, shape (S, K)

    Returns
    -------
    Tensor, shape (S,)
        Biased by order 1 / K, as every ratio of estimates. No baseline is needed: adding a
        constant to a state's Q-values adds it to the estimate, and leaves the gradient alone.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (16).
    """
    _check(log_probs=log_probs, proposal_log_probs=proposal_log_probs)
    _check(log_probs=log_probs, q_values=q_values)
    weights = torch.softmax(log_probs - proposal_log_probs, dim=-1)
    return (weights * q_values).sum(-1)


def vine_policy_step(
    policy: CategoricalPolicy, rollout_set: RolloutSet, **settings: Any
) -> PolicyStep:
    """One TRPO step on a rollout set in which every action was tried in every state.

    ``sum_k pi(a_k|s) Q_k`` is the mean over k of the ratio pi / pi_old times ``K pi_old(a_k|s)
    Q_k``. So these products are the "advantages" of a single-path step, with one sample for each
    pair of state and action. Centring Q by its mean under the old policy changes no gradient.

    Parameters
    ----------
    policy : CategoricalPolicy
        Moved in place.
    rollout_set : RolloutSet
        With ``actions`` 0 to K - 1 in every state.
    **settings
        See `trpo.trpo_policy_step`.

    Returns
    -------
    PolicyStep

    Raises
    ------
    ValueError
        If not every action was tried exactly once in every state, or shapes do not fit.
    """
    actions = torch.from_numpy(rollout_set.actions)
    observations = torch.from_numpy(rollout_set.observations)
    with torch.no_grad():
        probabilities = policy(observations).log_probs.exp()
    S, K = probabilities.shape
    if actions.shape != (S, K) or not (actions.sort(dim=1).values == torch.arange(K)).all():
        raise ValueError(f"needed: each of the actions 0 to {K - 1} once in each of {S} states")
    q = torch.from_numpy(rollout_set.q_values).to(probabilities)
    _check(probabilities=probabilities, q_values=q)
    chosen = probabilities.gather(1, actions)
    weights = K * chosen * (q - (chosen * q).sum(1, keepdim=True))
    repeated = observations.repeat_interleave(K, dim=0)
    return trpo_policy_step(policy, repeated, actions.reshape(-1), weights.reshape(-1), **settings)


def _check(**tensors: Tensor) -> None:
    (first, x), (second, y) = tensors.items()
    if x.shape != y.shape or x.dim() != 2:
        raise ValueError(
            f"{first} and {second} must both have shape (S, K), not {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
