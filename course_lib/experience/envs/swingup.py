"""CartPoleSwingUp: swing a hanging pole up and balance it, by pushing the cart it hangs from.

One physics function serves a scalar Gymnasium environment, `CartPoleSwingUpEnv`, and a batched one,
`BatchedSwingUp`; both take exactly the same steps. Equations and constants are those of the PyPI
package gym-cartpole-swingup 0.1.4, written anew from the equations of motion. The pole is a uniform
rod: its Lagrangian gives

    M x''            - (m l / 2) cos(theta) theta'' = f - b x' - (m l / 2) sin(theta) theta'^2
    -(m l / 2) cos(theta) x'' + (m l^2 / 3) theta'' = (m g l / 2) sin(theta)

and `swingup_dynamics` is this 2 x 2 system solved by hand.
"""

import copy
import os
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...kinds import require_known
from ...registration import SWINGUP_STEPS
from ..contract import own
from .base import BatchedEnv

GRAVITY = 9.82  # m/s^2
CART_MASS, POLE_MASS = 0.5, 0.5  # kg
TOTAL_MASS = CART_MASS + POLE_MASS
LENGTH = 0.6  # m, the whole pole
POLE_MOMENT = POLE_MASS * LENGTH
FORCE = 10.0  # N, at action 1
FRICTION = 0.1  # N s/m, between cart and track
TIME_STEP = 0.01  # s
X_LIMIT = 2.4  # m

HANGING = (0.0, 0.0, np.pi, 0.0)  # mean of the initial states
INITIAL_SPREAD = 0.2  # their standard deviation, in each coordinate

_LARGEST = np.finfo(np.float32).max
_OBSERVATION_SPACE = gym.spaces.Box(-_LARGEST, _LARGEST, (5,), np.float32)
_ACTION_SPACE = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)


def swingup_dynamics(state: NDArray, actions: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """One explicit Euler step: positions move with the old velocities.

    Parameters
    ----------
    state : ndarray, shape (4, N), float64
        Position (m), velocity (m/s), angle (rad, 0 is upright, pi hangs, never wrapped) and angular
        velocity (rad/s). The tip of the pole is at ``(x - l sin(angle), l cos(angle))``, so a push
        to the right (positive) makes the angle of an upright pole grow.
    actions : ndarray, shape (N,)
        Push in units of 10 N; clipped to [-1, 1], then rounded to float32.

    Returns
    -------
    next_state : ndarray, shape (4, N), float64
    heights : ndarray, shape (N,), float64
        Cosine of the next angle, computed in float32: the reward of v0, in [-1, 1].
    terminated : ndarray of bool, shape (N,)
        Whether the cart left the track, ``|x| > 2.4`` m. The angle ends nothing.

    References
    ----------
    PyPI gym-cartpole-swingup 0.1.4; Appendix C derives the equations.
    """
    x, x_dot, theta, theta_dot = state
    push = FORCE * np.clip(actions, -1.0, 1.0).astype(np.float32).astype(np.float64)
    push = push - FRICTION * x_dot
    cos, sin = np.cos(theta), np.sin(theta)
    swing = POLE_MOMENT * np.square(theta_dot) * sin
    inertia = 4.0 * TOTAL_MASS - 3.0 * POLE_MASS * np.square(cos)
    x_acc = (4.0 * push - 2.0 * swing + 3.0 * POLE_MASS * GRAVITY * sin * cos) / inertia
    theta_acc = (6.0 * push * cos - 3.0 * swing * cos + 6.0 * TOTAL_MASS * GRAVITY * sin) / (
        LENGTH * inertia
    )
    next_state = np.stack(
        (
            x + TIME_STEP * x_dot,
            x_dot + TIME_STEP * x_acc,
            theta + TIME_STEP * theta_dot,
            theta_dot + TIME_STEP * theta_acc,
        )
    )
    heights = np.cos(next_state[2].astype(np.float32)).astype(np.float64)
    return next_state, heights, np.abs(next_state[0]) > X_LIMIT


def observe_swingup(state: NDArray) -> NDArray:
    """Observations (N, 5), float32, of states (4, N): x, x', cos, sin and angular velocity."""
    x, x_dot, theta, theta_dot = state
    return np.stack((x, x_dot, np.cos(theta), np.sin(theta), theta_dot), axis=1).astype(np.float32)


def initial_swingup_states(rng: np.random.Generator, n: int) -> NDArray:
    """Draw n states about `HANGING`, normal with sd 0.2, rounded to float32; shape (4, n)."""
    states = rng.normal(HANGING, INITIAL_SPREAD, size=(n, 4)).T
    return states.astype(np.float32).astype(np.float64)


class BatchedSwingUp(BatchedEnv):
    """N copies of CartPoleSwingUp-v0: the reward is cos(angle), in [-1, 1], for 500 steps."""

    default_max_episode_steps = SWINGUP_STEPS
    single_observation_space = _OBSERVATION_SPACE
    single_action_space = _ACTION_SPACE

    def initial_states(self, rng, n):
        """`initial_swingup_states`; no options."""
        return initial_swingup_states(rng, n)

    def dynamics(self, state, actions):
        """`swingup_dynamics`, after a check that the actions, shape (N, 1), are finite."""
        return swingup_dynamics(state, _check_actions(actions)[:, 0])

    def observe(self, state):
        """`observe_swingup`."""
        return observe_swingup(state)


class BatchedSwingUpV1(BatchedSwingUp):
    """N copies of CartPoleSwingUp-v1: the reward is (1 + cos(angle)) / 2, in [0, 1]."""

    def dynamics(self, state, actions):
        """As in v0, with the reward of v1."""
        next_state, heights, terminated = super().dynamics(state, actions)
        return next_state, (1.0 + heights) / 2.0, terminated


class CartPoleSwingUpEnv(gym.Env):
    """CartPoleSwingUp as a scalar Gymnasium environment; registered with a limit of 500 steps.

    Parameters
    ----------
    render_mode : "rgb_array" or None
        With ``"rgb_array"``, `render` draws the state as a frame (200, 600, 3), uint8.
    nonnegative_reward : bool
        False: cos(angle), as in v0. True: (1 + cos(angle)) / 2, as in v1.

    Raises
    ------
    ValueError
        If the render mode is unknown, or an action is not one finite number.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": round(1 / TIME_STEP)}
    observation_space = _OBSERVATION_SPACE
    action_space = _ACTION_SPACE

    def __init__(self, render_mode: str | None = None, nonnegative_reward: bool = False) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be 'rgb_array' or None, not {render_mode!r}")
        self.render_mode = render_mode
        self.nonnegative_reward = nonnegative_reward
        self.state: NDArray | None = None  # (4,), float64
        # Spaces carry a random generator for sampling, which copies must not share.
        self.observation_space, self.action_space = own(_OBSERVATION_SPACE), own(_ACTION_SPACE)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Start an episode near the hanging state; observation (5,) float32 and an empty dict.

        There are no options; a ValueError says so if some are given.
        """
        require_known(options or {}, (), f"{type(self).__name__}.reset")
        super().reset(seed=seed)
        self.state = initial_swingup_states(self.np_random, 1)[:, 0]
        return _observation(self.state), {}

    def step(self, action: ArrayLike) -> tuple[NDArray, float, bool, bool, dict[str, Any]]:
        """Advance by 0.01 s; ``action`` is one finite number, bare or of shape (1,)."""
        if self.state is None:
            raise RuntimeError("call reset before the first step")
        action = np.asarray(action)
        if action.size != 1:
            raise ValueError(f"the action must be one number, not an array of shape {action.shape}")
        action = _check_actions(action.reshape(1))
        next_state, heights, terminated = swingup_dynamics(self.state[:, None], action)
        self.state = next_state[:, 0]
        reward = (1.0 + heights[0]) / 2.0 if self.nonnegative_reward else heights[0]
        return _observation(self.state), float(reward), bool(terminated[0]), False, {}

    def render(self) -> NDArray | None:
        """Frame of the current state, as drawn by `draw_swingup`; None without a render mode."""
        if self.render_mode is None:
            gym.logger.warn("render needs an environment made with render_mode='rgb_array'")
            return None
        if self.state is None:
            raise RuntimeError("call reset before render")
        return draw_swingup(self.state[0], self.state[2])

    def get_state(self) -> dict[str, Any]:
        """State and random generator, as a copy. The step count is the TimeLimit wrapper's."""
        return copy.deepcopy({"state": self.state, "rng": self.np_random.bit_generator.state})

    def set_state(self, saved: dict[str, Any]) -> NDArray:
        """Go back to what `get_state` returned; gives the observation (5,)."""
        state = copy.deepcopy(saved["state"])
        self.state = state
        self.np_random.bit_generator.state = copy.deepcopy(saved["rng"])
        return _observation(state)


def _observation(state: NDArray) -> NDArray:
    return observe_swingup(state[:, None])[0]


def draw_swingup(x: float, theta: float, width: int = 600) -> NDArray:
    """Draw cart, pole and track; needs pygame (Gymnasium's ``classic-control`` extra).

    Parameters
    ----------
    x : float
        Position of the cart, in m.
    theta : float
        Angle of the pole in rad; the tip is drawn at ``(x - l sin(theta), l cos(theta))``.
    width : int, at least 3
        Width of the frame in pixels; its height is a third of that.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would print into notebooks
    import pygame

    white, ink, grey, blue, amber = "#ffffff", "#262b33", "#9aa3ad", "#2f6690", "#d1822b"
    detail = 3  # drawn this much larger and scaled down, which smooths every edge
    size = (detail * width, detail * width // 3)
    metre = size[0] / (2 * X_LIMIT + 0.8)
    surface = pygame.Surface(size, depth=32)
    surface.fill(white)

    def pixel(right: float, up: float) -> tuple[float, float]:
        return size[0] / 2 + right * metre, size[1] / 2 - up * metre

    def box(colour: str, left: float, top: float, wide: float, high: float, corner: float) -> None:
        right, down = pixel(left, top)
        rect = pygame.Rect(round(right), round(down), round(wide * metre), round(high * metre))
        pygame.draw.rect(surface, colour, rect, border_radius=round(corner * metre))

    box(grey, -X_LIMIT - 0.2, 0.01, 2 * X_LIMIT + 0.4, 0.02, 0.01)  # the track
    for stop in (-X_LIMIT, X_LIMIT):
        box(grey, stop - 0.015, 0.12, 0.03, 0.24, 0.01)
    box(blue, x - 0.2, 0.1, 0.4, 0.2, 0.04)  # the cart
    tip_right, tip_up = x - LENGTH * np.sin(theta), LENGTH * np.cos(theta)
    across = 0.028 * np.array(
        [np.cos(theta), np.sin(theta)]
    )  # half a pole's width, at right angles
    ends = np.array([[x, 0.0], [tip_right, tip_up]])
    corners = (ends[0] - across, ends[0] + across, ends[1] + across, ends[1] - across)
    pygame.draw.polygon(surface, amber, [pixel(*corner) for corner in corners])
    for end, radius, colour in ((ends[0], 0.05, ink), (ends[1], 0.055, amber)):
        pygame.draw.circle(surface, colour, pixel(*end), radius * metre)
    surface = pygame.transform.smoothscale(surface, (width, width // 3))
    pixels = np.frombuffer(pygame.image.tobytes(surface, "RGB"), dtype=np.uint8)
    return pixels.reshape(width // 3, width, 3).copy()


def _check_actions(actions: NDArray) -> NDArray:
    if not np.isfinite(actions).all():
        raise ValueError(
            "an action is NaN or infinite: the policy that chose it has most likely diverged"
        )
    return actions
