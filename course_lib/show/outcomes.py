"""One episode for a film: its frames, and how it ended, in words that a caption can use."""

import math
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..algorithms.agent import Agent
from .render import record_episode
from .side_by_side import PANEL

TILT = math.radians(12)  # rad: CartPole-v1 ends an episode beyond it
UPRIGHT, HELD = 0.9, 100  # cosine of the angle, and for how many steps (1 s) the pole must have it

#: Environment -> what an episode that went well did.
SUCCESS = {
    "CartPole-v1": "balances the pole",
    "CartPoleSwingUp-v0": "swings the pole up and holds it",
    "LunarLanderContinuous-v3": "lands",
}


def outcome_of(env_id: str, rewards: Sequence[float], terminated: bool, last: ArrayLike) -> str:
    """What an episode did.

    Parameters
    ----------
    env_id : str
        One of `SUCCESS`.
    rewards : sequence of float, at least one
    terminated : bool
        Whether the environment ended the episode, and not the time limit.
    last : array_like
        The last observation.

    Returns
    -------
    str
        A verb and what belongs to it.

    Raises
    ------
    ValueError
        If the environment is not one of the three.
    """
    if env_id not in SUCCESS:
        raise ValueError(f"outcomes are known for {', '.join(SUCCESS)}, not for {env_id!r}")
    seen = np.asarray(last, dtype=float)
    if env_id == "CartPole-v1":
        if terminated:
            return "lets the pole fall" if abs(seen[2]) > TILT else "drives off the track"
    elif env_id == "CartPoleSwingUp-v0":
        if terminated:
            return "drives into the end of the track"
        if max(rewards) <= 0:  # the reward is the height of the tip
            return "never lifts the pole above the cart"
        if len(rewards) < HELD or min(rewards[-HELD:]) < UPRIGHT:
            return "does not have the pole upright at the end"
    elif not terminated:
        return "is not at rest when its time is up"
    elif rewards[-1] != 100:  # what Gymnasium pays for coming to rest, whatever the rest was worth
        return "flies out of sight" if abs(seen[0]) >= 1 else "crashes"
    return SUCCESS[env_id]


class Watched(gym.Wrapper):
    """An environment that draws as small as a panel is, and remembers what an outcome is judged by."""

    rewards: list[float]

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.rewards, self.terminated = [], False
        self.last, info = self.env.reset(**options)
        return self.last, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.last, reward, self.terminated, truncated, info = self.env.step(action)
        self.rewards.append(float(reward))
        return self.last, reward, self.terminated, truncated, info

    def render(self) -> Any:
        if self.render_mode is None:  # nobody looks
            return np.zeros((1, 1, 3), np.uint8)
        frame: Any = self.env.render()
        size = PANEL, round(PANEL * frame.shape[0] / frame.shape[1])
        return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))


def play(
    agent: Agent, env_id: str, start: int, drawn: bool
) -> tuple[list[NDArray], dict[str, Any]]:
    """One episode without noise: its frames, and seed, return, steps and outcome."""
    made: list[Watched] = []

    def watched(render_mode: str) -> Watched:
        mode = render_mode if drawn else None
        made.append(Watched(gym.make(env_id, render_mode=mode, disable_env_checker=True)))
        return made[0]

    frames, total = record_episode(agent, watched, start, max_steps=10_000, deterministic=True)
    (env,) = made
    return frames, {
        "seed": start,
        "return": round(total, 2),
        "steps": len(env.rewards),
        "outcome": outcome_of(env_id, env.rewards, env.terminated, env.last),
    }
