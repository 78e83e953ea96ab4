"""Figures a reader can play with: prepared frames behind sliders, and a panel that computes.

:func:`playable` draws every frame in advance. The result is plain HTML - pictures, a range input, a
few lines of script, no library - so it works the same in the built book (also from a file), in Colab
and in JupyterLab, with a mouse, a finger or the arrow keys, and shows its first frame on paper.

:func:`panel` calls a function while the reader moves a slider. It needs a running kernel.
"""

import base64
import io
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from course_lib.show.playable_figure import PlayableFigure
from course_lib.show.plots import require_figure

MAX_BYTES = 400_000
# Frames are drawn with this many pixels per figure pixel, then kept with fewer of them and with so
# many colours; the first pair with which the figure is small enough is taken.
DRAWN = 2.0
QUALITIES = ((2.0, 128), (2.0, 48), (1.5, 48), (1.0, 32))


def playable(
    frames: Callable[..., Figure] | Sequence[Figure],
    values: Mapping[str, Sequence[object]],
    alt: Callable[..., str] | Sequence[str],
    start: Sequence[object] | None = None,
) -> PlayableFigure:
    """Draw a figure for every value of one or more sliders, in advance.

    Parameters
    ----------
    frames : callable or sequence of Figure
        A function of the sliders' values that draws and returns a Matplotlib figure: a new one, or
        the same one drawn anew. Or the figures themselves, the last slider moving fastest. All must
        have one size. They are closed, so that a notebook does not show them a second time.
    values : mapping of str to sequence
        For each slider its label, in plain text ("λ"), and the values it steps through: numbers
        (shown with the digits they have, up to 15) or strings. Two sliders give a grid of frames; keep it small.
    alt : callable or sequence of str
        What each frame shows, in words and numbers: a function of the same values, or one text
        for each frame. It is the picture's text equivalent and, below the picture, its caption.
    start : sequence, optional
        The values shown first, one for each slider. Default: the first of each.

    Returns
    -------
    PlayableFigure
        Displays itself when it is the last line of a cell. At most 400 kB: if the frames are larger
        they are stored with fewer colours, then with fewer pixels.

    Raises
    ------
    ValueError
        If there is no slider or one has no values; a text equivalent is missing, empty, the same
        for all frames or holds ``$`` (no viewer typesets it there); the numbers of frames and
        values differ; a frame is no figure, or one figure stands for several prepared frames;
        figures have different sizes; ``start`` is not among the values; or the
        frames do not fit into 400 kB.

    Examples
    --------
    ::

        playable(draw_weights, {"λ": [0, 0.5, 0.9, 1]}, alt=lambda lam: f"With λ = {lam} ...")
        playable(draw_weights, {"λ": lambdas, "γ": gammas}, alt=describe, start=(0.95, 0.99))
    """
    if not values:
        raise ValueError("a playable figure needs at least one slider")
    for label, steps in values.items():
        if not label.strip() or "$" in label:
            raise ValueError(f"a slider needs a label in plain text, got {label!r}")
        if len(steps) == 0:
            raise ValueError(f"the slider {label!r} has no values")
    grid = list(itertools.product(*values.values()))
    texts = _texts(alt, grid)
    if start is not None and tuple(start) not in grid:
        raise ValueError(f"start={tuple(start)!r} is not among the values of the sliders")
    size, drawn = _draw(frames, grid)
    pictures = _pictures(drawn)
    return PlayableFigure(
        pictures,
        {label: [_shown(value) for value in steps] for label, steps in values.items()},
        texts,
        grid.index(tuple(start)) if start is not None else 0,
        size,
    )


def _texts(alt: Callable[..., str] | Sequence[str], grid: list[tuple]) -> list[str]:
    """One checked text equivalent for each frame."""
    texts = [alt(*point) for point in grid] if callable(alt) else list(alt)
    if isinstance(alt, str) or len(texts) != len(grid):
        raise ValueError(
            f"alt must be a function of the values, or {len(grid)} texts, one for each frame"
        )
    for point, text in zip(grid, texts, strict=True):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"the frame of {point} has no text equivalent: say in words what it shows"
            )
        if "$" in text:
            raise ValueError(
                f"a text equivalent is plain text (write λ, not $\\lambda$), got {text!r}"
            )
    if len(grid) > 1 and len(set(texts)) == 1:
        raise ValueError("every frame has the same text equivalent: say what differs between them")
    return texts


def _shown(value: object) -> str:
    """A value as a reader writes it: 1234567, 0.95, 1e-05; rounding noise is left out."""
    if isinstance(value, Integral) and not isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and value.is_integer() and abs(float(value)) < 1e16:
        return f"{value:.0f}"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _draw(
    frames: Callable[..., Figure] | Sequence[Figure], grid: list[tuple]
) -> tuple[tuple[int, int], list[Image.Image]]:
    """The size on the page, and every frame as an image, taken before the next one is drawn."""
    if not callable(frames) and len(frames) != len(grid):
        raise ValueError(
            f"{len(grid)} combinations of values need as many frames, got {len(frames)}"
        )
    figures: Iterable = (frames(*point) for point in grid) if callable(frames) else frames
    sizes, drawn, last = set(), [], None
    try:
        for point, figure in zip(grid, figures, strict=True):
            require_figure(figure, f"the frame of {point}")
            if last is not None and figure is not last:
                plt.close(last)
            last = figure
            sizes.add(tuple(round(inches * figure.dpi) for inches in figure.get_size_inches()))
            drawn.append(_image(figure))
        if not callable(frames) and len({id(figure) for figure in frames}) < len(grid):
            raise ValueError(
                "one figure stands for several frames, and shows the last thing drawn on it: give "
                "a figure for each, or a function that draws"
            )
    finally:
        for figure in [last] if callable(frames) else frames:
            if isinstance(figure, Figure):
                plt.close(figure)
    if len(sizes) != 1:
        raise ValueError(f"all frames must have one size, got {sorted(sizes)} pixels")
    return sizes.pop(), drawn


def _image(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DRAWN * figure.dpi, facecolor="white")
    return Image.open(buffer).convert("RGB")


def _pictures(drawn: list[Image.Image]) -> list[str]:
    """The best pictures of the frames that fit into MAX_BYTES."""
    for scale, colours in QUALITIES:
        pictures, total = [], 0
        for image in drawn:
            pictures.append(_picture(image, scale, colours))
            total += len(pictures[-1])
            if total > MAX_BYTES:
                break
        else:
            return pictures
    raise ValueError(
        f"only {len(pictures) - 1} of {len(drawn)} frames fit into {MAX_BYTES // 1000} kB, even"
        " when coarse: use fewer values, or simpler or smaller figures"
    )


def _picture(image: Image.Image, scale: float, colours: int) -> str:
    """An image as the ``data:`` address of a lossless WebP picture with few colours."""
    if scale < DRAWN:
        pixels = [round(length * scale / DRAWN) for length in image.size]
        image = image.resize(pixels, Image.Resampling.BOX)
    packed = io.BytesIO()
    flat = image.quantize(colours, dither=Image.Dither.NONE)
    flat.convert("RGB").save(packed, "webp", lossless=True, method=4)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()


def panel(function: Callable[..., object], **controls: Sequence[object]):
    """A function behind sliders that is called while the reader moves them.

    The page of a book has no kernel: give the cell the tag ``skip-execution``, and ``make book``
    leaves it alone (it fails if a widget gets into a page). Colab and JupyterLab ignore the tag.

    Parameters
    ----------
    function : callable
        Called with one keyword argument for each control. A figure it returns is shown and
        closed; it may print as well.
    **controls : sequence
        The values each argument can take, as in ``gae_lambda=[0, 0.9, 0.95, 1]``.

    Returns
    -------
    ipywidgets.interactive
        Displays itself when it is the last line of a cell.

    Raises
    ------
    ValueError
        If a control has no values.
    """
    import ipywidgets
    from IPython.display import display

    for name, values in controls.items():
        if len(values) == 0:
            raise ValueError(f"the control {name!r} has no values")

    def show(**arguments: object) -> None:
        result = function(**arguments)
        if result is not None:
            display(result)
        if isinstance(result, Figure):
            plt.close(result)

    sliders = {
        name: ipywidgets.SelectionSlider(
            options=[(_shown(value), value) for value in values],
            description=name,
            continuous_update=False,
        )
        for name, values in controls.items()
    }
    return ipywidgets.interactive(show, **sliders)
