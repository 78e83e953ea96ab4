"""Several films in one: panels beside each other, with words above, as small as a page can bear."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .render import shared_palette

PANEL, GAP, HEAD = 220, 8, 50  # pixels: width of a panel, between two of them, height of the words
LARGEST = 190_000  # bytes of a GIF: eighteen of them are one page
RATE = 25.0  # frames in a second, or fewer where a film would be too large
SLOWEST = 2.0
HOLD = 2.0  # seconds for which the last frame stands
COLOURS, PALETTE = 32, 12  # colours of a film, chosen on so many of its frames
INK, EDGE, PAPER = (32, 37, 45), (200, 200, 200), (255, 255, 255)


def encode_panels(
    films: Sequence[Sequence[NDArray]], fps: float, heads: Sequence[str], ends: Sequence[str]
) -> tuple[bytes, bytes, float]:
    """Films side by side as one GIF; a film that has ended holds its last frame.

    Parameters
    ----------
    films : sequence of sequences of ndarray, shape (height, PANEL, 3), uint8
    fps : float
        Frames in a second of the films as recorded.
    heads, ends : sequence of str
        What stands above each panel, and what is added when its film has ended.

    Returns
    -------
    gif : bytes
        At most `LARGEST`: frames are left out until it is.
    still : bytes
        The last frame, as a PNG.
    rate : float
        Frames in a second of the GIF.

    Raises
    ------
    ValueError
        If the numbers of films and words differ, or even `SLOWEST` frames in a second are too many.
    """
    step = max(1, round(fps / RATE))
    while fps / step >= SLOWEST:
        frames = compose(films, step, heads, ends)
        gif = _gif(frames, fps / step)
        if len(gif) <= LARGEST:
            return gif, _still(frames[-1]), fps / step
        step = max(step + 1, math.floor(step * len(gif) / LARGEST))
    raise ValueError(f"no film of {max(map(len, films))} frames of this size fits {LARGEST} bytes")


def _gif(frames: Sequence[NDArray], rate: float) -> bytes:
    """As `encode_gif`, for many frames of few colours: quicker, and the last frame stands."""
    some = [frames[i] for i in np.linspace(0, len(frames) - 1, PALETTE).astype(int)]
    colours = shared_palette(some, COLOURS)[:COLOURS].tobytes()
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    first, *others = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    moments = np.rint(100 * np.arange(len(frames)) / rate)  # GIF counts in hundredths of a second
    durations = [*(10 * np.diff(moments)).tolist(), 1000 * HOLD]
    # Optimised, a frame holds what has changed; and its colours are those of the whole.
    options: dict[str, Any] = {"optimize": True, "palette": colours, "loop": 0}
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=durations, **options)
    return buffer.getvalue()


def compose(
    films: Sequence[Sequence[NDArray]], step: int, heads: Sequence[str], ends: Sequence[str]
) -> list[NDArray]:
    """Every so many-th moment of the longest film, and its last; frames of all panels with words."""
    last = max(map(len, films)) - 1
    pictures = []
    for i in [*range(0, last, step), last]:
        panels = [
            _panel(film[min(i, len(film) - 1)], head, end if i >= len(film) - 1 else "")
            for film, head, end in zip(films, heads, ends, strict=True)
        ]
        gap = np.full((len(panels[0]), GAP, 3), PAPER, np.uint8)
        parts = [part for panel in panels for part in (gap, panel)][1:]
        pictures.append(np.concatenate(parts, axis=1))
    return pictures


def _panel(frame: NDArray, head: str, end: str) -> NDArray:
    """A frame with two lines of words above it."""
    image = Image.new("RGB", (frame.shape[1], HEAD + frame.shape[0]), PAPER)
    image.paste(Image.fromarray(frame), (0, HEAD))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, HEAD, image.width - 1, image.height - 1), outline=EDGE)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 18)
    draw.text((2, 1), head, INK, font)
    draw.text((2, 24), end, INK, font)
    return np.asarray(image)


def _still(frame: NDArray) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(frame).quantize(COLOURS, dither=Image.Dither.NONE)
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
