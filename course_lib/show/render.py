"""Films of a policy at work: frames from the environment, written as a GIF."""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..algorithms.agent import Agent
from ..policies import Policy
from .plots import Picture


def record_episode(
    policy: Policy | Agent,
    env_id: str,
    seed: int = 0,
    max_steps: int = 500,
    deterministic: bool = False,
) -> tuple[list[NDArray], float]:
    """Run one episode and keep every frame.

    Parameters
    ----------
    policy : Policy or Agent
        Give the agent if it normalises observations: its statistics are part of what it learned.
    env_id : str
    seed : int
        Decides the initial state, and the actions if they are sampled.
    max_steps : int, at least 1
        Stop after this many steps even if the episode goes on.
    deterministic : bool
        Take the most probable (or mean) action, or sample.

    Returns
    -------
    frames : list of ndarray, shape (height, width, 3), uint8
        The initial state, then the state after every step.
    episode_return : float
        Undiscounted sum of the rewards.

    Raises
    ------
    ValueError
        If max_steps is not positive.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, not {max_steps}")
    act = policy.greedy() if deterministic else policy.sampler(np.random.default_rng(seed))
    with _no_screen(), contextlib.closing(gym.make(env_id, render_mode="rgb_array")) as env:
        box = isinstance(env.action_space, gym.spaces.Box)
        observation, _ = env.reset(seed=seed)
        frames, episode_return, ended = [env.render()], 0.0, False
        while not ended and len(frames) <= max_steps:
            action = act(np.asarray(observation, dtype=np.float32)[None])[0]
            if box:
                action = np.clip(action, env.action_space.low, env.action_space.high)
            observation, reward, terminated, truncated, _ = env.step(action)
            frames.append(env.render())
            episode_return += float(reward)
            ended = terminated or truncated
    return frames, episode_return


@contextlib.contextmanager
def _no_screen() -> Iterator[None]:
    """Frames need no screen; without this, SDL complains on standard error where there is none."""
    before = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = before or "dummy"
    try:
        yield
    finally:
        if before is None:
            del os.environ["SDL_VIDEODRIVER"]


def encode_gif(
    frames: Sequence[NDArray], fps: float, width: int = 300, every: int = 1, colours: int = 32
) -> bytes:
    """Frames as an endlessly looping GIF.

    Parameters
    ----------
    frames : sequence of ndarray, shape (height, width, 3), uint8
    fps : float, positive
        Frames per second of the film as recorded; what `every` leaves out does not speed it up.
    width : int
        Width of the GIF in pixels; the height follows.
    every : int, at least 1
        Keep one frame in so many, and always the last.
    colours : int
        Size of the one palette that all frames share.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If there are no frames, or fps or every is not positive.
    """
    if not len(frames) or not fps > 0 or every < 1:
        raise ValueError(
            f"need frames and positive fps and every; got {len(frames)} frames, {fps=}, {every=}"
        )
    kept = list(frames[::every])
    if (len(frames) - 1) % every:
        kept.append(frames[-1])
    height = round(width * kept[0].shape[0] / kept[0].shape[1])
    small = [Image.fromarray(frame).resize((width, height), Image.Resampling.BOX) for frame in kept]
    # One palette from the first and last frame: a fresh one per frame flickers and is larger.
    both = Image.fromarray(np.concatenate([np.asarray(small[0]), np.asarray(small[-1])]))
    palette = both.quantize(colours)
    flat = [
        np.asarray(image.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB"))
        for image in small
    ]
    # GIF counts in hundredths of a second; imageio takes milliseconds.
    milliseconds = 10 * max(1, round(100 * every / fps))
    buffer = io.BytesIO()
    iio.imwrite(buffer, flat, extension=".gif", duration=milliseconds, loop=0)
    return buffer.getvalue()


def save_gif(path: str | Path, frames: Sequence[NDArray], fps: float, **options) -> Path:
    """Write frames to a GIF file; see `encode_gif` for the options. Returns the path."""
    path = Path(path)
    path.write_bytes(encode_gif(frames, fps, **options))
    return path


def film(frames: Sequence[NDArray], fps: float, alt: str, **options) -> Picture:
    """Frames as a GIF that displays itself in a notebook.

    Parameters
    ----------
    frames, fps, **options
        As in `encode_gif`.
    alt : str
        What happens in the film, for readers who do not see it.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        As in `encode_gif`, and if alt is empty.
    """
    return Picture(encode_gif(frames, fps, **options), "image/gif", alt, options.get("width", 300))
