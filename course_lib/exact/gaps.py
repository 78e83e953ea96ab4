"""The gap ledger: what each approximation between theory and practice costs in exact J (chapter 13).

The reference improves a `softmax_policy` on the ledger's MDP by maximising the exact surrogate
within a mean KL of delta. Every other entry changes one thing. All of them are steps
``theta -> theta``, so that `trace` can repeat them and look up the exact J.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize

from ..conjugate_gradient import conjugate_gradient
from .ledger import ledger_features, ledger_mdp, softmax_policy
from .mdp import (
    expected_return,
    policy_evaluation,
    state_distribution,
    undiscounted_distribution,
)

MDP, FEATURES = ledger_mdp(), ledger_features()
HORIZON = 200  # of the undiscounted states


@dataclass(frozen=True)
class Data:
    """What a step knows of the old policy.

    Attributes
    ----------
    pairs : ndarray, shape (S, A)
        How often each state and action are met; sums to one.
    advantages : ndarray, shape (S, A)
    old : ndarray, shape (S, A)
        The old policy.
    """

    pairs: NDArray
    advantages: NDArray
    old: NDArray

    def surrogate(self, theta: NDArray) -> tuple[float, NDArray]:
        """E[ratio A], times 1 / (1 - gamma), and its gradient (F, A)."""
        new = softmax_policy(theta, FEATURES)
        gains = self.pairs * self.advantages * new / self.old / (1.0 - MDP.gamma)
        return float(gains.sum()), FEATURES.T @ (gains - new * gains.sum(axis=1, keepdims=True))

    def kl(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """KL(old || new) in every state (S,), and new - old, its gradient in the logits (S, A)."""
        new = softmax_policy(theta, FEATURES)
        return (self.old * np.log(self.old / new)).sum(axis=1), new - self.old

    def fisher(self) -> NDArray:
        """The mean KL's curvature at the old parameters, shape (FA, FA)."""
        states, size = self.pairs.sum(axis=1), FEATURES.shape[1] * self.old.shape[1]
        fisher = np.zeros((size, size))
        for weight, look, p in zip(states, FEATURES, self.old, strict=True):
            fisher += weight * np.kron(np.outer(look, look), np.diag(p) - np.outer(p, p))
        return fisher


def exact_data(theta: NDArray) -> Data:
    """Discounted states and exact advantages."""
    old = softmax_policy(theta, FEATURES)
    pairs = state_distribution(MDP, old)[:, None] * old
    return Data(pairs, policy_evaluation(MDP, old).advantage, old)


def undiscounted_data(theta: NDArray) -> Data:
    """The states as a batch shows them, without gamma^t."""
    data = exact_data(theta)
    pairs = undiscounted_distribution(MDP, data.old, HORIZON)[:, None] * data.old
    return Data(pairs, data.advantages, data.old)


def sampled_data(theta: NDArray, samples: int, rng: np.random.Generator) -> Data:
    """So many independent states and actions, with exact advantages."""
    data = exact_data(theta)
    counts = rng.multinomial(samples, data.pairs.ravel()).reshape(data.pairs.shape)
    return Data(counts / samples, data.advantages, data.old)


def normalised(data: Data) -> Data:
    """Advantages with mean 0 and standard deviation 1 over the pairs."""
    mean = (data.pairs * data.advantages).sum()
    std = np.sqrt((data.pairs * (data.advantages - mean) ** 2).sum())
    return Data(data.pairs, (data.advantages - mean) / std, data.old)


def trust_region(theta: NDArray, data: Data, max_kl: float, worst: bool = False) -> NDArray:
    """Maximise the surrogate subject to mean KL <= max_kl, or to the largest KL of any state."""
    states = data.pairs.sum(axis=1)
    weights = np.eye(len(states)) if worst else states[None]  # one row for each limit

    def room(x: NDArray) -> NDArray:
        return 1.0 - weights @ data.kl(x.reshape(theta.shape))[0] / max_kl

    def slope(x: NDArray) -> NDArray:
        by_logits = data.kl(x.reshape(theta.shape))[1]
        return (
            np.array([-(FEATURES.T @ (w[:, None] * by_logits)).ravel() for w in weights]) / max_kl
        )

    return _maximum(data, theta, {"type": "ineq", "fun": room, "jac": slope})


def penalty(theta: NDArray, data: Data) -> NDArray:
    """Maximise L - C max KL with the C of the theorem, 4 epsilon gamma / (1 - gamma)^2."""
    C = 4.0 * np.abs(data.advantages).max() * MDP.gamma / (1.0 - MDP.gamma) ** 2
    before = data.surrogate(theta)[0]

    def loss(x: NDArray) -> float:  # x: the step times C, and the worst KL times C^2
        gain = data.surrogate(theta + x[:-1].reshape(theta.shape) / C)[0] - before
        return x[-1] - C * gain

    def loss_slope(x: NDArray) -> NDArray:
        return np.append(-data.surrogate(theta + x[:-1].reshape(theta.shape) / C)[1].ravel(), 1.0)

    def room(x: NDArray) -> NDArray:
        return x[-1] - C**2 * data.kl(theta + x[:-1].reshape(theta.shape) / C)[0]

    start = np.zeros(theta.size + 1)
    found = minimize(
        loss, start, jac=loss_slope, method="SLSQP", constraints={"type": "ineq", "fun": room}
    )
    return theta + found.x[:-1].reshape(theta.shape) / C


def natural(
    theta: NDArray, data: Data, max_kl: float, damping: float = 1e-8, iterations: int | None = None
) -> NDArray:
    """The step of the models: linear surrogate, quadratic KL, which reaches max_kl exactly."""
    gradient, fisher = data.surrogate(theta)[1].ravel(), data.fisher()
    damped = fisher + damping * np.eye(len(fisher))
    if iterations is None:
        x = np.linalg.solve(damped, gradient)
    else:
        x = _cg(damped, gradient, iterations)
    curvature = x @ fisher @ x
    return theta + np.sqrt(2.0 * max_kl / curvature) * x.reshape(theta.shape)


def clipped(theta: NDArray, data: Data, clip_range: float, rate: float, steps: int = 10) -> NDArray:
    """Steps of Adam on PPO's clipped surrogate, with the exact gradient of each."""
    mean, square = np.zeros_like(theta), np.zeros_like(theta)
    for t in range(1, steps + 1):
        new = softmax_policy(theta, FEATURES)
        ratio = new / data.old
        free = np.where(data.advantages >= 0, ratio < 1 + clip_range, ratio > 1 - clip_range)
        gains = free * data.pairs * data.advantages * ratio
        gradient = FEATURES.T @ (gains - new * gains.sum(axis=1, keepdims=True))
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        theta = theta + rate * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
    return theta


def clip_rate(max_kl: float, clip_range: float) -> float:
    """The rate at which the first `clipped` update has a mean KL of max_kl."""
    theta = np.zeros((FEATURES.shape[1], MDP.rewards.shape[1]))
    data = exact_data(theta)

    def excess(rate: float) -> float:
        moved = clipped(theta, data, clip_range, rate)
        return float(data.pairs.sum(axis=1) @ data.kl(moved)[0]) - max_kl

    return float(brentq(excess, 1e-6, 0.1))


def trace(step: Callable[[NDArray], NDArray], updates: int) -> NDArray:
    """Exact J of the uniform policy and after each of so many steps, shape (updates + 1,)."""
    theta = np.zeros((FEATURES.shape[1], MDP.rewards.shape[1]))
    returns = [expected_return(MDP, softmax_policy(theta, FEATURES))]
    for _ in range(updates):
        theta = step(theta)
        returns.append(expected_return(MDP, softmax_policy(theta, FEATURES)))
    return np.array(returns)


def _maximum(data: Data, theta: NDArray, limits: dict) -> NDArray:
    def loss(x: NDArray) -> float:
        return -data.surrogate(x.reshape(theta.shape))[0]

    def loss_slope(x: NDArray) -> NDArray:
        return -data.surrogate(x.reshape(theta.shape))[1].ravel()

    found = minimize(
        loss,
        theta.ravel(),
        jac=loss_slope,
        method="SLSQP",
        constraints=limits,
        options={"maxiter": 200, "ftol": 1e-10},
    )
    return found.x.reshape(theta.shape)


def _cg(matrix: NDArray, b: NDArray, iterations: int) -> NDArray:
    system = torch.from_numpy(matrix)
    return conjugate_gradient(lambda v: system @ v, torch.from_numpy(b), iterations, 0.0).x.numpy()
