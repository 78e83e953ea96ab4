"""GAE against Stable-Baselines3's rollout buffer: the same numbers, and how fast."""

import numpy as np
import torch
from gymnasium.spaces import Box

from course_lib.advantages import gae, gae_scan

from .timing import medians, side_by_side

SHAPES = ((128, 8), (2048, 8), (4052, 8), (2048, 64), (1000, 1000))
GAMMA, GAE_LAMBDA = 0.99, 0.95


def measure() -> dict:
    """Return seconds per call at the five shapes, and the largest difference of the results."""
    torch.set_num_threads(1)
    rows = []
    for steps, copies in SHAPES:
        rollout, buffer, last = same_data(steps, copies)
        calls = {
            "gae_scan": lambda r=rollout: gae_scan(**r, gamma=GAMMA, gae_lambda=GAE_LAMBDA),
            "gae": lambda r=rollout: gae(**r, gamma=GAMMA, gae_lambda=GAE_LAMBDA),
            "stable-baselines3": lambda b=buffer, v=last: b.compute_returns_and_advantage(*v),
        }
        taken = medians(side_by_side(calls, rounds=7, seconds=0.1))
        ours = calls["gae_scan"]()
        calls["stable-baselines3"]()
        scale = np.abs(buffer.advantages).max()
        difference = np.abs(ours - buffer.advantages).max() / scale
        rows.append({"shape": [steps, copies], "difference": float(difference), **taken})
    return {"rows": rows}


def same_data(steps: int, copies: int) -> tuple[dict, object, tuple]:
    """Return one rollout in our form and in theirs.

    Their collector adds gamma V of the final observation to the reward of a truncated step, so
    the buffer never sees a truncation. The data does that for them.
    """
    from stable_baselines3.common.buffers import RolloutBuffer

    rng = np.random.default_rng(0)
    shape = (steps, copies)
    rewards = rng.normal(size=shape).astype(np.float32)
    values = rng.normal(size=shape).astype(np.float32)
    terminated = rng.random(shape) < 0.01
    truncated = (rng.random(shape) < 0.005) & ~terminated
    reached = rng.normal(size=shape).astype(np.float32)
    ended = terminated | truncated
    reached[:-1][~ended[:-1]] = values[1:][~ended[:-1]]
    rollout = dict(
        rewards=rewards,
        values=values,
        next_values=reached,
        terminated=terminated,
        truncated=truncated,
    )
    box = Box(-1, 1, (1,))
    buffer = RolloutBuffer(
        steps, box, box, device="cpu", gae_lambda=GAE_LAMBDA, gamma=GAMMA, n_envs=copies
    )
    buffer.rewards = rewards + GAMMA * truncated * reached
    buffer.values = values
    buffer.episode_starts[1:] = ended[:-1]
    buffer.episode_starts[0] = 1.0
    buffer.advantages = np.zeros(shape, dtype=np.float32)
    # Where the last row is truncated, its bootstrap is in the reward; "done" keeps the rest out.
    return rollout, buffer, (torch.from_numpy(reached[-1]), ended[-1])
