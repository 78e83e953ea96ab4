"""CartPole-v1 as one batched NumPy environment, bit for bit Gymnasium's physics.

Gymnasium's own vector CartPole knows only the ``NEXT_STEP`` autoreset. This one has all modes and
runs N copies for little more than the price of one.
"""

import math

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ...kinds import checked
from .base import BatchedEnv, require_zeros_and_ones

GRAVITY = 9.8  # m/s^2
CART_MASS, POLE_MASS = 1.0, 0.1  # kg
TOTAL_MASS = POLE_MASS + CART_MASS
HALF_LENGTH = 0.5  # m, from the hinge to the pole's centre
POLE_MOMENT = POLE_MASS * HALF_LENGTH
FORCE = 10.0  # N
TIME_STEP = 0.02  # s
X_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * math.pi / 360  # rad


def cartpole_dynamics(state: NDArray, actions: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """One explicit Euler step of the cart and pole.

    The order of the floating-point operations is Gymnasium's, so that trajectories agree exactly.

    Parameters
    ----------
    state : ndarray, shape (4, N), float64
        Position (m), velocity (m/s), angle (rad, 0 is upright) and angular velocity (rad/s).
    actions : ndarray of int, shape (N,)
        0 pushes left, 1 pushes right.

    Returns
    -------
    next_state : ndarray, shape (4, N)
    rewards : ndarray, shape (N,)
        1 for every step, the last one included.
    terminated : ndarray of bool, shape (N,)
        Whether the cart left the track or the pole fell beyond 12 degrees.

    References
    ----------
    Barto, Sutton and Anderson (1983); equations corrected by Florian (2007).
    """
    x, x_dot, theta, theta_dot = state
    force = np.where(actions == 1, FORCE, -FORCE)
    cos, sin = np.cos(theta), np.sin(theta)
    push = (force + POLE_MOMENT * np.square(theta_dot) * sin) / TOTAL_MASS
    theta_acc = (GRAVITY * sin - cos * push) / (
        HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * np.square(cos) / TOTAL_MASS)
    )
    x_acc = push - POLE_MOMENT * theta_acc * cos / TOTAL_MASS
    next_state = np.stack(
        (
            x + TIME_STEP * x_dot,
            x_dot + TIME_STEP * x_acc,
            theta + TIME_STEP * theta_dot,
            theta_dot + TIME_STEP * theta_acc,
        )
    )
    terminated = (np.abs(next_state[0]) > X_LIMIT) | (np.abs(next_state[2]) > ANGLE_LIMIT)
    return next_state, np.ones(state.shape[1]), terminated


class BatchedCartPole(BatchedEnv):
    """N copies of CartPole-v1: keep a pole upright on a cart, at most 500 steps."""

    default_max_episode_steps = 500
    single_observation_space = gym.spaces.Box(
        -np.array([X_LIMIT * 2, np.inf, ANGLE_LIMIT * 2, np.inf], dtype=np.float32),
        np.array([X_LIMIT * 2, np.inf, ANGLE_LIMIT * 2, np.inf], dtype=np.float32),
        dtype=np.float32,
    )
    single_action_space = gym.spaces.Discrete(2)
    start_options = ("low", "high")

    def initial_states(self, rng, n, low=-0.05, high=0.05):
        """All four coordinates uniform in [low, high]; shape (4, n)."""
        return rng.uniform(low, high, size=(4, n))

    def checked_options(self, options):
        """``low`` and ``high``: two numbers in this order."""
        bounds = {"low": -0.05, "high": 0.05, **options}
        bounds = {name: checked(name, x, float) for name, x in bounds.items()}
        if bounds["low"] > bounds["high"]:
            raise ValueError("low must not be above high, not {low} and {high}".format(**bounds))
        return bounds

    def dynamics(self, state, actions):
        """`cartpole_dynamics`, after a check that every action is 0 or 1."""
        require_zeros_and_ones("CartPole", actions)
        return cartpole_dynamics(state, actions)

    def observe(self, state):
        """The state itself, as float32 (N, 4)."""
        return state.T.astype(np.float32)
