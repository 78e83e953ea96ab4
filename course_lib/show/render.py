"""Films of a policy at work: frames from the environment, written as a GIF."""

import contextlib
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..algorithms.agent import Agent, acting_parts, require_fitting
from ..experience.contract import CheckedEnv, single_precision
from ..experience.envs import EnvLike, make_env, name_of
from ..kinds import Count, Natural, checked
from ..policies import Policy
from ..spaces import ActionMap
from .pausable import Film

# Browsers take a frame of less than two hundredths of a second for one of ten.
_SHORTEST = 2


def record_episode(
    policy: Policy | Agent,
    env: EnvLike,
    seed: int = 0,
    max_steps: int = 500,
    deterministic: bool = False,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
) -> tuple[list[NDArray], float]:
    """Run one episode and keep every frame.

    Parameters
    ----------
    policy : Policy or Agent
        One that was trained behind a normaliser is filmed behind it, with its statistics frozen.
    env : str, EnvSpec or callable
        See `make_env`; it must be able to render as ``"rgb_array"``.
    seed : int
        Decides the initial state, and the actions if they are sampled.
    max_steps : int, at least 1
        Stop after this many steps even if the episode goes on.
    deterministic : bool
        Take the most probable (or mean) action, or sample.
    env_kwargs : mapping, optional
        See `make_env`.

    Returns
    -------
    frames : list of ndarray, shape (height, width, 3), uint8
        The initial state, then the state after every step.
    episode_return : float
        Undiscounted sum of the rewards.

    Raises
    ------
    ValueError
        If an argument is out of range, the policy was made for another environment, or the environment
        draws no frames.
    """
    seed, max_steps = checked("seed", seed, Natural), checked("max_steps", max_steps, Count)
    network, normalizer = acting_parts(policy)
    act = network.greedy() if deterministic else network.sampler(np.random.default_rng(seed))
    with (
        _no_screen(),
        contextlib.closing(CheckedEnv(make_env(env, env_kwargs, "rgb_array"))) as world,
    ):
        require_fitting(policy, world.observation_space, world.action_space, name_of(env))
        to_environment = ActionMap(world.action_space)
        observation, _ = world.reset(seed=seed)
        frames, episode_return, ended = [_frame(world)], 0.0, False
        while not ended and len(frames) <= max_steps:
            seen = observation[None]
            if normalizer is not None:
                seen = normalizer(seen)
            action = act(single_precision("observations", seen))
            observation, reward, terminated, truncated, _ = world.step(to_environment(action)[0])
            frames.append(_frame(world))
            episode_return += reward
            ended = terminated or truncated
    return frames, episode_return


def _frame(env: CheckedEnv) -> NDArray:
    """A picture of the environment, copied: many draw every one on the same canvas."""
    frame = np.array(env.render())
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        shown = f"{frame.dtype} of shape {frame.shape}" if frame.ndim else repr(frame.item())
        raise ValueError(
            f"{env.name} must render frames of shape (height, width, 3), uint8, not {shown}: it needs "
            "the render mode 'rgb_array' (a function that makes environments can take render_mode, or "
            "set it itself)"
        )
    return frame


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
        Frames per second of the film as recorded; what is left out does not speed it up.
    width : int
        Width of the GIF in pixels; the height follows.
    every : int, at least 1
        Keep one frame in so many, and always the last. More are left out where there are more than
        50 in a second, which is what GIFs in a browser can show.
    colours : int, 2 to 256
        Size of the one palette that all frames share.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If there are no frames, or they differ in size, or fps or every is not positive.
    """
    if not len(frames) or not 0 < fps < math.inf or every < 1 or not 2 <= colours <= 256:
        raise ValueError(
            "need frames, positive fps and every, and 2 to 256 colours; got "
            f"{len(frames)} frames, {fps=}, {every=}, {colours=}"
        )
    if len({np.shape(frame) for frame in frames}) > 1:
        raise ValueError(f"all frames must have one size, not {sorted(map(np.shape, frames))}")
    step = max(every, math.ceil(fps * _SHORTEST / 100))
    kept = [*range(0, len(frames) - 1, step), len(frames) - 1]
    height = round(width * frames[0].shape[0] / frames[0].shape[1])
    small = [
        np.asarray(Image.fromarray(frames[i]).resize((width, height), Image.Resampling.BOX))
        for i in kept
    ]
    # One palette for all frames: a fresh one per frame flickers and is larger.
    palette = Image.new("P", (1, 1))
    palette.putpalette(shared_palette(small, colours).tobytes())
    flat = [
        np.asarray(
            Image.fromarray(frame)
            .quantize(palette=palette, dither=Image.Dither.NONE)
            .convert("RGB")
        )
        for frame in small
    ]
    # GIF counts in hundredths of a second; imageio takes milliseconds. Rounding the moments, not the
    # spans between them, keeps the speed of the whole.
    moments = np.rint(100 * np.array([*kept, kept[-1] + step]) / fps)
    durations = (10 * np.clip(np.diff(moments), _SHORTEST, 2**16 - 1)).tolist()
    if len(flat) == 1:  # Pillow takes no list then
        (durations,) = durations
    buffer = io.BytesIO()
    iio.imwrite(buffer, flat, extension=".gif", duration=durations, loop=0)
    return buffer.getvalue()


def shared_palette(frames: Sequence[NDArray], colours: int) -> NDArray:
    """A palette (256, 3), uint8, of so many colours: half of them the most frequent of all frames.

    The others are chosen one by one, each the colour that is farthest from all before, so that what
    only a few pixels of a few frames show has its colour too.
    """
    found = []
    for frame in frames:
        red, green, blue = frame.reshape(-1, 3).astype(np.int64).T
        found.append(np.unique(red << 16 | green << 8 | blue, return_counts=True))
    codes, index = np.unique(np.concatenate([code for code, _ in found]), return_inverse=True)
    counts = np.bincount(index, np.concatenate([seen for _, seen in found]))
    codes = codes[np.argsort(-counts, kind="stable")]
    there = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    chosen = list(range(min(colours // 2, len(there))))
    distance = np.full(len(there), np.inf)
    for i in chosen:
        distance = np.minimum(distance, np.square(there - there[i]).sum(1))
    while len(chosen) < min(colours, len(there)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.square(there - there[chosen[-1]]).sum(1))
    palette = there[chosen].astype(np.uint8)
    return np.concatenate([palette, np.repeat(palette[:1], 256 - len(palette), axis=0)])


def save_gif(path: str | Path, frames: Sequence[NDArray], fps: float, **options) -> Path:
    """Write frames to a GIF file; see `encode_gif` for the options. Returns the path."""
    path = Path(path)
    path.write_bytes(encode_gif(frames, fps, **options))
    return path


def film(frames: Sequence[NDArray], fps: float, alt: str, **options) -> Film:
    """Frames as a GIF that displays itself in a notebook, with a button that stops it.

    Parameters
    ----------
    frames, fps, **options
        As in `encode_gif`.
    alt : str
        What happens in the film, for readers who do not see it.

    Returns
    -------
    Film

    Raises
    ------
    ValueError
        As in `encode_gif`, and if alt is empty.
    """
    return Film(encode_gif(frames, fps, **options), alt, options.get("width", 300))
